"""Joints out of heatmaps and back: places finer than a cell, and how sure a map is of them.

Places are (x, y) in cells, the middle of the first cell at 0. Maps are read in two ways. `dark_places` is for maps that
were trained to be Gaussian bumps (ViTPose's). `expected_places` is for maps whose softmax is a distribution over the
cells, as training/keypoint_objective.py makes them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_SHIFTS = 4  # of `expected_places`; a shift no longer moves a place that matters after two


def cell_places(rows: int, columns: int) -> Float[Array, "N 2"]:
    """(x, y) of every cell, row by row."""
    y, x = jnp.meshgrid(jnp.arange(rows, dtype=jnp.float32), jnp.arange(columns, dtype=jnp.float32), indexing="ij")
    return jnp.stack([x.ravel(), y.ravel()], axis=-1)


def distributions(maps: Float[Array, "B R C K"]) -> Float[Array, "B K N"]:
    """The softmax of every map over its cells, row by row."""
    batch, rows, columns, joints = maps.shape
    return jax.nn.softmax(maps.reshape(batch, rows * columns, joints).swapaxes(1, 2), axis=-1)


def gaussian_targets(places: Float[Array, "B K 2"], deviation: float, grid: tuple[int, int]) -> Float[Array, "B K N"]:
    """Distributions over the cells of a `grid` (rows, columns): Gaussians of `deviation` cells around `places`.

    A place outside the grid gives the nearest cells; every distribution sums to 1.
    """
    square = jnp.sum(jnp.square(places[:, :, None] - cell_places(*grid)), axis=-1)
    return jax.nn.softmax(-square / (2 * deviation**2), axis=-1)


def expected_places(
    shares: Float[Array, "B K N"], window: Float[Array, "B K"], grid: tuple[int, int]
) -> tuple[Float[Array, "B K 2"], Float[Array, "B K"]]:
    """Where a Gaussian window of deviation `window` (in cells) covers most of the distribution, and what it covers.

    Mean shift (Comaniciu and Meer, 2002) from the most likely cell: x <- sum p(u) g(u - x) u / sum p(u) g(u - x). With
    OKS's tolerance s k of a joint as the window the covered share is the OKS that is to be expected of the place, 0 to
    1, and the shifts climb to its nearest maximum.
    """
    cells = cell_places(*grid)
    places = cells[jnp.argmax(shares, axis=-1)]
    precision = 0.5 / jnp.square(window)

    def covered(places: Float[Array, "B K 2"]) -> Float[Array, "B K N"]:
        square = jnp.sum(jnp.square(places[:, :, None] - cells), axis=-1)
        return shares * jnp.exp(-square * precision[..., None])

    for _ in range(_SHIFTS):
        mass = covered(places)
        places = mass @ cells / jnp.maximum(mass.sum(axis=-1, keepdims=True), 1e-12)
    return places, covered(places).sum(axis=-1)
