"""A dot plot as SVG: a panel a figure, a row a variant, and in it a dot with its interval for each of a few kinds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape

# Told apart with any kind of colour vision (Okabe and Ito, Color Universal Design, 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_WIDTH, _LEFT, _ROW, _LANE, _TOP, _TITLE = 760, 150.0, 16, 13, 34, 26  # pixels


@dataclasses.dataclass(frozen=True)
class Mark:
    """A dot: its kind (which colour), value, interval, and the single values behind it."""

    kind: int
    value: float
    low: float
    high: float
    each: Sequence[float | None] = ()


@dataclasses.dataclass(frozen=True)
class Row:
    """The dots of one variant."""

    label: str
    marks: Sequence[Mark]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One figure."""

    title: str
    rows: Sequence[Row]


def dot_plot(panels: Sequence[Panel], kinds: Sequence[str]) -> str:
    """The plot; `kinds` names what the colours are. Every panel has an axis of its own, with round ends."""
    parts, y = [], _TOP
    for i, kind in enumerate(kinds):
        x = _LEFT + 110 * i
        parts.append(f'<circle cx="{x}" cy="16" r="4" fill="{_colour(i)}"/>{_words(x + 9, 20, kind)}')
    for panel in panels:
        drawn, y = _panel(panel, y, len(kinds))
        parts.append(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
        ' font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(panel: Panel, top: int, lanes: int) -> tuple[str, int]:
    """One panel from `top` on, and where it ends."""
    low, high, step = axis(
        [
            end
            for row in panel.rows
            for mark in row.marks
            for end in (mark.low, mark.high, *mark.each)
            if end is not None
        ]
    )

    def x(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - 24), 1)

    height = max(_ROW + 6, lanes * _LANE + 6)
    first, bottom = top + _TITLE, top + _TITLE + height * len(panel.rows)
    parts = [_words(_LEFT, top + 16, panel.title, ' font-weight="600"')]
    for k in range(round((high - low) / step) + 1):
        at = low + k * step
        parts.append(f'<path d="M{x(at)} {first}V{bottom}" stroke="#dde2e8"/>')
        parts.append(_words(x(at), bottom + 14, f"{at:.6g}", ' text-anchor="middle" fill="#5c6773"'))
    for i, row in enumerate(panel.rows):
        y = first + i * height
        parts.append(_words(_LEFT - 10, y + height // 2 + 4, row.label, ' text-anchor="end"'))
        if i % 2 == 0:
            parts.insert(0, f'<rect x="0" y="{y}" width="{_WIDTH}" height="{height}" fill="#f6f7f9"/>')
        for mark in row.marks:
            lane, colour = y + 9 + mark.kind * _LANE, _colour(mark.kind)
            line = f'<path d="M{x(mark.low)} {lane}H{x(mark.high)}" stroke="{colour}" stroke-width="2"/>'
            ticks = "".join(f'<path d="M{x(v)} {lane - 4}v8" stroke="{colour}"/>' for v in mark.each if v is not None)
            parts.append(f'{line}{ticks}<circle cx="{x(mark.value)}" cy="{lane}" r="4" fill="{colour}"/>')
    return "\n".join(parts), bottom + 28


def axis(values: Sequence[float]) -> tuple[float, float, float]:
    """Round ends of an axis that holds all finite values, and the distance of its ticks (1, 2 or 5 times a power of
    ten, some six of them); from 0 where all are the same, 0 to 1 where there is nothing."""
    finite = [value for value in values if math.isfinite(value)]
    if not any(finite):
        return 0.0, 1.0, 0.2
    low, high = min(finite), max(finite)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0)
    raw = max(high - low, 0.05 * max(abs(low), abs(high)), 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    return first * step, max(math.ceil(high / step - 1e-9), first + 1) * step, step


def _words(x: float, y: int, words: str, attributes: str = "") -> str:
    return f'<text x="{x}" y="{y}"{attributes}>{escape(words.encode("utf-8", "replace").decode())}</text>'


def _colour(kind: int) -> str:
    return COLOURS[kind % len(COLOURS)]
