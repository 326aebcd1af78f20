"""Anti-aliased ellipses, lines and discs of many colours in one picture, all of a kind at once.

Pixel i is centred on i. A shape covers a pixel by 0.5 minus the pixel's signed distance to its edge, within 0..1. Each
kind of shape gives `Samples`: what its shapes cover, pixel by pixel. `paint` puts all of them together, later shapes
over earlier ones. What lies beyond the canvas is cut off. The cost is that of the pixels covered, not of the shapes'
boxes, and a few dozen NumPy calls a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

_MARGIN = 1.0  # pixels around a shape in which it may still cover something


class Samples(NamedTuple):
    """Pixels covered by shapes, in any order. Shapes of one order must be of one colour."""

    pixel: Int[np.ndarray, "S"]  # row * width + column
    order: Int[np.ndarray, "S"]  # of the shape: higher ones lie over lower ones
    coverage: Float[np.ndarray, "S"]  # above 0, at most 1


def ellipses(
    a: Float[np.ndarray, "N 2"],
    b: Float[np.ndarray, "N 2"],
    half_width: float,
    order: Int[np.ndarray, "N"],
    size: tuple[int, int],
) -> Samples:
    """Ellipses from points a to points b (x, y): their ends lie on them, their half-width is the same for any length.

    `size` is the canvas's (height, width). An ellipse without length covers nothing.
    """
    kept = np.hypot(*(b - a).T) >= 1e-3
    bands = _bands(a[kept], b[kept], half_width, order[kept], size)
    long = np.maximum(bands.half_length, half_width / 2).astype(np.float32)[:, None]
    # Signed distance to an ellipse, first order: k (k - 1) / |gradient|, k the radius in the ellipse's own units.
    u, v = bands.along / long, bands.across / np.float32(half_width)
    u *= u
    v *= v
    k = np.sqrt(u + v)
    gradient = np.sqrt(u / (long * long) + v / np.float32(half_width * half_width))
    # The small terms give the centre, where both vanish, the distance -half_width.
    return bands.samples((k - 1) * (k + np.float32(1e-3)) / (gradient + np.float32(1e-3 / half_width)))


def lines(
    a: Float[np.ndarray, "N 2"],
    b: Float[np.ndarray, "N 2"],
    half_width: float,
    order: Int[np.ndarray, "N"],
    size: tuple[int, int],
) -> Samples:
    """Straight lines from points a to points b (x, y) with round ends on a canvas of `size` = (height, width)."""
    bands = _bands(a, b, half_width, order, size)
    beyond = np.maximum(np.abs(bands.along) - bands.half_length.astype(np.float32)[:, None], 0)
    return bands.samples(np.sqrt(beyond * beyond + bands.across * bands.across) - np.float32(half_width))


def discs(
    centres: Float[np.ndarray, "N 2"], radius: float, order: Int[np.ndarray, "N"], size: tuple[int, int]
) -> Samples:
    """Discs around points (x, y) on a canvas of `size` = (height, width)."""
    height, width = size
    kept = ((centres > -radius - 1) & (centres < np.array([width, height]) + radius)).all(axis=1)
    centres, order = centres[kept], order[kept]
    first = np.floor(centres - radius - 0.5).astype(np.int64)
    places = first[:, :, None] + np.arange(int(2 * radius + 3))  # N, x or y, step
    squares = ((places - centres[:, :, None]) ** 2).astype(np.float32)
    coverage = (radius + 0.5) - np.sqrt(squares[:, 1, :, None] + squares[:, 0, None, :])
    inside = (places >= 0) & (places < np.array([width, height])[:, None])
    covered = np.nonzero((coverage > 0) & inside[:, 1, :, None] & inside[:, 0, None, :])
    shape, row, column = covered
    pixel = places[shape, 1, row] * width + places[shape, 0, column]
    return Samples(pixel, order[shape], np.minimum(coverage[covered], 1))


def joined(parts: Sequence[Samples]) -> Samples:
    """All samples together."""
    if not parts:
        return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    return Samples(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def paint(
    parts: Sequence[Samples], colours: Float[np.ndarray, "N 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of all shapes on black, `colours` (0..255) being those of the shapes by their order."""
    height, width = size
    picture = np.zeros((height * width, 3), np.uint8)
    pixel, order, coverage = joined(parts)
    # The highest shape that covers a pixel whole hides what is below it; for most pixels that is all there is to do.
    whole = coverage == 1
    top = np.full(height * width, -1, np.int64)
    np.maximum.at(top, pixel[whole], order[whole])
    hidden = order < top[pixel]
    shown = pixel[whole & ~hidden]
    picture[shown] = colours[top[shown]] + 0.5
    edge = np.flatnonzero(~whole & ~hidden)
    if len(edge):
        edge = edge[np.argsort(pixel[edge] * (order.max() + 1) + order[edge])]
        pixel, order, coverage = pixel[edge], order[edge], coverage[edge].astype(np.float64)
        starts = np.flatnonzero(np.diff(pixel, prepend=-1))
        last = np.append(starts[1:], len(pixel)) - 1
        # The shapes above a sample leave to see of it the product of what each of them leaves.
        left = np.cumsum(np.log(1 - coverage))
        below = left[starts] - np.log(1 - coverage[starts])
        weight = coverage * np.exp(np.repeat(left[last], last - starts + 1) - left)
        over = np.add.reduceat(weight[:, None] * colours[order], starts)
        touched = pixel[starts]
        picture[touched] = picture[touched] * np.exp(left[last] - below)[:, None] + over + 0.5
    return picture.reshape(height, width, 3)


class _Bands(NamedTuple):
    """Pixels around slim shapes: a line of K pixels across each of them at every step along the axis it lies nearer to.

    `along` and `across` are a pixel's place in its shape's own frame, in pixels from the shape's middle.
    """

    along: Float[np.ndarray, "C K"]
    across: Float[np.ndarray, "C K"]
    half_length: Float[np.ndarray, "C"]
    pixel: Int[np.ndarray, "C K"]
    inside: np.ndarray
    order: Int[np.ndarray, "C"]

    def samples(self, distance: Float[np.ndarray, "C K"]) -> Samples:
        """What the shapes cover, given every pixel's signed distance to its shape's edge."""
        coverage = np.float32(0.5) - distance
        covered = np.nonzero((coverage > 0) & self.inside)
        return Samples(self.pixel[covered], self.order[covered[0]], np.minimum(coverage[covered], 1))


def _bands(
    a: Float[np.ndarray, "N 2"],
    b: Float[np.ndarray, "N 2"],
    half_width: float,
    order: Int[np.ndarray, "N"],
    size: tuple[int, int],
) -> _Bands:
    height, width = size
    middle, half = (a + b) / 2, (b - a) / 2
    steep = np.abs(half[:, 1]) > np.abs(half[:, 0])
    middle[steep], half[steep] = middle[steep, ::-1], half[steep, ::-1]  # x is now the axis it lies nearer to
    half_length = np.hypot(*half.T)
    cos, sin = (half / np.maximum(half_length, 1e-9)[:, None]).T
    cos = np.where(half_length > 1e-9, cos, 1.0)
    reach = np.abs(half[:, 0]) + half_width + _MARGIN
    across = 2**0.5 * (half_width + _MARGIN)  # the band's half-width along y, at most 45 degrees from upright
    end = np.where(steep, height, width)
    first = np.maximum(np.ceil(middle[:, 0] - reach), 0).astype(np.int64)
    steps = np.maximum(np.minimum(np.floor(middle[:, 0] + reach) + 1, end).astype(np.int64) - first, 0)
    of = np.repeat(np.arange(len(a)), steps)
    x = np.arange(len(of)) - np.repeat(np.cumsum(steps) - steps, steps) + first[of]
    cos, sin, middle, steep = cos[of], sin[of], middle[of], steep[of]
    dx = x - middle[:, 0]
    y = np.ceil(middle[:, 1] + dx * sin / cos - across).astype(np.int64)
    dy = y - middle[:, 1]
    k = np.arange(int(2 * across) + 1)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    row, column = np.where(steep, x, y), np.where(steep, y, x)
    low, stop = -y, np.where(steep, width, height) - y
    return _Bands(
        along=_grid(u, sin, k),
        across=_grid(v, cos, k),
        half_length=half_length[of],
        pixel=(row * width + column)[:, None] + np.where(steep, 1, width)[:, None] * k,
        inside=(k >= low[:, None]) & (k < stop[:, None]),
        order=order[of],
    )


def _grid(start: np.ndarray, step: np.ndarray, k: np.ndarray) -> Float[np.ndarray, "C K"]:
    return start.astype(np.float32)[:, None] + step.astype(np.float32)[:, None] * k.astype(np.float32)
