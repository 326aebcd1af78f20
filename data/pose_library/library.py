"""The entries of the pose bank: every action in several views, and some solo actions side by side."""

from __future__ import annotations

import zlib

import numpy as np

from astra_jax.pose.database import PoseEntry
from data.pose_library.actions import ACTIONS, Group, Solo
from data.pose_library.figures import Figures, figures
from data.pose_library.scenes import Scene, sample_scene

LICENCE = "Apache-2.0"
SOURCE = "astra_jax pose library"
HEIGHT = 512  # of a canvas, pixels
VIEWS = 2  # of each action: the plain one, then jittered, turned and mirrored ones
SIDE_BY_SIDE = {2: 16, 3: 8}  # combinations of solo actions, by the number of people
SEED = 20_250


def entries() -> tuple[PoseEntry, ...]:
    """All entries, always the same: `VIEWS` of every action, then combinations of the split "train" (see `scenes`).

    The views of an action share out its captions, because each caption of each entry costs a vector.
    """
    views = [_view(action, view) for action in ACTIONS.values() for view in range(VIEWS)]
    return (*views, *_combinations())


def _view(action: Solo | Group, view: int) -> PoseEntry:
    rng = None
    flip, yaw = False, 0.0
    if view:
        # From the name, so that a new action does not change the entries of the others.
        rng = np.random.default_rng([SEED, view, zlib.crc32(action.name.encode())])
        flip = action.mirror and view % 2 == 1
        yaw = float(rng.choice([-1, 1]) * rng.uniform(0.4, 1) * action.spread)
    people, width = _canvas(figures(action, rng, flip=flip, yaw=yaw))
    return _entry(f"{action.name}-{view}", people, width, action.captions[view::VIEWS], action.name)


def _canvas(drawn: Figures) -> tuple[np.ndarray, int]:
    """Joints in pixels and the canvas's width: a margin of 6 % around, sides between 3:4 and 4:3."""
    left, top, right, bottom = drawn.box
    size = np.array([right - left, bottom - top]) * 1.12
    ratio = float(np.clip(size[0] / size[1], 3 / 4, 4 / 3))
    width = round(HEIGHT * ratio)
    scale = min(width / size[0], HEIGHT / size[1])
    people = drawn.people.copy()
    centre = np.array([left + right, top + bottom]) / 2
    people[..., :2] = (people[..., :2] - centre) * scale + np.array([width, HEIGHT]) / 2
    return people, width


def _combinations() -> list[PoseEntry]:
    out = []
    for people, count in SIDE_BY_SIDE.items():
        rng, seen = np.random.default_rng([SEED, people]), set[str]()
        while len(seen) < count:
            scene = sample_scene(rng, people, "train")
            if scene.clauses is None or scene.name in seen:
                continue
            seen.add(scene.name)
            joints = scene.people * np.array([HEIGHT, HEIGHT, 1])
            out.append(_entry(scene.name, joints, HEIGHT, combination_captions(scene), scene.name))
    return out


def combination_captions(scene: Scene) -> tuple[str, ...]:
    """Three captions of people who each do something of their own, left to right."""
    assert scene.clauses is not None
    *first, last = scene.clauses
    number = {2: "two", 3: "three"}[len(scene.clauses)]
    return (
        f"{number} people, " + ", ".join(f"one {c}" for c in first) + f" and one {last}",
        ", ".join(f"a person {c}" for c in first) + f" next to a person {last}",
        f"{number} people side by side: {', '.join(first)} and {last}",
    )


def _entry(name: str, people: np.ndarray, width: int, captions: tuple[str, ...], action: str) -> PoseEntry:
    people = people.copy()
    people[..., :2] = np.round(people[..., :2], 1)  # a tenth of a pixel: the bank packs better
    return PoseEntry(name, people, HEIGHT, width, captions, action, source=SOURCE, licence=LICENCE)
