"""Keypoint AP on small random scenes against pycocotools: crowds, people without labels, every size, ties."""

import numpy as np
import pytest

from astra_jax.pose.average_precision import FoundPeople, TruePeople, keypoint_ap
from tests.parity.cocoapi import figures


def random_picture(rng: np.random.Generator) -> tuple[TruePeople, FoundPeople]:
    count = int(rng.integers(0, 6))
    # Sides around COCO's limits of 32 and 96 pixels; people stand close enough to be taken for each other.
    sides = rng.choice([10, 25, 32, 60, 96, 200], size=(count, 1, 1))
    people = np.concatenate([rng.random((count, 17, 2)) * sides + rng.random((count, 1, 2)) * 60,
                             rng.choice([0, 1, 2], p=[0.2, 0.1, 0.7], size=(count, 17, 1))], axis=-1)  # fmt: skip
    people[rng.random(count) < 0.15, :, 2] = 0
    people[..., :2] *= people[..., 2:] > 0
    if count > 1 and rng.random() < 0.3:
        people[1] = people[0]  # equally like every guess
    low = rng.random((count, 2)) * 100
    truth = TruePeople(
        people,
        (sides[:, 0, 0] ** 2 * rng.choice([0.53, 1.0], size=count)).astype(float),
        np.concatenate([low, np.repeat(sides[:, :, 0], 2, axis=1)], axis=1).astype(float),
        rng.random(count) < 0.2,
    )
    copies = np.repeat(people, rng.integers(0, 9, size=count), axis=0)
    noise = rng.normal(size=(len(copies), 17, 2)) * rng.choice([0, 0.5, 3, 20], size=(len(copies), 1, 1))
    strangers = rng.random((int(rng.integers(0, 3)), 17, 3)) * [rng.choice([20, 50, 150, 300]), 200, 1]
    copies[..., :2] += noise
    guesses = np.concatenate([copies, strangers])
    rng.shuffle(guesses)
    scores = rng.integers(0, 8, size=len(guesses)) / 8  # many equal
    return truth, FoundPeople(guesses, scores)


@pytest.mark.parametrize("seed", range(20))
def test_every_figure_is_cocoapi_s(seed):
    rng = np.random.default_rng(seed)
    pictures = [random_picture(rng) for _ in range(int(rng.integers(2, 25)))]
    ours, theirs = keypoint_ap(pictures), figures(pictures)
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert list(ours) == list(theirs)


def test_nobody_to_find_is_minus_one():
    truth, found = random_picture(np.random.default_rng(3))
    crowd = TruePeople(truth.people, truth.areas, truth.boxes, np.ones(len(truth.people), bool))
    assert len(truth.people)
    assert keypoint_ap([(crowd, found)]) == figures([(crowd, found)]) == dict.fromkeys(figures([(crowd, found)]), -1.0)
