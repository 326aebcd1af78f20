"""Where people are: maps of heads and of the boxes around people's joints, as CenterNet has objects (arXiv 1904.07850).

Five maps: how likely a head is in the cell (a logit), and the box (x0, y0, x1, y1) of that person relative to the
cell's place. All places are fractions of the picture's sides. A person stands at the mean of the joints of the face:
two people who embrace share the middle of their boxes, but hardly a head.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from astra_jax.models.heatmaps import cell_places

MAPS = 5
_SPREAD = 1.0  # deviation of a head's bump in cells
_ALPHA, _BETA = 2, 4  # of the focal loss (CornerNet, arXiv 1808.01244)


def cell_fractions(grid: tuple[int, int]) -> Float[Array, "N 2"]:
    """(x, y) of the middle of every cell as a fraction of the picture's sides."""
    rows, columns = grid
    return (cell_places(rows, columns) + 0.5) / jnp.asarray([columns, rows], jnp.float32)


def people_loss(
    maps: Float[Array, "B R C 5"],
    heads: Float[Array, "B P 2"],
    boxes: Float[Array, "B P 4"],
    present: Bool[Array, "B P"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The focal loss of the heads and the absolute error of the boxes, in fractions of the picture, a person.

    Around a head the loss takes less of the cells that are near (CenterNet's equation 1); a box is learnt in the cells
    around its head, in the share that their bump has.
    """
    batch, rows, columns, _ = maps.shape
    cells = cell_fractions((rows, columns))
    flat = maps.reshape(batch, rows * columns, MAPS)
    scale = jnp.asarray([columns, rows], jnp.float32)
    offset = (heads[:, :, None] - cells) * scale  # cells
    square = jnp.sum(jnp.square(offset), axis=-1)
    bump = jnp.exp(-square / (2 * _SPREAD**2)) * present[..., None]
    nearest = jax.nn.one_hot(jnp.argmin(square, axis=-1), rows * columns) * present[..., None]
    centre = nearest.max(axis=1)
    count = jnp.maximum(present.sum(), 1)

    logit = flat[..., 0]
    share = jax.nn.sigmoid(logit)
    hit = -jax.nn.log_sigmoid(logit) * (1 - share) ** _ALPHA * centre
    miss = -jax.nn.log_sigmoid(-logit) * share**_ALPHA * (1 - bump.max(axis=1)) ** _BETA * (1 - centre)
    focal = jnp.sum(hit + miss) / count

    wanted = boxes[:, :, None] - jnp.tile(cells, 2)
    # Where two people's bumps meet, a cell is the nearer one's.
    own = bump * (bump >= bump.max(axis=1, keepdims=True))
    weights = own / jnp.maximum(own.sum(axis=-1, keepdims=True), 1e-6)
    error = jnp.abs(wanted - flat[:, None, :, 1:]).sum(axis=-1)
    return focal, jnp.sum(weights * error) / count


def find_people(maps: Float[Array, "B R C 5"], most: int) -> tuple[Float[Array, "B P 4"], Float[Array, "B P"]]:
    """The `most` likeliest people of every picture: boxes (x0, y0, x1, y1) as fractions of it, likelihoods 0 to 1.

    A person is a cell whose head is likelier than those of its eight neighbours; others have likelihood 0.
    """
    batch, rows, columns, _ = maps.shape
    heads = jax.nn.sigmoid(maps[..., 0])
    around = jax.lax.reduce_window(heads, -jnp.inf, jax.lax.max, (1, 3, 3), (1, 1, 1), "SAME")
    peaks = jnp.where(heads >= around, heads, 0.0).reshape(batch, -1)
    scores, cells = jax.lax.top_k(peaks, most)
    boxes = maps.reshape(batch, -1, MAPS)[..., 1:] + jnp.tile(cell_fractions((rows, columns)), 2)
    return jnp.take_along_axis(boxes, cells[..., None], axis=1), scores
