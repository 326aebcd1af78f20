"""A contact sheet of retrieved skeletons, for looking at a bank."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from astra_jax.pose.drawing import draw
from astra_jax.pose.retrieval import Retrieved

_LINE, _LINES, _COLUMN, _CHARACTER = 13, 5, 6, 6.2  # pixels a line, lines of text, gap, pixels a character


def draw_sheet(prompt: str, found: Sequence[Retrieved], canvas: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The prompt above a row of the neighbours, each drawn on the canvas over its score and caption."""
    height, width = canvas
    columns = max(len(found), 1)
    page = Image.new("RGB", (columns * (width + _COLUMN), height + (_LINES + 2) * _LINE), "white")
    pen = ImageDraw.Draw(page)
    pen.text((4, 4), _fitting(prompt, page.width, 1), fill="black")
    for i, result in enumerate(found):
        left = i * (width + _COLUMN)
        page.paste(Image.fromarray(draw(result.people, canvas)), (left, 2 * _LINE))
        head = f"{result.score:.3f}  cos {result.cosine:.3f}  {result.action or result.entry}"
        text = _fitting(head, width, 1) + "\n" + _fitting(result.caption, width, _LINES - 2)
        pen.multiline_text((left + 4, height + 2 * _LINE + 2), text, fill="black", spacing=2)
    return np.asarray(page)


def _fitting(text: str, width: int, lines: int) -> str:
    wrapped = textwrap.wrap(text, max(int(width / _CHARACTER), 8), max_lines=lines, placeholder=" ...")
    # The built-in font knows Latin-1 only.
    return "\n".join(wrapped).encode("latin-1", "replace").decode("latin-1")
