"""A result as one HTML page that needs no network: figures beside their controls, and the pictures, worst first."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation.figures import LEVEL, Figure
from astra_jax.evaluation.page_assets import SCRIPT, STYLE
from astra_jax.evaluation.result import CEILING, FLOOR, MODEL, Result, SampleRecord, file_in, lower_is_better
from astra_jax.inputs.photos import load_photo

SHOWN = 200  # pictures on a page
MAIN, BESIDE = 320, 192  # most pixels of a side: of the picture, of what is shown beside it
MAX_BESIDE = 8  # further pictures of one
_QUALITY = 88  # of the JPEG


def page(result: Result, folder: pathlib.Path, chosen: str = "", shown: int = SHOWN) -> str:
    """The page, whole.

    Args:
        result: what was found; all its texts are escaped.
        folder: holds the pictures. One that is missing or damaged leaves its place empty.
        chosen: the figure that the pictures are sorted by at first; the headline's first by default.
        shown: how many pictures, the worst by that figure.

    Raises `ValueError` for a figure that nobody has.
    """
    names = [name for name in result.names() if any(name in one.values for one in result.samples)]
    chosen = chosen or next(iter(names), "")
    if chosen and not result.has(chosen):
        raise ValueError(f"there is no figure {chosen!r}")
    samples = worst_first(result, chosen)[:shown]
    title = f"{result.benchmark}: {len(result.samples)} pictures"
    parts = [
        f"<h1>{_text(result.benchmark)}</h1>",
        f'<p class="soft">{len(result.samples)} pictures'
        + (f" by weights <code>{_text(result.weights)}</code>" if result.weights else "")
        + "</p>",
        _figures(result),
        *(f"<p>{_text(note)}</p>" for note in result.notes),
        _calibration(result.calibration),
        _pairs("Settings", result.settings),
    ]
    if samples:
        kept = "" if len(samples) == len(result.samples) else f" The {len(samples)} worst by {_text(chosen)} are here."
        parts += [
            "<h2>Pictures</h2>",
            f'<p class="soft">Where a figure has a value a person, they are sorted by the mean.{kept}</p>'
            + _tools(result, names, chosen),
            '<div id="cards">',
            *(_card(one, names, folder) for one in samples),
            "</div>",
            f"<script>{SCRIPT}</script>",
        ]
    # Should a text ever get past the escaping, no script but this one runs and nothing is fetched.
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def worst_first(result: Result, name: str) -> list[SampleRecord]:
    """Samples by their mean of a figure, the worst first; those without a value last, else as they come."""
    sign = -1 if lower_is_better(name) else 1

    def key(one: SampleRecord) -> tuple[bool, float]:
        value = _mean(one.values.get(name, ()))
        return value is None, 0.0 if value is None else sign * value

    return sorted(result.samples, key=key)


def _figures(result: Result) -> str:
    names = result.names()
    if not names:
        return ""
    rows = []
    for name in names:
        model, ceiling, floor = (result.figures.get(who, {}).get(name) for who in (MODEL, CEILING, FLOOR))
        cells = [_text(name), *map(_measured, (model, ceiling, floor)), _bar(model, ceiling, floor)]
        head = ' class="head"' if name in result.headline else ""
        rows.append(f"<tr{head}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th>{cell}</th>" for cell in ("figure", "model (interval, n)", "ceiling", "floor", ""))
    key = "".join(
        f'<i style="background:var(--{colour})"></i>{label}'
        for colour, label in (
            ("accent", "model"),
            ("band", f"{LEVEL:.0%} interval"),
            ("good", "ceiling"),
            ("bad", "floor"),
        )
    )
    return (
        f'<h2>Figures</h2><div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
        f'<p class="soft key">{key}</p>'
    )


def _measured(figure: Figure | None) -> str:
    if figure is None:
        return ""
    value, rest = str(figure).split(" ", 1)
    return f"{value} <small>{rest}</small>"


def _bar(model: Figure | None, ceiling: Figure | None, floor: Figure | None) -> str:
    """Model, interval and controls on a line from 0 to 1, or as far as they go."""
    there = [figure for figure in (model, ceiling, floor) if figure is not None]
    low, high = min([0.0, *(f.low for f in there)]), max([1.0, *(f.high for f in there)])

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    marks = ""
    if model is not None:
        width = f"{100 * (model.high - model.low) / (high - low):.2f}%"
        marks += f'<i class="span" style="left:{at(model.low)};width:{width}"></i>'
    for kind, figure in (("floor", floor), ("ceiling", ceiling), ("dot", model)):
        marks += f'<i class="{kind}" style="left:{at(figure.value)}"></i>' if figure is not None else ""
    return f'<span class="bar">{marks}</span>'


def _calibration(figures: Mapping[str, Figure]) -> str:
    if not figures:
        return ""
    rows = "".join(f"<tr><td>{_text(name)}</td><td>{_measured(figure)}</td></tr>" for name, figure in figures.items())
    return (
        "<h2>What the estimators reach where the truth is known</h2>"
        f'<div class="scroll"><table><tr><th>figure</th><th>value (interval, n)</th></tr>{rows}</table></div>'
    )


def _pairs(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td><code>{_text(value)}</code></td></tr>"
        for name, value in ((name, _plain(value)) for name, value in values.items())
    )
    return (
        f'<details><summary><h2 style="display:inline-block">{title}</h2></summary>'
        f'<div class="scroll"><table class="pair">{rows}</table></div></details>'
    )


def _tools(result: Result, names: Sequence[str], chosen: str) -> str:
    def options(pairs: Iterable[tuple[str, str]]) -> str:
        return "".join(f"<option{attributes}>{_text(label)}</option>" for label, attributes in pairs)

    figures = options(
        (name, f' data-lower="{int(lower_is_better(name))}"' + (" selected" if name == chosen else ""))
        for name in names
    )
    return (
        f'<div class="tools"><label>by <select id="by">{figures}</select></label>'
        f'<label><select id="first">{options((("worst", ""), ("best", "")))}</select> first</label>'
        f'<label>only <select id="side">{options((("below", ""), ("above", "")))}</select>'
        ' <input id="limit" inputmode="decimal" placeholder="any"></label>'
        '<span class="soft" id="told"></span></div>'
    )


def _card(one: SampleRecord, names: Sequence[str], folder: pathlib.Path) -> str:
    means = [_mean(one.values.get(name, ())) for name in names]
    chips = "".join(
        f'<span data-k="{k}">{_text(name)} <b>{" · ".join(f"{value:.3g}" for value in one.values[name])}</b></span>'
        for k, name in enumerate(names)
        if one.values.get(name)
    )
    beside = "".join(
        _figure(file_in(folder, path), caption, BESIDE) for caption, path in list(one.pictures.items())[:MAX_BESIDE]
    )
    picture = _figure(file_in(folder, one.picture), f"{one.case}, {one.index}", MAIN, "main")
    return (
        f"<article data-v='{json.dumps(means)}'>"
        f'<div class="shown">{picture}<div class="beside">{beside}</div></div>'
        f'<p class="prompt">{_text(one.prompt)}</p><div class="chips">{chips}</div></article>'
    )


def _figure(path: pathlib.Path | None, caption: str, side: int, kind: str = "") -> str:
    source = thumbnail(path, side) if path is not None else ""
    picture = f'<img alt="" loading="lazy" src="{source}">' if source else '<span class="none">no picture</span>'
    kind = f' class="{kind}"' if kind else ""
    return f"<figure{kind}>{picture}<figcaption>{_text(caption)}</figcaption></figure>"


def thumbnail(path: pathlib.Path, side: int) -> str:
    """A picture's file as a data URI of a JPEG of at most `side` pixels a side; empty for one that cannot be read."""
    try:
        picture = Image.fromarray(load_photo(path))
    except UserError:
        return ""
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text(words: str) -> str:
    """Any text as HTML; what UTF-8 cannot hold becomes a question mark."""
    return escape(words.encode("utf-8", "replace").decode())
