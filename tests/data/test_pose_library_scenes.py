"""Random scenes of the pose library: on the canvas, apart, held-out combinations kept apart, the same for a seed."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import pytest

from data.pose_library.actions import ACTIONS
from data.pose_library.scenes import HELD_OUT, held_out, sample_scene

COUNT = 24


@pytest.fixture(scope="module")
def scenes():
    return {
        (people, split): [
            sample_scene(np.random.default_rng([people, len(split), i]), people, split) for i in range(COUNT)
        ]
        for people in (1, 2, 3)
        for split in ("train", "test")
    }


def each(scenes):
    return list(itertools.chain.from_iterable(scenes.values()))


def test_shapes_and_order(scenes):
    for (people, _), found in scenes.items():
        for scene in found:
            assert scene.people.shape == (people, 17, 3)
            assert scene.depth.shape == (people, 17)
            assert scene.facing.shape == (people,)
            assert (np.abs(scene.facing) <= 1).all()
            assert (np.diff(scene.people[:, 5:7, 0].mean(1)) >= 0).all()
            assert sorted(scene.order) == list(range(people))
            assert set(np.unique(scene.people[..., 2])) <= {1, 2}


def test_words_belong_to_the_actions(scenes):
    for scene in each(scenes):
        assert (scene.clauses is None) != (scene.joint_clause is None)
        if scene.clauses is None:
            assert scene.joint_clause in ACTIONS[scene.name].clauses
            assert scene.actors is None
        else:
            assert len(scene.clauses) == len(scene.people)
            for actor in scene.actors:
                assert actor.clause in ACTIONS[actor.action].clauses
    for people in (2, 3):
        joint = [scene.clauses is None for scene in scenes[people, "train"]]
        assert 0.05 < np.mean(joint) < 0.75


def test_joints_are_inside_the_canvas(scenes):
    for scene in each(scenes):
        assert (scene.people[..., :2] >= 0.02).all()
        assert (scene.people[..., :2] <= 0.98).all()


def test_people_fill_the_canvas(scenes):
    spans = {}
    for (people, split), found in scenes.items():
        for scene in found:
            span = np.ptp(scene.people[..., :2].reshape(-1, 2), axis=0)
            spans.setdefault(people, []).append(span)
            assert span.max() > 0.5, (split, scene.name)
    for people, span in spans.items():
        assert np.median(np.array(span).max(1)) > 0.65, people


def test_people_side_by_side_do_not_hide_each_other(scenes):
    for scene in each(scenes):
        if scene.clauses is None or len(scene.people) == 1:
            continue
        low, high = scene.people[..., 0].min(1), scene.people[..., 0].max(1)
        assert (low[1:] >= high[:-1]).all(), scene.name


def test_held_out_rule_by_hand():
    assert held_out(["wave", "jump"]) == held_out(["jump", "wave"]) == (zlib.crc32(b"jump+wave") % 10 == 0)
    share = np.mean([held_out(pair) for pair in itertools.combinations(list(ACTIONS)[:60], 2)])
    assert 0.07 < share < 0.13


def test_test_scenes_never_occur_in_training(scenes):
    for (people, split), found in scenes.items():
        for scene in found:
            assert (scene.seed % HELD_OUT == 0) == (split == "test")
            if people > 1 and scene.clauses is not None:
                assert held_out(scene.name.split("+")) == (split == "test"), scene.name
    for people in (2, 3):
        names = [
            {tuple(sorted(s.name.split("+"))) for s in scenes[people, split] if s.clauses is not None}
            for split in ("train", "test")
        ]
        assert not names[0] & names[1]


def test_combinations_are_mostly_of_different_actions(scenes):
    mixed = [len(set(s.name.split("+"))) > 1 for n in (2, 3) for s in scenes[n, "train"] if s.clauses is not None]
    assert np.mean(mixed) > 0.7


def test_same_seed_same_scene():
    for people in (1, 2, 3):
        a, b = (sample_scene(np.random.default_rng(7), people) for _ in range(2))
        assert (a.name, a.clauses, a.joint_clause, a.order, a.seed) == (
            b.name,
            b.clauses,
            b.joint_clause,
            b.order,
            b.seed,
        )
        np.testing.assert_array_equal(a.people, b.people)
        np.testing.assert_array_equal(a.depth, b.depth)
    assert sample_scene(np.random.default_rng(8), 1).seed != sample_scene(np.random.default_rng(7), 1).seed


@pytest.mark.parametrize(("people", "split"), [(0, "train"), (4, "train"), (1, "valid")])
def test_wrong_arguments_are_refused(people, split):
    with pytest.raises(ValueError, match="1 to 3 people|unknown split"):
        sample_scene(np.random.default_rng(0), people, split)
