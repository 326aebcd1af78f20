"""What one picture scores as one of people in given poses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.evaluation.pose_scores import pose_values, precision_figure, silhouette_iou
from astra_jax.pose.average_precision import FoundPeople, TruePeople
from astra_jax.pose.oks import SIGMAS, box_oks_matrix


def person(x, y=10.0, scale=1.0):
    """Joints on a slanted line of a box of 16 x 32 pixels."""
    steps = np.arange(17.0)[:, None]
    return np.concatenate([np.array([x, y]) + scale * steps * np.array([1.0, 2.0]), np.full((17, 1), 2.0)], axis=1)


def found(*people):
    return FoundPeople(np.array(people).reshape(-1, 17, 3), np.ones(len(people)))


def true(*people):
    return TruePeople.drawn(np.array(people))


def test_oks_by_hand_and_by_the_best_assignment():
    truth = true(person(0), person(100))
    area = 0.53 * 16 * 32
    near = person(100)
    near[:, 0] += 2
    values = pose_values(truth, found(near, person(0)))
    assert values["oks"] == pytest.approx([1, np.exp(-4 / (2 * area * (2 * SIGMAS) ** 2)).mean()])
    assert values["oks_box"] == pytest.approx([1, 1])
    assert (values["people_found"], values["person_count_error"]) == ([1, 1], [0])


def test_a_pose_elsewhere_and_of_another_size_has_the_shape_but_not_the_place():
    values = pose_values(true(person(0)), found(person(300, 40, scale=1.7)))
    assert values["oks"][0] < 0.01
    assert values["oks_box"] == pytest.approx([1])


def test_whoever_is_left_over_scores_nothing_and_is_counted():
    values = pose_values(true(person(0), person(50), person(100)), found(person(100)))
    assert values["oks"] == pytest.approx([0, 0, 1], abs=1e-3)
    assert (sum(values["people_found"]), values["person_count_error"]) == (1, [2])
    nobody = pose_values(true(person(0)), found())
    assert (nobody["oks"], nobody["oks_box"], nobody["people_found"]) == ([0], [0], [0])
    crowd = pose_values(true(person(0)), found(person(0), person(50), person(100)))
    assert (crowd["people_found"], crowd["person_count_error"]) == ([1], [2])


def test_a_picture_without_a_true_person_has_no_score():
    with pytest.raises(ValueError, match="there is none"):
        pose_values(TruePeople.drawn(np.zeros((0, 17, 3))), found(person(0)))


def test_unlabelled_joints_make_no_box():
    half = person(0)
    half[9:, 2] = 0
    guess = half.copy()
    guess[9:, :2] += 500
    assert box_oks_matrix(half[None], np.array([100.0]), guess[None])[0, 0] == pytest.approx(1)


def test_a_pose_without_width_goes_to_the_middle():
    line = person(0)
    line[:, 0] = 7
    in_the_middle = person(0)
    in_the_middle[:, 0] = 8
    area = np.array([271.0])
    expected = np.exp(-((person(0)[:, 0] - 8) ** 2) / (2 * area * (2 * SIGMAS) ** 2)).mean()
    assert box_oks_matrix(person(0)[None], area, line[None])[0, 0] == pytest.approx(expected)


@given(st.permutations(range(3)), st.floats(-200, 200), st.floats(0.2, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_neither_order_nor_place_nor_size_of_the_found_changes_the_shape(order, shift, scale, seed):
    rng = np.random.default_rng(seed)
    people = np.concatenate([rng.uniform(0, 100, (3, 17, 2)), np.full((3, 17, 1), 2.0)], axis=-1)
    guesses = people + np.concatenate([rng.normal(size=(3, 17, 2)), np.zeros((3, 17, 1))], axis=-1)
    truth, other = true(*people), guesses[list(order)].copy()
    other[..., :2] = other[..., :2] * scale + shift
    one, two = pose_values(truth, found(*guesses)), pose_values(truth, found(*other))
    assert one["oks_box"] == pytest.approx(two["oks_box"])
    assert all(0 <= value <= 1 for name in ("oks", "oks_box") for value in two[name])


def test_precision_is_of_all_pictures_together():
    pairs = [(true(person(0)), found(person(0))), (true(person(0)), found(person(300)))]
    figure = precision_figure(pairs)
    assert figure.count == 2
    assert figure.low <= figure.value <= figure.high
    assert 0.2 < figure.value < 0.8  # equal confidences: which of the two comes first decides
    assert precision_figure(pairs[:1]).value == pytest.approx(1)


def test_silhouettes_by_hand():
    a, b = np.zeros((2, 4, 4), bool)
    a[:2], b[1:3] = True, True
    assert silhouette_iou(a, b) == pytest.approx(4 / 12)
    assert silhouette_iou(a, ~a) == 0
    assert silhouette_iou(a & ~a, b & ~b) == 1
