"""Held-out scenes as stages: people, poses and place of a scene that can be exchanged one by one and drawn again."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8

from data.pose_library.scenes import Scene, sample_scene
from data.puppets.backgrounds import BACKGROUNDS, paint_background
from data.puppets.canvas import SUPERSAMPLING
from data.puppets.drawing import draw_scene
from data.puppets.examples import draw_portrait, fit, is_child, keypoints, solid_joints
from data.puppets.identity import Identity, sample_identity
from data.puppets.prompts import Prompt, write_prompt

SPLIT = "test"
ALIKE = 0.6  # share of scenes whose people share their sex by intent; half of the other pairs do so by chance


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """One scene of the split "test": what a picture of it is asked with, and all that is needed to draw the truth."""

    scene: Scene
    cast: tuple[Identity, ...]
    background: str
    prompt: Prompt
    portraits: tuple[UInt8[np.ndarray, "S S 3"], ...]
    size: int  # pixels a side
    seed: tuple[int, ...]  # of the place's details

    @property
    def actions(self) -> tuple[str, ...]:
        """The action of each person, or the one action that all do together."""
        return tuple(self.scene.name.split("+")) if self.scene.clauses is not None else (self.scene.name,)

    def drawing(
        self, cast: tuple[Identity, ...] | None = None, background: str | None = None
    ) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"]]:
        """The picture and whose each pixel is (0 nobody's), with other people or another place if given."""
        place = paint_background(
            background or self.background, np.random.default_rng(self.seed), self.size * SUPERSAMPLING
        )
        joints = solid_joints(self.scene) * self.size
        return draw_scene(joints, list(cast or self.cast), place, self.scene.order)

    def people(self) -> Float[np.ndarray, "P 17 3"]:
        """COCO joints in pixels, as the training's skeletons show them."""
        owners = self.drawing()[1]
        return np.stack([keypoints(person, owners, i) for i, person in enumerate(self.scene.people)])


def make_stage(seed: int, people: int, index: int, size: int = 128) -> Stage:
    """Stage `index` of those with `people` people; it depends on these numbers alone."""
    key = (seed, people, index)
    rng = np.random.default_rng(key)
    scene = fit(sample_scene(rng, people, SPLIT))
    alike, female = rng.random() < ALIKE, rng.random(people) < 0.5
    kinds = [
        _kind(is_child(joints), bool(female[0 if alike else i])) for i, joints in enumerate(solid_joints(scene))
    ]
    cast = tuple(sample_identity(rng, kind, SPLIT) for kind in kinds)
    background = list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    prompt = write_prompt(rng, kinds, background, scene.clauses, scene.joint_clause)
    actions = scene.name.split("+") if scene.clauses is not None else [scene.name] * people
    portraits = tuple(
        draw_portrait(who, rng, size, SPLIT, avoid=action) for who, action in zip(cast, actions, strict=True)
    )
    return Stage(scene, cast, background, prompt, portraits, size, key)


def _kind(child: bool, female: bool) -> str:
    return ("girl" if female else "boy") if child else ("woman" if female else "man")
