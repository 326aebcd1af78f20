"""Figures with intervals: means over pictures, and bootstrap intervals over the cases that the pictures belong to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float

T = TypeVar("T")

RESAMPLES = 2000
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measured number, its bootstrap interval at `LEVEL`, and how many values it is the mean of."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n = {self.count})"


def mean_figure(groups: Sequence[Sequence[float]], seed: int = 0, resamples: int = RESAMPLES) -> Figure:
    """The mean of all values, with the percentile interval of a bootstrap that draws whole groups.

    Values of one group (the pictures of one case, the people of one scene) depend on each other, so groups and not
    values are drawn, with replacement, as many as there are (the cluster bootstrap; Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapters 8 and 13). The draws depend on `seed` and the number of groups alone.

    Raises `ValueError` where there is no value, or one is not finite.
    """
    groups = [group for group in groups if len(group)]
    sums = np.array([math.fsum(group) for group in groups])
    counts = np.array([len(group) for group in groups])
    if not groups:
        raise ValueError("a figure needs a value")
    if not np.isfinite(sums).all():
        raise ValueError("a figure's values must be finite")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(resamples, len(groups)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return Figure(math.fsum(sums) / int(counts.sum()), *percentiles(means), int(counts.sum()))


def set_figure(
    items: Sequence[T], statistic: Callable[[Sequence[T]], float], seed: int = 0, resamples: int = 200
) -> Figure:
    """`statistic` of all items, for one that is no mean (average precision), with a bootstrap interval over items.

    Raises `ValueError` where there is no item.
    """
    if not items:
        raise ValueError("a figure needs an item")
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(items), size=(resamples, len(items)))
    values = [statistic([items[i] for i in draw]) for draw in draws]
    return Figure(float(statistic(items)), *percentiles(values), len(items))


def percentiles(draws: Sequence[float] | Float[np.ndarray, "N"]) -> tuple[float, float]:
    """The ends of the interval that holds the middle `LEVEL` of a bootstrap's draws."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
