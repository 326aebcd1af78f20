"""A small bank of drawn-up people, and people whose joints can be told apart."""

import numpy as np
import pytest

from astra_jax.pose.database import PoseBank, PoseEntry

STANDING = np.array(
    [(50, 12), (53, 9), (47, 9), (57, 11), (43, 11), (62, 25), (38, 25), (66, 42), (34, 42), (68, 58), (32, 58),
     (58, 56), (42, 56), (58, 75), (42, 75), (58, 94), (42, 94)], np.float32
)  # fmt: skip

ACTIONS = {
    "wave": ("a man waving hello", "a person waves a hand"),
    "jump": ("a girl jumping high", "somebody jumps"),
    "sit": ("a boy sitting on a bench", "a person sits down"),
    "hug": ("two men hugging each other", "a man and a woman in a hug"),
    "dance": ("two people dancing together", "a couple dances"),
    "race": ("three women running a race",),
}
COUNTS = {"wave": 1, "jump": 1, "sit": 1, "hug": 2, "dance": 2, "race": 3}


def crowd(count: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    """`count` people side by side on a 100 x 100 picture, a little different for every seed."""
    noise = np.random.default_rng(seed).normal(size=(count, 17, 2))
    people = np.full((count, 17, 3), 2, np.float32)
    people[..., :2] = STANDING / (count, 1) + noise * 0.3
    people[..., 0] += np.arange(count)[:, None] * 100 / count + shift
    return people


def whole_crowd(count: int, seed: int = 0) -> np.ndarray:
    """The people of `crowd` with feet below the ankles, a face around the nose and hands around the wrists."""
    people = np.full((count, 133, 3), 2, np.float32)
    people[:, :17] = crowd(count, seed)
    spread = np.random.default_rng(seed + 1).uniform(-3, 3, (count, 116, 2))
    at = np.repeat([15, 16, 0, 9, 10], [3, 3, 68, 21, 21])  # the joint that each further point lies around
    people[:, 17:, :2] = people[:, at, :2] + spread
    return people


def entry(action: str, seed: int = 0, **changes) -> PoseEntry:
    values = {"id": f"{action}-{seed}", "people": crowd(COUNTS[action], seed), "height": 100, "width": 100,
              "captions": ACTIONS[action], "action": action, "source": "test", "licence": "CC0-1.0"}  # fmt: skip
    return PoseEntry(**{**values, **changes})


@pytest.fixture(scope="session")
def entries() -> list[PoseEntry]:
    return [entry(action) for action in ACTIONS]


@pytest.fixture(scope="session")
def bank(entries) -> PoseBank:
    return PoseBank.build(entries)


@pytest.fixture
def make_entry():
    return entry


@pytest.fixture
def make_people():
    return crowd


@pytest.fixture
def make_whole_people():
    return whole_crowd
