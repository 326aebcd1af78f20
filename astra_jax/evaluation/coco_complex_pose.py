"""COCO-ComplexPose: people in the most complex poses of COCO val2017, asked for by a caption and a skeleton.

ASTRA (arXiv 2604.13938) measures OKS on complex poses of COCO and gives no protocol; this one is our decision. It has
three tracks, by what is given: "oracle", the annotated skeleton (adherence); "rag", the one retrieved by the prompt
(the method from end to end); "none", no skeleton (models without one).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.errors import UserError
from astra_jax.evaluation.coco_scenes import Scene
from astra_jax.evaluation.coco_tracks import Skeletons, around, skeleton_people
from astra_jax.evaluation.estimators import Estimator
from astra_jax.evaluation.features import ImageFeatures, TextFeatures
from astra_jax.evaluation.figure_names import figure_name
from astra_jax.evaluation.figures import Figure
from astra_jax.evaluation.picture_files import SMALL, LazySamples, references
from astra_jax.evaluation.portraits import POOL, Portraits, likeness
from astra_jax.evaluation.pose_scores import pose_values
from astra_jax.evaluation.real_people import RealPhoto, calibrate, photo_path
from astra_jax.evaluation.samples import Case, Sample, Scores, Track
from astra_jax.evaluation.similarity import text_similarity
from astra_jax.inputs.photos import letterbox, load_photo
from astra_jax.inputs.requests import Request, SubjectRequest
from astra_jax.pose.average_precision import FoundPeople, TruePeople
from astra_jax.pose.database import PoseBank
from astra_jax.pose.drawing import draw, fit
from astra_jax.pose.oks import assign, oks_matrix
from astra_jax.pose.skeleton import MAX_SIDE, visible

FINGERPRINT = 12  # digits of a bank's in a note


class CocoComplexPose:
    """A `Benchmark`. Its figures:

    oks_abs: against the people of the photo, in their places; oks_cond: against the skeleton that was given; oks_box:
    against the people of the photo, by the shapes of the poses alone (`pose_scores`). They are means over people, and
    somebody who was not found counts 0. With `_of_two` they are of the pictures with exactly two people.
    people_found: of those who were asked for. person_count_error: by how many more or fewer are in the picture; only
    where the estimator finds people by itself, for in boxes of those who were asked for nobody is found beyond them.
    Average precision is against the skeleton that was given, against the photo's people where none was.
    X_people, X_image: for each network X, likeness to the portraits (`portraits.likeness`) of the people who were found
    for those asked for, and of the whole picture. clip_t: the cosine of the whole picture and its prompt.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        estimator: Estimator,
        track: Track = "oracle",
        bank: PoseBank | None = None,
        canvas: tuple[int, int] = (512, 512),
        images: int = 1,
        seed: int = 0,
        portraits: Portraits | None = None,
        photos: Path | None = None,
        networks: Sequence[ImageFeatures] = (),
        clip: tuple[ImageFeatures, TextFeatures] | None = None,
        real: Sequence[RealPhoto] = (),
    ):
        """Puts the protocol together.

        Args:
          scenes: from `coco_scenes.read_scenes`.
          estimator: finds the people of a picture, in the boxes where they ought to be; in the track "none" by itself,
            and scenes of more people than it finds so are left out.
          bank: what the rag track retrieves from.
          canvas: (height, width) in pixels; photos and people are letterboxed onto it, and it onto pictures of another
            size.
          images: pictures a case.
          seed: of the pictures, and of which portraits a case has.
          portraits: a pool of faces; without it there are no references and no figures of identity.
          photos: the folder of val2017's photos, which are the ceiling and the floor, as far as they are there.
          networks: that compare people with their portraits, without CLIP.
          clip: compares people with their portraits, and pictures with their prompts.
          real: photos to calibrate the estimator on.

        Raises `UserError` for a canvas without or of too many pixels, for a bank that holds pictures of the benchmark
        and for the track "none" with an estimator that needs boxes; and `ValueError` for the rag track without a bank.
        """
        if not all(0 < side <= MAX_SIDE for side in canvas):
            raise UserError(f"--height and --width must be 1 to {MAX_SIDE}, not {canvas[0]} and {canvas[1]}")
        self.name = f"coco_complex_pose_{track}"
        seen = [scene for scene in scenes if track != "none" or len(scene.people) <= estimator.most_people]
        if scenes and not seen:
            raise UserError(
                f"--track none: {estimator.name} finds nobody without boxes: give --movenet in its place, or another"
                " track"
            )
        self._fewer = len(seen) < len(scenes)
        # In boxes of those who were asked for nobody is found beyond them: who counts must find everybody by itself.
        self._counts = all(len(scene.people) < estimator.most_people for scene in seen)
        oks = [name for name in ("oks_abs", "oks_cond") if (name, track) != ("oks_cond", "none")]
        if any(len(scene.people) == 2 for scene in seen):
            oks = [name for figure in oks for name in (f"{figure}_of_two", figure)]
        self.headline = (*oks, "oks_box", *(("person_count_error",) if self._counts else ()))
        self._skeletons = Skeletons(seen, canvas, track, bank)
        self._bank = bank if track == "rag" else None
        self._estimator, self._images, self._seed = estimator, images, seed
        self._portraits, self._photos, self._real = portraits, photos, real
        self._networks, self._clip = [*networks, *(clip[:1] if clip else ())], clip

    def cases(self) -> list[Case]:
        """One case a scene, named after the photo; the most complex comes first."""
        return list(self._cases)

    @functools.cached_property
    def _cases(self) -> tuple[Case, ...]:
        return tuple(Case(scene.image, self._request(scene)) for scene in self._skeletons.scenes.values())

    def _request(self, scene: Scene) -> Request:
        faces = self._portraits.draw(len(scene.phrases), (self._seed, int(scene.image))) if self._portraits else []
        return Request(
            prompt=scene.prompt,
            subjects=tuple(SubjectRequest(*pair) for pair in zip(scene.phrases, faces, strict=False)),
            pose=self._skeletons.pose(scene.image),
            people=len(scene.people),
            seed=self._seed,
            num_images=self._images,
            name=f"COCO picture {scene.image}",
            height=self._skeletons.canvas[0],
            width=self._skeletons.canvas[1],
        )

    def given(self, case: Case) -> TruePeople | None:
        """The people whose skeleton a case gives, in pixels of the canvas; None where it gives none."""
        return self._skeletons.given(case.id)

    def score(self, samples: Sequence[Sample]) -> list[Scores]:
        """The scores of each picture in its own pixels, whatever its size: the canvas is letterboxed onto it."""
        pictures = [sample.picture for sample in samples]
        given = [self._given(sample) for sample in samples]
        asked = [people.boxes for people in given if people is not None]
        found = self._estimator(pictures, asked or None)
        everybody = self._estimator(pictures) if asked and self._counts else found
        truths = [self._skeletons.true(sample.case.id, sample.picture.shape[:2]) for sample in samples]
        wanted = [truth if skeleton is None else skeleton for truth, skeleton in zip(truths, given, strict=True)]
        similar = self._similarities(samples, list(map(_boxes_found, wanted, found)))
        scores = []
        for sample, truth, skeleton, pair, there, more in zip(
            samples, truths, given, zip(wanted, found, strict=True), everybody, similar, strict=True
        ):
            values = _pose_figures(truth, skeleton, pair[1]) | more
            if self._counts:
                values["person_count_error"] = pose_values(truth, there)["person_count_error"]
            scores.append(Scores(values, pair, self._beside(sample, pair, skeleton is not None)))
        return scores

    def _given(self, sample: Sample) -> TruePeople | None:
        """The skeleton of a picture, in its pixels: a retrieved one is what it was drawn with, where that is known."""
        if self._skeletons.track == "rag" and sample.given is not None:
            return skeleton_people(sample.given)
        return self._skeletons.given(sample.case.id, sample.picture.shape[:2])

    def _similarities(
        self, samples: Sequence[Sample], boxes: Sequence[Float[np.ndarray, "_ 4"]]
    ) -> list[dict[str, list[float]]]:
        pictures, requests = [sample.picture for sample in samples], [sample.case.request for sample in samples]
        values: list[dict[str, list[float]]] = [{} for _ in samples]
        for network in self._networks if self._portraits else ():
            faces = [[subject.image for subject in request.subjects] for request in requests]
            for mine, more in zip(values, likeness(network, pictures, boxes, faces), strict=True):
                mine |= {f"{figure_name(network)}_{part}": row for part, row in more.items()}
        if self._clip and samples:
            seen, read = self._clip
            matches = text_similarity(seen(pictures), read([request.prompt for request in requests]))
            for mine, match in zip(values, matches, strict=True):
                mine["clip_t"] = [float(match)]
        return values

    def _beside(
        self, sample: Sample, pair: tuple[TruePeople, FoundPeople], given: bool
    ) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
        size = sample.picture.shape[:2]
        small = max(1, round(size[0] * SMALL / max(size))), max(1, round(size[1] * SMALL / max(size)))
        asked, found = (fit(people.people, size, small) for people in pair)
        asked_for = "given" if given else "people of the photo"
        shown = {asked_for: draw(asked, small), "found": draw(visible(found), small)}
        return shown | references(sample.case.request.subjects)

    def controls(self, cases: Sequence[Case]) -> Mapping[str, Sequence[Sample]]:
        """The photos themselves, and as the floor that of the next case, of those cases whose photo is there.

        There is no ceiling in the track "rag", where the photos show other poses than were asked for, nor one of
        likeness, since they do not show the people of the portraits.
        """
        if self._photos is None:
            return {}
        paths = [photo_path(self._photos, case.id) for case in cases]
        there = [(case, path) for case, path in zip(cases, paths, strict=True) if path.is_file()]
        photos = [functools.partial(self._photo, path) for _, path in there]
        ceiling = [(_without_portraits(case), 0, photo) for (case, _), photo in zip(there, photos, strict=True)]
        shifted = [*photos[1:], *photos[:1]]
        floor = [(case, 0, photo) for (case, _), photo in zip(there, shifted, strict=True)]
        controls = {
            "ceiling": ceiling if self._skeletons.track != "rag" else [],
            "floor": floor if len(floor) > 1 else [],
        }
        return {name: LazySamples(rows) for name, rows in controls.items() if rows}

    def _photo(self, path: Path) -> UInt8[np.ndarray, "H W 3"]:
        return letterbox(load_photo(path), self._skeletons.canvas)

    def calibration(self, cases: Sequence[Case]) -> Mapping[str, Figure]:
        """`Skeletons.bounds` of the cases, and as real_photos_* what the estimator reaches on photos (`calibrate`)."""
        figures = dict(self._skeletons.bounds([case.id for case in cases]))
        if self._real:
            real = calibrate(self._estimator, self._real)
            figures |= {f"real_photos_{name}": figure for name, figure in real.items()}
        return figures

    def notes(self) -> list[str]:
        """What the figures are of, and what was missing."""
        track, estimator = self._skeletons.track, self._estimator
        height, width = self._skeletons.canvas
        where = "by itself" if track == "none" else "in the boxes of those who were asked for"
        notes = [
            "scenes of COCO val2017, _of_two: those with exactly two people; OKS is a similarity: higher is better",
            "areas in OKS are those of the segments where the annotations tell them, else estimated by the boxes",
            f"people stand on a canvas of {width} x {height} pixels and are found by {estimator.name} {where}",
            "blind_* and retrieved_* are what skeletons of other scenes, and retrieved ones, score without any picture",
        ]
        if not self._counts:
            notes.append(
                "there is no person_count_error: people beyond those who were asked for are seen by an estimator that"
                f" finds everybody by itself, and {estimator.name} does not"
            )
        if self._fewer:
            notes.append(f"scenes of more people than {estimator.name} finds by itself are left out")
        if self._photos is None:
            notes.append("no photos were given (--photos): there is no ceiling and no floor")
        else:
            notes.append("ceiling and floor are of the scenes whose photo is there, a floor of two at least")
        if self._bank is not None:
            notes.append(
                "pictures that do not tell their skeleton are held to the one that the bank"
                f" {self._bank.fingerprint()[:FINGERPRINT]} holds for the prompt"
            )
            notes.append(
                "no photo shows a retrieved skeleton: there is no ceiling; a perfect generator reaches"
                " retrieved_oks_abs and retrieved_oks_box, not 1"
            )
        if self._portraits is None:
            notes.append("no portraits were given: there are no references and no figures of identity")
        else:
            notes.append(
                "people with words of their own in the prompt have a portrait, and likeness is theirs alone; it has no"
                " ceiling: no photo shows the people of the portraits"
            )
            if (pool := len(self._portraits.paths)) != POOL:
                notes.append(f"the pool has {pool} portraits, the protocol's {POOL}")
        if not self._real:
            notes.append("the estimator is not calibrated: no real photos with annotated people were given")
        return notes


def _without_portraits(case: Case) -> Case:
    return dataclasses.replace(case, request=dataclasses.replace(case.request, subjects=()))


def _boxes_found(wanted: TruePeople, found: FoundPeople) -> Float[np.ndarray, "_ 4"]:
    """Boxes of whole people, of those found for somebody who was asked for: by the largest summed OKS."""
    who = assign(oks_matrix(wanted.people, wanted.areas, found.people))
    return around(visible(found.people[who[who >= 0]]))


def _pose_figures(truth: TruePeople, given: TruePeople | None, found: FoundPeople) -> dict[str, list[float]]:
    values = pose_values(truth, found)
    oks = {"oks_abs": values["oks"], "oks_box": values["oks_box"]}
    if given is not None:
        oks["oks_cond"] = pose_values(given, found)["oks"]
    two = len(truth.people) == 2
    return {
        **oks,
        **{f"{name}_of_two": row if two else [] for name, row in oks.items()},
        "people_found": values["people_found"],
    }
