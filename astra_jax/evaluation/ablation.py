"""What an ablation says: figures over seeds with intervals over cases, and differences to the method, case by case."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from astra_jax.evaluation.dot_plot import Mark, Panel, Row
from astra_jax.evaluation.figures import LEVEL, RESAMPLES, Figure, mean_figure, percentiles
from astra_jax.evaluation.markdown import interval, number, table, text
from astra_jax.evaluation.result import CEILING, FLOOR, Result

Groups = Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One variant on one track.

    Attributes:
      variant, track: which.
      figures: name -> mean over all seeds and pictures; the interval is over cases.
      seeds: name -> the mean of each seed, in their order; None for one without a value.
      differences: name -> this variant minus the reference on the same track, on the same cases; none of its own.
    """

    variant: str
    track: str
    figures: Mapping[str, Figure]
    seeds: Mapping[str, tuple[float | None, ...]]
    differences: Mapping[str, Figure]


def cells(results: Mapping[tuple[str, int, str], Result], reference: str) -> list[Cell]:
    """All cells of an ablation, in the order of `results`.

    Args:
        results: (variant, seed, track) -> what was found; all have the same cases.
        reference: the variant that the others are compared with.

    Raises `ValueError` where results have other cases than each other.
    """
    places = list(dict.fromkeys((variant, track) for variant, _, track in results))
    values = {place: _values(results, *place) for place in places}
    if len({tuple(by_case) for some in values.values() for by_case in some.values()}) > 1:
        raise ValueError("the results of an ablation must have the same cases")
    out = []
    for variant, track in places:
        own, other = values[variant, track], values.get((reference, track), {})
        figures = {name: mean_figure(list(by_case.values())) for name, by_case in own.items() if any(by_case.values())}
        differences = {
            name: difference(list(own[name].values()), list(other[name].values()))
            for name in figures
            if variant != reference and any(other.get(name, {}).values())
        }
        seeds = {
            name: tuple(_mean(one, name) for (v, _, t), one in results.items() if (v, t) == (variant, track))
            for name in figures
        }
        out.append(Cell(variant, track, figures, seeds, differences))
    return out


def difference(groups: Groups, others: Groups, seed: int = 0, resamples: int = RESAMPLES) -> Figure:
    """The mean of all values of `groups` minus that of `others`, whose groups belong to the same cases.

    The interval is that of a paired bootstrap: a draw of cases goes for both, so what makes a case hard for either
    cancels (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8). The count is that of cases.
    Raises `ValueError` for other numbers of groups, and where a side has no value.
    """
    if len(groups) != len(others):
        raise ValueError(f"{len(groups)} groups cannot be paired with {len(others)}")
    sides = [(np.array([math.fsum(group) for group in side]), np.array([len(group) for group in side])) for side in
             (groups, others)]  # fmt: skip
    if not all(counts.sum() for _, counts in sides):
        raise ValueError("a difference needs values on both sides")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(resamples, len(groups)))
    (a, n), (b, m) = ((sums[drawn].sum(axis=1), counts[drawn].sum(axis=1)) for sums, counts in sides)
    there = (n > 0) & (m > 0)  # a draw of cases that have no value says nothing
    (sums, counts), (other_sums, other_counts) = sides
    value = math.fsum(sums) / int(counts.sum()) - math.fsum(other_sums) / int(other_counts.sum())
    return Figure(value, *percentiles(a[there] / n[there] - b[there] / m[there]), len(groups))


def summary(
    found: Sequence[Cell],
    results: Mapping[tuple[str, int, str], Result],
    about: Mapping[str, str],
    budget: Mapping[str, Any],
) -> str:
    """The ablation in Markdown: what was varied with which budget, the figures, and the differences."""  # fmt: skip
    names = headline_of(results)
    lines = ["# Ablation", "", *(f"* {text(key)}: {text(str(value))}" for key, value in budget.items())]
    lines += ["", table(["variant", "what it is"], [[text(name), text(what)] for name, what in about.items()], 2)]
    lines += [
        "",
        f"Means over seeds and pictures, bootstrap intervals of {LEVEL:.0%} over cases, in brackets each seed:",
    ]
    rows = []
    for cell in found:
        row = [text(cell.variant), text(cell.track)]
        for name in names:
            each = ", ".join("none" if value is None else f"{value:.3f}" for value in cell.seeds.get(name, ()))
            row.append(f"{interval(cell.figures.get(name))} [{each}]" if name in cell.figures else "")
        rows.append(row)
    for (_, _, track), result in results.items():
        for who in (CEILING, FLOOR):
            if figures := result.figures.get(who):
                rows.append([who, text(track), *(number(figures.get(name)) for name in names)])
    lines += ["", table(["variant", "pose", *map(text, names)], rows, 2)]
    rows = [
        [text(cell.variant), text(cell.track), *(_signed(cell.differences.get(name)) for name in names)]
        for cell in found
        if cell.differences
    ]
    if rows:
        lines += ["", "Minus the first variant, on the same cases and the same pose:"]
        lines += ["", table(["variant", "pose", *map(text, names)], rows, 2)]
    return "\n".join(lines) + "\n"


def panels(found: Sequence[Cell], names: Sequence[str]) -> list[Panel]:
    """What a plot shows: a panel a figure, a row a variant, a mark a track with its interval and each seed."""
    tracks = list(dict.fromkeys(cell.track for cell in found))
    variants = list(dict.fromkeys(cell.variant for cell in found))
    out = []
    for name in names:
        rows = []
        for variant in variants:
            marks = [
                Mark(tracks.index(cell.track), cell.figures[name].value, cell.figures[name].low,
                     cell.figures[name].high, cell.seeds[name])
                for cell in found
                if cell.variant == variant and name in cell.figures
            ]  # fmt: skip
            rows.append(Row(variant, marks))
        out.append(Panel(name, rows))
    return out


def headline_of(results: Mapping[tuple[str, int, str], Result]) -> tuple[str, ...]:
    """The figures that a table shows: the benchmark's headline."""
    return next(iter(results.values())).headline


def _values(
    results: Mapping[tuple[str, int, str], Result], variant: str, track: str
) -> dict[str, dict[str, list[float]]]:
    """Figure -> case -> the values of all its pictures, of all seeds; every figure has every case."""
    samples = [one for (v, _, t), result in results.items() if (v, t) == (variant, track) for one in result.samples]
    cases = sorted({one.case for one in samples})
    out: dict[str, dict[str, list[float]]] = {}
    for name in dict.fromkeys(name for one in samples for name in one.values):
        out[name] = {case: [] for case in cases}
        for one in samples:
            out[name][one.case] += one.values.get(name, ())
    return out


def _mean(result: Result, name: str) -> float | None:
    values = [value for one in result.samples for value in one.values.get(name, ())]
    return math.fsum(values) / len(values) if values else None


def _signed(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"
