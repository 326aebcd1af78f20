"""Held-out scenes as stages: the people and the place of a scene can be exchanged, and it is drawn again."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, UInt8

from data.pose_library.scenes import Scene, sample_scene
from data.puppets.backgrounds import BACKGROUNDS, paint_background
from data.puppets.canvas import SUPERSAMPLING
from data.puppets.drawing import draw_scene
from data.puppets.examples import draw_portrait, fit, is_child, keypoints, solid_joints
from data.puppets.identity import Identity, sample_identity
from data.puppets.prompts import Prompt, write_prompt

SPLIT = "test"  # identities, poses and combinations of actions that are in no training set
ALIKE = 0.6  # share of scenes whose people are all of one sex on purpose, since those are mistaken for one another

DISTRACTORS = 7  # identities that each person is told from, beside those of the scene


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """One scene: what a picture of it is asked with, and all that is needed to draw the true one."""

    scene: Scene
    cast: tuple[Identity, ...]
    background: str
    prompt: Prompt
    portraits: tuple[UInt8[np.ndarray, "S S 3"], ...]
    size: int  # pixels a side
    key: tuple[int, int, int]  # seed, number of people, index: everything random comes from them

    def drawing(
        self, cast: tuple[Identity, ...] | None = None, background: str | None = None, scene: Scene | None = None
    ) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"]]:
        """The picture and whose each pixel is (0 nobody's), with other people, place or poses if given."""
        scene, details = scene or self.scene, np.random.default_rng([*self.key, 0])
        place = paint_background(background or self.background, details, self.size * SUPERSAMPLING)
        return draw_scene(solid_joints(scene) * self.size, list(cast or self.cast), place, scene.order)

    @functools.cached_property
    def _true(self) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"]]:
        return self.drawing()

    @property
    def picture(self) -> UInt8[np.ndarray, "S S 3"]:
        """The true picture."""
        return self._true[0]

    @property
    def owners(self) -> UInt8[np.ndarray, "S S"]:
        """Whose each pixel of the true picture is: 0 nobody's, i + 1 person i's."""
        return self._true[1]

    @functools.cached_property
    def people(self) -> Float[np.ndarray, "P 17 3"]:
        """COCO joints in pixels, as the skeletons of the training show them."""
        return np.stack([keypoints(person, self.owners, i) for i, person in enumerate(self.scene.people)])

    @functools.cached_property
    def distractors(self) -> list[list[Identity]]:
        """For each person `DISTRACTORS` identities of the same kind that are not in the scene."""
        rng = np.random.default_rng([*self.key, 1])
        return [[sample_identity(rng, who.kind, SPLIT) for _ in range(DISTRACTORS)] for who in self.cast]


def make_stage(seed: int, people: int, index: int, size: int = 128) -> Stage:
    """Stage `index` of those with `people` (1 to 3) people; it depends on these numbers alone."""
    key = (seed, people, index)
    rng = np.random.default_rng(key)
    scene = fit(sample_scene(rng, people, SPLIT))
    alike, female = rng.random() < ALIKE, rng.random(people) < 0.5
    kinds = [
        ("girl" if woman else "boy") if is_child(joints) else ("woman" if woman else "man")
        for joints, woman in zip(solid_joints(scene), female[[0] * people] if alike else female, strict=True)
    ]
    cast = tuple(sample_identity(rng, kind, SPLIT) for kind in kinds)
    background = list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    prompt = write_prompt(rng, kinds, background, scene.clauses, scene.joint_clause)
    actions = [scene.name] * people if scene.clauses is None else scene.name.split("+")
    portraits = (draw_portrait(who, rng, size, SPLIT, avoid) for who, avoid in zip(cast, actions, strict=True))
    return Stage(scene, cast, background, prompt, tuple(portraits), size, key)
