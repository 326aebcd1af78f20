"""Decoding large pictures tile by tile, so that memory grows with the tile and not with the picture.

All tiles have one size and are spread evenly, at least `overlap` latents of each over the next. Near a border that lies
inside the picture a tile lacks what the decoder would read behind it. So the outermost quarter of the overlap is
thrown away, over the next half the tile's weight grows linearly from 0 to 1, and where tiles meet their weights are
scaled to sum to 1 (our decision). A decoder whose pixels depend on latents at most `overlap // 4` away therefore gives
the same picture with tiles as without. FLUX.1's decoder also takes norms and one attention over all it sees: there the
tiles differ a little, and the ramp hides where one ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from astra_jax.errors import UserError

TILE, OVERLAP = 128, 32  # latents: tiles of 1024 pixels, the size that FLUX.1 was made for


def tile_starts(length: int, tile: int, overlap: int) -> Int[np.ndarray, "N"]:
    """Where the tiles of a side begin: as few as cover `length` with `overlap` at least, evenly spread.

    Raises `UserError` unless 0 <= overlap < tile.
    """
    if not 0 <= overlap < tile:
        raise UserError(f"tiles of {tile} latents cannot overlap by {overlap}: give 0 <= overlap < tile")
    if length <= tile:
        return np.zeros(1, int)
    count = math.ceil((length - overlap) / (tile - overlap))
    return np.round(np.linspace(0, length - tile, count)).astype(int)


def tile_weights(
    starts: Int[np.ndarray, "N"], length: int, tile: int, overlap: int, factor: int
) -> Float[np.ndarray, "N P"]:
    """How much each pixel of each tile counts along one side; over the tiles of a pixel the weights sum to 1.

    Args:
        starts: of the tiles, in latents.
        length: of the side, in latents.
        tile: length of a tile, at most `length`.
        overlap: in latents; see the module.
        factor: pixels a latent.
    """
    pixels = tile * factor
    inwards = np.arange(pixels) + 0.5  # from the tile's border to the middle of each pixel
    width = overlap * factor
    ramp = np.clip((inwards - width / 4) / (width / 2), 0.0, 1.0) if width else np.ones(pixels)
    weights = np.ones((len(starts), pixels))
    total = np.zeros(length * factor)
    for row, start in zip(weights, starts, strict=True):
        row *= ramp if start > 0 else 1.0
        row *= ramp[::-1] if start + tile < length else 1.0
        total[start * factor : start * factor + pixels] += row
    for row, start in zip(weights, starts, strict=True):
        row /= total[start * factor : start * factor + pixels]
    return weights.astype(np.float32)


def decode_tiled(
    decode: Callable[[Float[Array, "B t u C"]], Float[Array, "B T U 3"]],
    latents: Float[Array, "B h w C"],
    factor: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> Float[Array, "B H W 3"]:
    """Pictures, in float32, of latents of any size; `decode` only ever sees `tile` x `tile` of them, or fewer.

    Tiles are decoded one after the other in one loop, which compiles `decode` once. A picture that fits into one tile
    is decoded whole.

    Args:
        decode: latents to pictures `factor` times their size.
        latents: what `decode` takes.
        factor: pixels a latent, along one side.
        tile: side of a tile in latents.
        overlap: of neighbouring tiles in latents, at least; see the module for what it does.

    Raises `UserError` unless 0 <= overlap < tile.
    """
    batch, *sides, channels = latents.shape
    sizes = [min(tile, side) for side in sides]
    starts = [tile_starts(side, tile, overlap) for side in sides]
    if all(len(side) == 1 for side in starts):
        return decode(latents).astype(jnp.float32)
    tables = [
        tile_weights(begin, side, size, overlap, factor) for begin, side, size in zip(starts, sides, sizes, strict=True)
    ]
    rows, columns = (index.ravel() for index in np.indices([len(side) for side in starts]))

    def add(
        pictures: Float[Array, "B H W 3"], tile_of: tuple[Array, Array, Array, Array]
    ) -> tuple[Float[Array, "B H W 3"], None]:
        top, left, down, across = tile_of
        part = jax.lax.dynamic_slice(latents, (0, top, left, 0), (batch, *sizes, channels))
        weighted = decode(part).astype(jnp.float32) * (down[:, None] * across)[:, :, None]
        corner = (0, top * factor, left * factor, 0)
        there = jax.lax.dynamic_slice(pictures, corner, weighted.shape)
        return jax.lax.dynamic_update_slice(pictures, there + weighted, corner), None

    empty = jnp.zeros((batch, sides[0] * factor, sides[1] * factor, 3))
    steps = (starts[0][rows], starts[1][columns], tables[0][rows], tables[1][columns])
    return jax.lax.scan(add, empty, jax.tree.map(jnp.asarray, steps))[0]
