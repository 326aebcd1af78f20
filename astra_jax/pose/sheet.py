"""Contact sheets of skeletons, for looking at a bank and at what was found in it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from astra_jax.errors import UserError
from astra_jax.pose.database import PoseEntry
from astra_jax.pose.drawing import draw, fit
from astra_jax.pose.retrieval import Retrieved

_LINE, _LINES, _GAP, _CHARACTER = 13, 5, 6, 6.2  # pixels a line, lines of text, gap, pixels a character
_COLUMNS, _CANVAS = 6, (192, 192)
Picture = UInt8[np.ndarray, "H W 3"]
Page = UInt8[np.ndarray, "h w 3"]
_Cell = tuple[Picture, tuple[str, str], str]  # skeleton, two lines, caption


def draw_neighbours(prompt: str, found: Sequence[Retrieved], canvas: tuple[int, int]) -> Page:
    """The prompt above a row of the neighbours, each drawn as it fits the canvas, over its score and caption."""
    cells = []
    for result in found:
        score = f"score {result.score:.3f}  cosine {result.cosine:.3f}"
        cells.append((draw(result.people, canvas), (result.action or result.entry, score), result.caption))
    return _page(prompt, cells, canvas, max(len(found), 1))


def draw_entries(entries: Sequence[PoseEntry]) -> Page:
    """Entries in rows, each over its number of people, id, complexity, quality and first caption."""
    cells = []
    for entry in entries:
        scores = f"complexity {entry.complexity:.2f}  quality {entry.quality:.2f}"
        skeleton = draw(fit(entry.people, (entry.height, entry.width), _CANVAS), _CANVAS)
        cells.append((skeleton, (f"people {len(entry.people)}  {entry.id}", scores), entry.captions[0]))
    return _page(f"{len(entries)} entries of the bank", cells, _CANVAS, min(max(len(entries), 1), _COLUMNS))


def save_sheet(sheet: Page, path: Path) -> None:
    """Writes a picture file in the form its name tells; raises `UserError` where it cannot be written."""
    try:
        Image.fromarray(sheet).save(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {path}: {error}") from error


def _page(
    title: str, cells: Sequence[tuple[Picture, tuple[str, str], str]], size: tuple[int, int], columns: int
) -> Page:
    height, width = size
    rows = max(-(-len(cells) // columns), 1)
    row_height = height + _LINES * _LINE + _GAP
    page = Image.new("RGB", (columns * (width + _GAP), 2 * _LINE + rows * row_height), "white")
    pen = ImageDraw.Draw(page)
    pen.text((4, 4), _fitting(title, page.width, 1), fill="black")
    for i, (picture, head, caption) in enumerate(cells):
        left, top = i % columns * (width + _GAP), 2 * _LINE + i // columns * row_height
        page.paste(Image.fromarray(picture), (left, top))
        text = "\n".join([*(_fitting(line, width, 1) for line in head), _fitting(caption, width, _LINES - 2)])
        pen.multiline_text((left + 4, top + height + 2), text, fill="black", spacing=2)
    return np.asarray(page)


def _fitting(text: str, width: int, lines: int) -> str:
    wrapped = textwrap.wrap(text, max(int(width / _CHARACTER), 8), max_lines=lines, placeholder=" ...")
    # The built-in font knows Latin-1 only.
    return "\n".join(wrapped).encode("latin-1", "replace").decode("latin-1")
