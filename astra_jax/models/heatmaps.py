"""Joints out of heatmaps and back: places finer than a cell, and how sure a map is of them.

Places are (x, y) in cells, the middle of the first cell at 0. Maps are read in two ways. `dark_places` is for maps that
were trained to be Gaussian bumps (ViTPose's). `expected_places` is for maps whose softmax is a distribution over the
cells, as training/keypoint_objective.py makes them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

DEVIATION = 1.25  # in cells, of the Gaussian around a joint that a trained distribution is held to
_RADIUS = 5  # cells of DARK's smoothing
_SHIFTS = 12  # of `expected_places`; each leaves 1 / (1 + window^2 / DEVIATION^2) of the way, 0.6 at a window of a cell


def cell_places(rows: int, columns: int) -> Float[Array, "N 2"]:
    """(x, y) of every cell, row by row."""
    y, x = jnp.meshgrid(jnp.arange(rows, dtype=jnp.float32), jnp.arange(columns, dtype=jnp.float32), indexing="ij")
    return jnp.stack([x.ravel(), y.ravel()], axis=-1)


def distributions(maps: Float[Array, "B R C K"]) -> Float[Array, "B K N"]:
    """The softmax of every map over its cells, row by row."""
    batch, rows, columns, joints = maps.shape
    return jax.nn.softmax(maps.reshape(batch, rows * columns, joints).swapaxes(1, 2), axis=-1)


def gaussian_targets(
    places: Float[Array, "B K 2"], grid: tuple[int, int], deviation: float = DEVIATION
) -> Float[Array, "B K N"]:
    """Distributions over the cells of a `grid` (rows, columns): Gaussians of `deviation` cells around `places`.

    A place outside the grid gives the nearest cells; every distribution sums to 1.
    """
    square = jnp.sum(jnp.square(places[:, :, None] - cell_places(*grid)), axis=-1)
    return jax.nn.softmax(-square / (2 * deviation**2), axis=-1)


def expected_places(
    shares: Float[Array, "B K N"], window: Float[Array, "B K"], grid: tuple[int, int]
) -> tuple[Float[Array, "B K 2"], Float[Array, "B K"]]:
    """Where a Gaussian window of deviation `window` (in cells) covers most of the distribution, and how sure that is.

    Mean shift (Comaniciu and Meer, 2002) from the most likely cell: x <- sum p(u) g(u - x) u / sum p(u) g(u - x). With
    OKS's tolerance s k of a joint as the window the shifts climb to a maximum of the OKS that is to be expected, and
    the covered share is that OKS but for the Gaussian of `DEVIATION` that training spreads every joint over. Divided by
    what a window covers of that one alone, 1 / (1 + DEVIATION^2 / window^2), it is how sure the place is, 0 to 1.
    """
    cells = cell_places(*grid)
    places = cells[jnp.argmax(shares, axis=-1)]
    precision = 0.5 / jnp.square(window)

    def covered(places: Float[Array, "B K 2"]) -> Float[Array, "B K N"]:
        square = jnp.sum(jnp.square(places[:, :, None] - cells), axis=-1)
        return shares * jnp.exp(-square * precision[..., None])

    def shift(_: Int[Array, ""], places: Float[Array, "B K 2"]) -> Float[Array, "B K 2"]:
        mass = covered(places)
        return mass @ cells / jnp.maximum(mass.sum(axis=-1, keepdims=True), 1e-12)

    places = jax.lax.fori_loop(0, _SHIFTS, shift, places)
    return places, jnp.minimum(covered(places).sum(axis=-1) * (1 + jnp.square(DEVIATION / window)), 1.0)


def dark_places(maps: Float[Array, "B R C K"]) -> tuple[Float[Array, "B K 2"], Float[Array, "B K"]]:
    """The places of the highest cells, moved by one Newton step on the logarithm of the smoothed map, and the heights.

    Distribution-aware decoding (DARK, arXiv 1910.06278), in the form ViTPose is published with: an 11 x 11 Gaussian of
    deviation 0.8 smooths, values are clipped to 0.001 to 50, derivatives are differences to the neighbours (repeated at
    the edges). A joint whose map is nowhere positive has no place; it gets the first cell and its height.
    """
    batch, rows, columns, joints = maps.shape
    flat = maps.reshape(batch, rows * columns, joints)
    best, heights = jnp.argmax(flat, axis=1), flat.max(axis=1)
    best = jnp.where(heights > 0, best, 0)
    row, column = best // columns, best % columns

    logs = jnp.log(jnp.clip(_smooth(maps), 1e-3, 50.0))
    logs = jnp.pad(logs, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    example, joint = jnp.arange(batch)[:, None], jnp.arange(joints)[None]

    def at(down: int, right: int) -> Float[Array, "B K"]:
        return logs[example, row + 1 + down, column + 1 + right, joint]

    here, right, left, below, above = at(0, 0), at(0, 1), at(0, -1), at(1, 0), at(-1, 0)
    slope = jnp.stack([right - left, below - above], axis=-1) / 2
    xx, yy = right - 2 * here + left, below - 2 * here + above
    xy = (at(1, 1) - right - below + 2 * here - left - above + at(-1, -1)) / 2
    eps = jnp.finfo(jnp.float32).eps
    xx, yy = xx + eps, yy + eps
    # The inverse of the 2 x 2 Hessian times the slope.
    step = jnp.stack([yy * slope[..., 0] - xy * slope[..., 1], xx * slope[..., 1] - xy * slope[..., 0]], axis=-1)
    determinant = xx * yy - xy**2
    places = jnp.stack([column, row], axis=-1).astype(jnp.float32)
    return places - step / determinant[..., None], heights


def _smooth(maps: Float[Array, "B R C K"]) -> Float[Array, "B R C K"]:
    """A Gaussian of deviation 0.8 over 11 cells a side, the map mirrored at its edges."""
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / 0.8) ** 2)
    taps /= taps.sum()
    for axis in (1, 2):
        size = maps.shape[axis]
        # Edges repeat: ... 1 0 | 0 1 ... n-1 | n-1 n-2 ...
        period = np.arange(-_RADIUS, size + _RADIUS) % (2 * size)
        source = np.minimum(period, 2 * size - 1 - period)
        matrix = np.zeros((size, size))
        for tap, weight in enumerate(taps):
            np.add.at(matrix, (np.arange(size), source[tap : tap + size]), weight)
        maps = jnp.moveaxis(jnp.tensordot(jnp.asarray(matrix, maps.dtype), maps, ((1,), (axis,))), 0, axis)
    return maps
