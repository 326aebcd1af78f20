"""Means, and bootstrap intervals that cover what they should."""

import math

import numpy as np
import pytest

from astra_jax.evaluation.figures import mean_figure, set_figure


def test_the_mean_is_over_values_and_the_count_is_theirs():
    figure = mean_figure([[1.0, 0.0], [], [1.0]])
    assert figure.value == pytest.approx(2 / 3)
    assert figure.count == 3


def test_equal_values_have_an_interval_without_width():
    figure = mean_figure([[0.25]] * 10)
    assert (figure.low, figure.value, figure.high) == (0.25, 0.25, 0.25)


def test_the_interval_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(size=400)
    figure = mean_figure([[value] for value in values])
    half = 1.96 * values.std() / math.sqrt(400)
    assert figure.low == pytest.approx(values.mean() - half, abs=0.01)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.01)


def test_values_of_one_group_are_drawn_together():
    values = np.random.default_rng(1).normal(size=50)
    once = mean_figure([[value] for value in values])
    fourfold = mean_figure([[value] * 4 for value in values])
    assert (once.low, once.high) == pytest.approx((fourfold.low, fourfold.high))
    assert fourfold.count == 200


def test_nothing_and_what_is_not_finite_have_no_figure():
    with pytest.raises(ValueError, match="needs a value"):
        mean_figure([[], []])
    with pytest.raises(ValueError, match="finite"):
        mean_figure([[1.0], [math.nan]])
    with pytest.raises(ValueError, match="needs an item"):
        set_figure([], len)


def test_a_statistic_of_a_set():
    figure = set_figure([1.0, 2.0, 9.0], lambda items: float(np.median(items)))
    assert figure.value == 2.0
    assert 1.0 <= figure.low <= figure.high <= 9.0
    assert figure.count == 3
