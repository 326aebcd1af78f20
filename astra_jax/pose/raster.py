"""Anti-aliased ellipses, lines and discs on a floating-point canvas.

Pixel i is centred on i. A shape covers a pixel by 0.5 minus the pixel's signed distance to its edge, within 0..1, and
is blended over what is there. What lies beyond the canvas is cut off. The canvas has its colours first: with them last,
NumPy's innermost loop would be three numbers long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Colour = Float[np.ndarray, "3 1 1"]  # 0..255
Canvas = Float[np.ndarray, "3 H W"]


def ellipse(canvas: Canvas, a: Sequence[float], b: Sequence[float], half_width: float, colour: Colour) -> None:
    """An ellipse from point a to point b (x, y): its ends lie on them, its half-width is the same for every length."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5
    if length < 1e-3:
        return
    cos, sin, long, short = dx / length, dy / length, max(length / 2, half_width / 2), half_width
    reach_x = ((long * cos) ** 2 + (short * sin) ** 2) ** 0.5
    reach_y = ((long * sin) ** 2 + (short * cos) ** 2) ** 0.5
    part = _window(canvas, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, reach_x, reach_y)
    if part is None:
        return
    window, xs, ys = part
    # Signed distance to an ellipse, first order: k (k - 1) / |gradient|, k the radius in the ellipse's own units.
    u = xs * (cos / long) + ys * (sin / long)
    v = xs * (-sin / short) + ys * (cos / short)
    u2, v2 = u * u, v * v
    k = np.sqrt(u2 + v2)
    gradient = np.sqrt(u2 / (long * long) + v2 / (short * short))
    # The small terms give the centre, where both vanish, the distance -short.
    _blend(window, (k - 1) * (k + 1e-3) / (gradient + 1e-3 / short), colour)


def line(canvas: Canvas, a: Sequence[float], b: Sequence[float], half_width: float, colour: Colour) -> None:
    """A straight line from a to b (x, y) with round ends."""
    dx, dy = (b[0] - a[0]) / 2, (b[1] - a[1]) / 2
    reach_x, reach_y = abs(dx) + half_width, abs(dy) + half_width
    part = _window(canvas, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, reach_x, reach_y)
    if part is None:
        return
    window, xs, ys = part
    # The nearest point of the line, from -1 at a to 1 at b.
    square = max(dx * dx + dy * dy, 1e-6)
    nearest = np.minimum(np.maximum(xs * (dx / square) + ys * (dy / square), -1), 1)
    x, y = xs - nearest * dx, ys - nearest * dy
    _blend(window, np.sqrt(x * x + y * y) - half_width, colour)


def disc(canvas: Canvas, centre: Sequence[float], radius: float, colour: Colour) -> None:
    """A disc around the point `centre` (x, y)."""
    part = _window(canvas, centre[0], centre[1], radius, radius)
    if part is None:
        return
    window, xs, ys = part
    _blend(window, np.sqrt(xs * xs + ys * ys) - radius, colour)


def discs(canvas: Canvas, centres: Float[np.ndarray, "N 2"], radius: float, colour: Colour) -> None:
    """Discs of one colour, all at once: the picture of `disc` one after the other, at a fraction of its cost."""
    _, height, width = canvas.shape
    size = np.array([width, height])
    centres = centres[((centres > -radius - 1) & (centres < size + radius)).all(axis=1)]
    if len(centres) == 0:
        return
    first = np.floor(centres - radius - 0.5).astype(np.int64)
    steps = np.arange(int(2 * radius + 3))
    places = first[:, :, None] + steps  # N, x or y, step
    squares = (places - centres[:, :, None]) ** 2
    distance = np.sqrt(squares[:, 1, :, None] + squares[:, 0, None, :]) - radius
    uncovered = 1 - np.minimum(np.maximum(0.5 - distance, 0), 1)
    # All discs fall into one window with a margin as wide as a disc, so that those on its edge need no cutting.
    low = first.min(axis=0)
    columns, rows = first.max(axis=0) - low + len(steps)
    flat = (places[:, 1, :, None] - low[1]) * columns + (places[:, 0, None, :] - low[0])
    left_over = np.ones(rows * columns)
    np.multiply.at(left_over, flat.ravel(), uncovered.ravel())
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(low + [columns, rows], size)
    left_over = left_over.reshape(rows, columns)[y0 - low[1] : y1 - low[1], x0 - low[0] : x1 - low[0]]
    window = canvas[:, y0:y1, x0:x1]
    window += (colour - window) * (1 - left_over.astype(np.float32))


def _window(canvas: Canvas, x: float, y: float, reach_x: float, reach_y: float) -> tuple | None:
    """The part of the canvas within reach of (x, y) and its pixels' offsets from there; None where there is none."""
    _, height, width = canvas.shape
    left, right = max(int(x - reach_x - 1), 0), min(int(x + reach_x + 2), width - 1)
    top, bottom = max(int(y - reach_y - 1), 0), min(int(y + reach_y + 2), height - 1)
    if right < left or bottom < top:
        return None
    xs = np.arange(left - x, right + 0.5 - x, dtype=np.float32)
    ys = np.arange(top - y, bottom + 0.5 - y, dtype=np.float32)
    return canvas[:, top : bottom + 1, left : right + 1], xs[None, : right - left + 1], ys[: bottom - top + 1, None]


def _blend(window: np.ndarray, distance: np.ndarray, colour: np.ndarray) -> None:
    coverage = np.minimum(np.maximum(0.5 - distance, 0), 1)
    window += (colour - window) * coverage
