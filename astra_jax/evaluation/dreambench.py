"""DreamBench: does a picture show the subject of a photo, in the place and look that the prompt asks for?

Single: DreamBooth's 30 subjects with 25 prompts each, 4 pictures a prompt (arXiv 2208.12242, section 4). Multi: UNO's
30 pairs of subjects with 25 prompts each, 6 pictures a prompt (arXiv 2504.02160, section 4). Cases are numbered from 0
as the entries of UNO's lists are, so that pictures are `{entry}_{index}.png`: the names that UNO's inference.py (commit
d305981) gives to what it draws from a list.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from astra_jax.evaluation.dreambench_controls import controls
from astra_jax.evaluation.dreambench_data import Entry, Subject
from astra_jax.evaluation.features import ImageFeatures, TextFeatures
from astra_jax.evaluation.figure_names import PUBLISHED, figure_name
from astra_jax.evaluation.figures import Figure
from astra_jax.evaluation.picture_files import digest, references
from astra_jax.evaluation.samples import Case, Sample, Scores
from astra_jax.evaluation.similarity import several_subjects_similarity, text_similarity
from astra_jax.inputs.photos import load_photo
from astra_jax.inputs.requests import Request, SubjectRequest


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How many subjects a prompt has, and how many pictures are drawn of it."""

    subjects: int
    images: int


PROTOCOLS = {"dreambench_single": Protocol(1, 4), "dreambench_multi": Protocol(2, 6)}  # DreamBooth's and UNO's


class DreamBench:
    """A `Benchmark`. For each network X its figures are:

    X: the mean cosine of the picture and all real photos of the subject (DreamBooth's DINO and CLIP-I). X_given: the
    cosine of the picture and the photo that was given. With two subjects both are the mean over the two, on the whole
    picture (UNO). clip_t: the cosine of the picture and its prompt.

    A picture that is one of the real photos, pixel by pixel, is not compared with itself.
    """

    def __init__(
        self,
        name: str,
        subjects: Mapping[str, Subject],
        entries: Sequence[Entry],
        networks: Sequence[ImageFeatures],
        clip: tuple[ImageFeatures, TextFeatures] | None = None,
        images: int | None = None,
        canvas: tuple[int, int] | None = None,
        seed: int = 0,
    ):
        """Puts the protocol together.

        Args:
          name: one of `PROTOCOLS`.
          subjects: from `dreambench_data.read_subjects`.
          entries: from `dreambooth_entries` or `uno_entries`.
          networks: that compare pictures, without CLIP.
          clip: compares pictures, and pictures with their prompts.
          images: pictures a prompt; None: as the protocol says.
          canvas: (height, width) in pixels; None: as the run says.
          seed: of all pictures.
        """
        self.name, self._subjects, self._entries = name, subjects, {str(i): entry for i, entry in enumerate(entries)}
        self._networks = {figure_name(network): network for network in [*networks, *(clip[:1] if clip else ())]}
        self._texts = clip[1] if clip else None
        self._images, self._canvas, self._seed = images or PROTOCOLS[name].images, canvas, seed
        self._real, self._beside = functools.cache(self._read_real), functools.cache(references)
        self.headline = (*self._networks, *(("clip_t",) if clip else ()))

    def cases(self) -> list[Case]:
        """One case an entry; no skeletons are given."""
        return [Case(number, self._request(number, entry)) for number, entry in self._entries.items()]

    def _request(self, number: str, entry: Entry) -> Request:
        height, width = self._canvas or (None, None)
        return Request(
            prompt=entry.prompt,
            subjects=_subjects(entry),
            pose="none",
            seed=self._seed,
            num_images=self._images,
            name=f"entry {number} of {self.name}",
            height=height,
            width=width,
        )

    def score(self, samples: Sequence[Sample]) -> list[Scores]:
        """The scores of each picture; pictures may have any size."""
        pictures = [sample.picture for sample in samples]
        entries = [self._entries[sample.case.id] for sample in samples]
        own = [digest(picture) for picture in pictures]
        values: list[dict[str, list[float]]] = [{} for _ in samples]
        for name, network in self._networks.items() if samples else ():
            vectors = network(pictures)
            for row, vector, entry, same in zip(values, vectors, entries, own, strict=True):
                row |= self._likeness(name, vector, entry, same)
            if name == "clip_i" and self._texts is not None:
                matches = text_similarity(vectors, self._texts([entry.prompt for entry in entries]))
                for row, match in zip(values, matches, strict=True):
                    row["clip_t"] = [float(match)]
        return [Scores(row, None, self._beside(_subjects(entry))) for row, entry in zip(values, entries, strict=True)]

    def _likeness(self, name: str, vector: Float[np.ndarray, "D"], entry: Entry, same: str) -> dict[str, list[float]]:
        every, given = [], []
        for subject, photo in zip(entry.subjects, entry.photos, strict=True):
            photos, (digests, real) = self._subjects[subject].photos, self._real(subject)
            others = [i for i, known in enumerate(digests) if known != same]
            every.append(real[name][others])
            given.append(real[name][[i for i in others if photos[i] == photo]])
        # A subject none of whose photos is left says nothing, and then there is no mean over the subjects either.
        return {
            key: several_subjects_similarity(vector[None], rows).tolist() if all(map(len, rows)) else []
            for key, rows in ((name, every), (f"{name}_given", given))
        }

    def _read_real(self, subject: str) -> tuple[list[str], dict[str, Float[np.ndarray, "R D"]]]:
        """Digests of a subject's photos, and what each network makes of them."""
        photos = [load_photo(path) for path in self._subjects[subject].photos]
        return list(map(digest, photos)), {name: network(photos) for name, network in self._networks.items()}

    def controls(self, cases: Sequence[Case]) -> Mapping[str, Sequence[Sample]]:
        """Real photos in the place of pictures (`dreambench_controls`)."""
        return controls(cases, self._entries, self._subjects)

    def calibration(self, cases: Sequence[Case]) -> Mapping[str, Figure]:
        """Nothing: no estimator is at work; what the networks make of real photos is in `controls`."""
        del cases
        return {}

    def notes(self) -> list[str]:
        """Which networks compare, what the controls are, and where this is not the protocol."""
        protocol = PROTOCOLS[self.name]
        stand_ins = [network.name for name, network in self._networks.items() if name not in PUBLISHED.values()]
        notes = ["no skeleton is given"]
        if self._images != protocol.images:
            notes.append(f"pictures of a prompt: {self._images}; published figures are of {protocol.images}")
        if stand_ins:
            others = ", ".join(PUBLISHED)
            notes.append(f"figures by {', '.join(stand_ins)} cannot be compared with published ones, by {others}")
        if self._texts is None:
            notes.append("there is no CLIP: how well pictures follow their prompts is not measured")
        else:
            notes.append("clip_t of ceiling and floor means nothing: photos follow no prompt")
        shown = "a photo" if protocol.subjects == 1 else "two photos side by side"
        notes.append(f"the ceiling shows {shown}, not those given, of the same subjects, the floor of others")
        return notes


def _subjects(entry: Entry) -> tuple[SubjectRequest, ...]:
    return tuple(SubjectRequest(*pair) for pair in zip(entry.phrases, entry.photos, strict=True))
