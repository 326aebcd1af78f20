"""A result as a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from astra_jax.evaluation.figures import LEVEL, Figure
from astra_jax.evaluation.result import CEILING, FLOOR, MODEL, Result


def markdown(result: Result) -> str:
    """A table with a line a figure (model, ceiling and floor, each with interval and n), then calibration and notes."""
    lines = [f"# {text(result.benchmark)}", ""]
    lines += [f"Weights {text(result.weights)}. " if result.weights else ""]
    lines[-1] += f"{len(result.samples)} pictures; bootstrap intervals of {LEVEL:.0%} over cases."
    rows = []
    for name in result.names():
        model, ceiling, floor = (result.figures.get(who, {}).get(name) for who in (MODEL, CEILING, FLOOR))
        title = f"**{text(name)}**" if name in result.headline else text(name)
        rows.append([title, *("" if figure is None else str(figure) for figure in (model, ceiling, floor))])
    lines += ["", table(["figure", "model (interval, n)", "ceiling", "floor"], rows)]
    if result.calibration:
        rows = [[text(name), str(figure)] for name, figure in result.calibration.items()]
        lines += ["", "What the estimators reach where the truth is known:", ""]
        lines += [table(["figure", "value (interval, n)"], rows)]
    if result.notes:
        lines += ["", *(f"* {text(note)}" for note in result.notes)]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table; all columns but the first `texts` to the right."""
    cut = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, cut, *rows))


def number(figure: Figure | None) -> str:
    """A figure's value; empty where there is none."""
    return "" if figure is None else f"{figure.value:.3f}"


def interval(figure: Figure | None) -> str:
    """A figure's value and interval; empty where there is none."""
    return "" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def text(words: str) -> str:
    """One line of any text, with nothing in it that Markdown or HTML would read; control characters vanish."""
    line = " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in words).split())
    return re.sub(r"([\\`*{}\[\]<>|#&~$!]|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9]))", r"\\\1", line)
