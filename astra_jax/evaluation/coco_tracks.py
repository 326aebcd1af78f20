"""What the tracks of COCO-ComplexPose give: the annotated skeleton, a retrieved one, or none."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from astra_jax.evaluation.coco_scenes import Scene, check_held_out
from astra_jax.evaluation.figures import Figure, mean_figure
from astra_jax.evaluation.pose_scores import pose_values
from astra_jax.evaluation.real_people import moved
from astra_jax.evaluation.samples import Track
from astra_jax.inputs.requests import GivenPose
from astra_jax.pose.average_precision import FoundPeople, TruePeople
from astra_jax.pose.database import PoseBank
from astra_jax.pose.retrieval import Retriever
from astra_jax.pose.skeleton import boxes as joint_boxes

JOINT_BOX = 1.2  # a person's box, of the one around the joints: hair, hands and feet lie beyond (our decision)
BLIND_SHIFTS = 10  # other scenes that each one's people are compared with


class Skeletons:
    """The people of every scene on the canvas, as they are in the photo and as the track gives them.

    Sizes are (height, width) in pixels; what is on the canvas is letterboxed onto a picture of another size.
    """

    def __init__(self, scenes: Sequence[Scene], canvas: tuple[int, int], track: Track, bank: PoseBank | None = None):
        """Raises `UserError` for a bank with pictures of the benchmark, `ValueError` for "rag" without a bank."""
        if track == "rag":
            if bank is None:
                raise ValueError("the rag track needs a bank")
            check_held_out(bank.entries, [scene.image for scene in scenes])
        self.scenes = {scene.image: scene for scene in scenes}
        self.canvas, self.track, self._bank = canvas, track, bank

    def true(self, image: str, size: tuple[int, int] | None = None) -> TruePeople:
        """The people of the photo, on a picture of `size`, by default on the canvas."""
        scene = self.scenes[image]
        return moved(moved(scene.truth, scene.size, self.canvas), self.canvas, size or self.canvas)

    def given(self, image: str, size: tuple[int, int] | None = None) -> TruePeople | None:
        """The people whose skeleton the track gives, on a picture of `size`; None where it gives none.

        In the rag track they are what any pipeline with the same bank retrieves for the prompt. Boxes are of whole
        people.
        """
        if self.track == "none":
            return None
        people = self.true(image) if self.track == "oracle" else self._retrieved[image]
        return moved(people, self.canvas, size or self.canvas)

    def pose(self, image: str) -> str | GivenPose:
        """The pose of a scene's request."""
        if self.track == "oracle":
            return GivenPose(self.true(image).people.astype(np.float32))
        return "auto" if self.track == "rag" else "none"

    @functools.cached_property
    def _retrieved(self) -> dict[str, TruePeople]:
        assert self._bank is not None
        scenes = list(self.scenes.values())
        prompts, people = [scene.prompt for scene in scenes], [len(scene.people) for scene in scenes]
        found = Retriever(self._bank).retrieve(prompts, people, self.canvas)
        return {scene.image: skeleton_people(best[0].people) for scene, best in zip(scenes, found, strict=True)}

    def bounds(self, images: Sequence[str]) -> Mapping[str, Figure]:
        """What pictures of some scenes score that show just this, without any estimator.

        blind_oks_abs, blind_oks_box: the people of other scenes, each scene's against those of the ten next, of all.
        retrieved_oks_abs, retrieved_oks_box: the retrieved people (rag).
        """
        every = {image: self.true(image) for image in self.scenes}
        ring, count = [*every.values()] * 2, min(BLIND_SHIFTS, len(every) - 1)
        following = {image: ring[place + 1 : place + 1 + count] for place, image in enumerate(every)}
        truths = [every[image] for image in images]
        figures = _taken(truths, [following[image] for image in images], "blind")
        if self.track == "rag":
            figures |= _taken(truths, [[self._retrieved[image]] for image in images], "retrieved")
        return figures


def around(people: Float[np.ndarray, "P 17 3"]) -> Float[np.ndarray, "P 4"]:
    """Boxes (x, y, width, height) of whole people, by their joints."""
    x0, y0, x1, y1 = joint_boxes(people).astype(np.float64).T
    sides = np.stack([x1 - x0, y1 - y0], axis=1) * JOINT_BOX
    return np.concatenate([np.stack([x0 + x1, y0 + y1], axis=1) / 2 - sides / 2, sides], axis=1)


def skeleton_people(people: Float[np.ndarray, "P J 3"]) -> TruePeople:
    """People of whom only a skeleton is known, with boxes of whole people (`around`)."""
    truth = TruePeople.drawn(people.astype(np.float64))
    return TruePeople(truth.people, truth.areas, around(truth.people), truth.crowd)


def _taken(truths: Sequence[TruePeople], found: Sequence[Sequence[TruePeople]], name: str) -> dict[str, Figure]:
    """What people score who are taken for those found in a picture; nothing where there are none."""
    if not any(found):
        return {}
    values = [
        [pose_values(truth, FoundPeople(other.people, np.ones(len(other.people)))) for other in others]
        for truth, others in zip(truths, found, strict=True)
    ]
    return {
        f"{name}_{figure}": mean_figure([[v for value in row for v in value[key]] for row in values])
        for figure, key in (("oks_abs", "oks"), ("oks_box", "oks_box"))
    }
