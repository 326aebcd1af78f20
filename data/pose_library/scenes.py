"""Random scenes for training pictures: solo actions side by side, or people acting together.

The held-out part: a combination of solo actions belongs to "test" when the CRC-32 of its sorted names joined by "+"
is 0 modulo 10, and to "train" otherwise; all of a scene's geometry (jitter, turn, body, layout) comes from a pose
seed that is 0 modulo 10 in "test" and never in "train". So no combination of solo actions, and no pose of any action,
is in both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from data.pose_library.actions import GROUPS, SOLOS, Solo
from data.pose_library.figures import Figures, figures
from data.pose_library.kinematics import ADULT, CHILD

SPLITS = ("train", "test")
HELD_OUT = 10  # one in ten
TOGETHER = 0.35  # share of joint actions where several people are asked for
# Smallest height of an adult on the canvas, by the number of people: wide poses that would need less are not combined.
SMALLEST = {1: 0.0, 2: 0.52, 3: 0.5}


@dataclass(frozen=True)
class Person:
    """What one person does: the action's name and its present participle ("waving hello")."""

    action: str
    clause: str


@dataclass(frozen=True)
class Scene:
    """People on a unit canvas (x right, y down, both in [0, 1]), ordered left to right by the x of their necks."""

    name: str  # the action's name: "wave+sit" (left to right) or "hug"
    people: Float[np.ndarray, "P 17 3"]  # x, y, visibility (2 visible, 1 hidden)
    depth: Float[np.ndarray, "P 17"]  # in canvas heights, larger is nearer to the viewer
    facing: Float[np.ndarray, "P"]  # -1 looks left, 0 at the viewer or away, 1 right
    clauses: tuple[str, ...] | None  # of each person; None for a joint action
    joint_clause: str | None  # of people acting together ("hugging each other"); None otherwise
    order: tuple[int, ...]  # painting order, back to front
    seed: int  # the pose seed

    @property
    def actors(self) -> tuple[Person, ...] | None:
        """Action and clause of each person; None for a joint action."""
        if self.clauses is None:
            return None
        return tuple(Person(a, c) for a, c in zip(self.name.split("+"), self.clauses, strict=True))


def held_out(names: Iterable[str]) -> bool:
    """Whether a combination of two or more solo actions belongs to the split "test" (see the module)."""
    return zlib.crc32("+".join(sorted(names)).encode()) % HELD_OUT == 0


def sample_scene(rng: np.random.Generator, people: int, split: str = "train") -> Scene:
    """A random scene of `people` (1 to 3) people, of `split` "train" or "test" (see the module for the rule).

    Raises ValueError for another number of people or an unknown split.
    """
    if people not in SMALLEST:
        raise ValueError(f"a scene has 1 to 3 people, not {people}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: one of {SPLITS}")
    together = [group for group in GROUPS if group.people == people]
    if together and rng.random() < TOGETHER:
        group = together[rng.integers(len(together))]
        seed = _pose_seed(rng, split)
        pose_rng = np.random.default_rng(seed)
        flip = group.mirror and pose_rng.random() < 0.5
        drawn = figures(group, pose_rng, flip=flip, yaw=pose_rng.uniform(-1, 1) * group.spread)
        joints, depth = _fit(drawn, pose_rng)
        order = tuple(int(i) for i in np.argsort(depth[:, [5, 6, 11, 12]].mean(1), kind="stable"))
        clause = group.clauses[rng.integers(len(group.clauses))]
        return Scene(group.name, joints, depth, drawn.facing, None, clause, order, seed)
    while True:  # ends soon: nine (or one) in ten combinations are of the split, and most of them fit
        actions = _combination(rng, people)
        if people > 1 and held_out(action.name for action in actions) != (split == "test"):
            continue
        scene = _side_by_side(rng, actions, _pose_seed(rng, split))
        if scene is not None:
            return scene


def _pose_seed(rng: np.random.Generator, split: str) -> int:
    rest = 0 if split == "test" else int(rng.integers(1, HELD_OUT))
    return int(rng.integers(2**40)) * HELD_OUT + rest


def _combination(rng: np.random.Generator, people: int) -> list[Solo]:
    """Different actions mostly; one time in twenty all do the same."""
    if people > 1 and rng.random() < 0.05:
        return [SOLOS[rng.integers(len(SOLOS))]] * people
    return [SOLOS[i] for i in rng.choice(len(SOLOS), people, replace=False)]


def _side_by_side(rng: np.random.Generator, actions: list[Solo], seed: int) -> Scene | None:
    """The actions from left to right, nobody before anybody else; None if they would be too small."""
    pose_rng, people = np.random.default_rng(seed), len(actions)
    row, near = [], pose_rng.uniform(0.94, 1.06, people)
    for action in actions:
        body = CHILD if pose_rng.random() < 0.2 else ADULT
        flip = action.mirror and pose_rng.random() < 0.5
        yaw = pose_rng.uniform(-1, 1) * action.spread
        row.append(figures(action, pose_rng, flip=flip, yaw=yaw, body=body))
    if people == 1:
        joints, depth = _fit(row[0], pose_rng)
    else:
        joints, depth = _row(row, near, pose_rng)
        if depth is None:
            return None
    facing = np.concatenate([f.facing for f in row])
    neck = joints[:, 5:7, 0].mean(1)
    if np.any(np.diff(neck) <= 0):  # a neck that leans over its neighbour's: the names would change places
        return None
    clauses = tuple(action.clauses[rng.integers(len(action.clauses))] for action in actions)
    order = tuple(int(i) for i in np.argsort(near, kind="stable"))
    return Scene("+".join(a.name for a in actions), joints, depth, facing, clauses, None, order, seed)


def _fit(drawn: Figures, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One person, or people acting together, on the unit canvas: as high as 68 to 94 % of it, or as wide as 94 %."""
    left, top, right, bottom = drawn.box
    scale = min(rng.uniform(0.7, 0.94) / (bottom - top), 0.94 / (right - left))
    free = np.array([1 - scale * (right - left), 1 - scale * (bottom - top)]) - 0.04
    shift = 0.02 + np.array([rng.uniform(0.25, 0.75), rng.uniform(0.5, 0.95)]) * free
    return _placed(drawn.people, scale, shift - scale * np.array([left, top])), drawn.depth * scale


def _row(
    row: list[Figures], near: Float[np.ndarray, "P"], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """People beside each other on one ground, the nearer ones larger and lower; no depth if they would be too small."""
    boxes = np.stack([f.box * n for f, n in zip(row, near, strict=True)])
    drop = 0.35 * (near - 1)  # a nearer person stands lower in the picture
    widths, top, bottom = boxes[:, 2] - boxes[:, 0], (boxes[:, 1] + drop).min(), (boxes[:, 3] + drop).max()
    limit = min(0.96 / widths.sum(), 0.95 / (bottom - top))
    scale = limit * rng.uniform(0.9, 1.0)
    if scale < SMALLEST[len(row)]:
        return boxes, None
    free = 0.96 - scale * widths.sum()
    gaps = rng.dirichlet(np.full(len(row) + 1, 4.0)) * free
    y = 0.02 + rng.uniform(0.5, 0.95) * (0.96 - scale * (bottom - top)) - scale * top
    x, joints, depth = 0.02, [], []
    for i, figure in enumerate(row):
        x += gaps[i]
        shift = np.array([x - scale * boxes[i, 0], y + scale * drop[i]])
        joints.append(_placed(figure.people, scale * near[i], shift))
        depth.append((figure.depth + 3 * (near[i] - near.mean())) * scale)
        x += scale * widths[i]
    return np.concatenate(joints), np.concatenate(depth)


def _placed(people: np.ndarray, scale: float, shift: np.ndarray) -> np.ndarray:
    out = people.copy()
    out[..., :2] = people[..., :2] * scale + shift
    return out
