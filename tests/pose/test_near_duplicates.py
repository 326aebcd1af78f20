import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.pose import near_duplicates as module
from astra_jax.pose.near_duplicates import SAME_POSE, near_duplicates
from astra_jax.pose.oks import BOX_FILL, oks_matrix
from astra_jax.pose.skeleton import boxes


def moved(people, scale, x, y):
    people = people.copy()
    people[..., :2] = people[..., :2] * scale + [x, y]
    return people


def noisy(people, seed, size):
    people = people.copy()
    people[..., :2] += np.random.default_rng(seed).normal(scale=size, size=people[..., :2].shape)
    return people


def test_moved_and_scaled_scenes_are_duplicates(make_people):
    one, two = make_people(1), make_people(2)
    scenes = [one, two, moved(one, 3, 50, 7), moved(two, 0.5, -4, 1), noisy(one, 1, 20)]
    assert near_duplicates(scenes, [1, 1, 1, 1, 1]).tolist() == [False, False, True, True, False]


def test_the_better_one_stays_and_a_dropped_one_drops_nobody(make_people):
    one = make_people(1)
    assert near_duplicates([one, moved(one, 2, 0, 0)], [0.5, 0.9]).tolist() == [True, False]
    # A chain: the middle one is like both ends, which are not alike; it is dropped by the first and drops nobody.
    # A knee by one step has exp(-1.5) left, by two exp(-6).
    x0, y0, x1, y1 = boxes(one)[0]
    step = 2 * 0.087 * np.sqrt(2 * 1.5 * BOX_FILL * (x1 - x0) * (y1 - y0))
    steps = [one.copy() for _ in range(3)]
    for i in range(3):
        steps[i][0, 13, 0] -= i * step
    near = (
        near_duplicates(steps[:2], [2, 1])[1],
        near_duplicates(steps[1:], [2, 1])[1],
        near_duplicates(steps[::2], [2, 1])[1],
    )
    assert near == (True, True, False)
    assert near_duplicates(steps, [3, 2, 1]).tolist() == [False, True, False]


def test_people_of_a_pair_must_stand_alike(make_people):
    pair = make_people(2)
    closer = pair.copy()
    closer[1, :, 0] -= 20
    assert not near_duplicates([pair, closer], [1, 1]).any()


def test_a_joint_that_one_lacks_counts_as_nothing(make_people):
    one = make_people(1)
    lacking = one.copy()
    lacking[0, 3, 2] = 0  # an ear inside the box: 16 of 17 joints agree, which is 0.94
    assert not near_duplicates([one, lacking], [1, 1]).any()


def reference(scenes):
    """The rule by COCO's OKS, pair by pair, all scenes with one person and all joints."""
    points = []
    for scene in scenes:
        x0, y0, x1, y1 = boxes(scene)[0]
        points.append(moved(scene, 1, -x0, -y0) / [max(x1 - x0, y1 - y0)] * [1, 1, 1])
        points[-1][..., 2] = 2
    dropped = np.zeros(len(scenes), bool)
    for i, a in enumerate(points):
        x0, y0, x1, y1 = boxes(a)[0]
        for j in range(i + 1, len(points)):
            same = oks_matrix(a, np.array([BOX_FILL * (x1 - x0) * (y1 - y0)]), points[j])[0, 0] > SAME_POSE
            dropped[j] |= same and not dropped[i]
    return dropped


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 4))
def test_equals_the_rule_by_cocos_oks(seed, size):
    rng = np.random.default_rng(seed)
    person = np.concatenate([rng.uniform(0, 100, (1, 17, 2)), np.full((1, 17, 1), 2)], axis=2).astype(np.float32)
    scenes = [noisy(person, seed + i, size) for i in range(12)]
    np.testing.assert_array_equal(near_duplicates(scenes, np.zeros(12)), reference(scenes))


def test_blocks_make_no_difference(make_people, monkeypatch):
    rng = np.random.default_rng(0)
    scenes = [noisy(make_people(1, 0), int(rng.integers(40)), 4) for _ in range(90)]
    whole = near_duplicates(scenes, rng.random(90))
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(module, "_COLUMNS", 16)
    rng = np.random.default_rng(0)
    scenes = [noisy(make_people(1, 0), int(rng.integers(40)), 4) for _ in range(90)]
    np.testing.assert_array_equal(near_duplicates(scenes, rng.random(90)), whole)
    assert 0 < whole.sum() < 90


def test_nothing():
    assert near_duplicates([], []).shape == (0,)


@pytest.mark.parametrize("points", [17, 133])
def test_only_the_body_counts(make_people, make_whole_people, points):
    whole = make_whole_people(1)
    other = whole[:, :points].copy()
    other[:, 17:, :2] += 30
    assert near_duplicates([whole, other], [1, 1]).tolist() == [False, True]
