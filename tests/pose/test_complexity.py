import numpy as np
import pytest

from astra_jax.pose.complexity import STANDING, STANDING_ASPECT, complexity


def standing(count=1, scale=100.0):
    people = np.full((count, 17, 3), 2.0)
    people[..., :2] = STANDING * [STANDING_ASPECT * scale, scale]
    people[..., 0] += np.arange(count)[:, None] * scale
    return people.astype(np.float32)


def boxes(*rows):
    return np.array(rows, np.float32)


APART = boxes((0, 0, 40, 100), (100, 0, 40, 100))


def test_people_who_stand_are_not_complex():
    assert complexity(standing(2), APART) == pytest.approx(0, abs=1e-6)
    assert complexity(standing(1, scale=7), APART[:1]) == pytest.approx(0, abs=1e-6)


def test_what_is_not_labelled_does_not_count():
    people = standing()
    people[0, 11:, 2] = 0  # no legs: compared with the upper half of the standing one
    people[0, 11:, :2] = 0
    assert complexity(people, APART[:1]) == pytest.approx(0, abs=1e-6)


def test_a_lying_person_is_complex():
    people = standing()
    people[..., :2] = people[..., 1::-1]
    assert complexity(people, APART[:1]) > 0.7


def test_overlap_by_hand():
    # Boxes of 10 x 10 that share 5 x 10: IoU 50 / 150, half of which counts.
    pair = boxes((0, 0, 10, 10), (5, 0, 10, 10))
    assert complexity(standing(2), pair) == pytest.approx(0.5 / 3, abs=1e-6)
    three = boxes((0, 0, 10, 10), (5, 0, 10, 10), (50, 0, 10, 10))
    assert complexity(standing(3), three) == pytest.approx(0.5 / 3 / 3, abs=1e-6)


def test_one_displaced_joint_by_hand():
    # A knee moved sideways within the box by k sqrt(2 area) has exp(-1) left; 16 joints have 1.
    people = standing(scale=1000.0)
    area = 0.53 * (STANDING_ASPECT * np.ptp(STANDING[:, 0])) * np.ptp(STANDING[:, 1])
    people[0, 13, 0] -= 1000 * 2 * 0.087 * np.sqrt(2 * area)
    assert complexity(people, APART[:1]) == pytest.approx((1 - np.exp(-1)) / 17, rel=1e-4)


def test_a_person_in_one_point():
    people = standing()
    people[..., :2] = 5
    assert np.isfinite(complexity(people, APART[:1]))
