"""EURoPE: rotary positions that bind pose tokens to the canvas and free identity tokens from any place.

A token's position is (0, row, column) in units of canvas tokens. Text sits at the origin. The canvas has FLUX's own
positions. The pose picture has *exactly the canvas's* positions, so a pose token and the canvas token under it see each
other at distance zero. References follow each other down the diagonal behind the canvas, as in UNO (UnoPE, arXiv
2504.02160, eq. 8), so no reference token ever shares a place with the canvas. A pose takes no room on that diagonal.
What ASTRA publishes is the asymmetry (arXiv 2604.13938); the rule for a pose grid coarser than the canvas is
OminiControl2's (cell centres) and is our decision.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

MODES = ("europe", "unope", "rope")
Grid = tuple[int, int]


def _grid(size: Grid, corner: tuple[int, int] = (0, 0), canvas: Grid | None = None) -> Float[np.ndarray, "L 3"]:
    """Positions of a (rows, columns) token grid from `corner` on; with `canvas`, spread over the canvas's extent."""
    axes = []
    for cells, start, extent in zip(size, corner, canvas or size, strict=True):
        step = extent / cells
        axes.append(np.arange(cells) * step + (step - 1) / 2 + start)
    rows, columns = np.meshgrid(*axes, indexing="ij")
    return np.stack([np.zeros_like(rows), rows, columns], -1).reshape(-1, 3).astype(np.float32)


def positions(
    text_length: int, canvas: Grid, pose: Grid | None = None, references: Sequence[Grid] = (), mode: str = "europe"
) -> Float[np.ndarray, "L 3"]:
    """Positions of [text | canvas | pose | reference 1 | reference 2 ...]; all grids are (rows, columns) in tokens.

    `mode` is "europe", or one of the two symmetric ablations: "unope" (the pose is one more reference, first on the
    diagonal) and "rope" (every picture starts at the origin). Raises ValueError for any other mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, not {mode!r}")
    parts = [np.zeros((text_length, 3), np.float32), _grid(canvas)]
    corner = canvas
    if pose is not None:
        if mode == "unope":
            parts.append(_grid(pose, corner))
            corner = (corner[0] + pose[0], corner[1] + pose[1])
        else:
            parts.append(_grid(pose, canvas=canvas))
    for size in references:
        if mode == "rope":
            parts.append(_grid(size))
        else:
            parts.append(_grid(size, corner))
            corner = (corner[0] + size[0], corner[1] + size[1])
    return np.concatenate(parts)


@functools.partial(jax.jit, static_argnames=("axes_dim", "theta"))
def rotary_tables(
    ids: Float[Array, "*B L A"], axes_dim: tuple[int, ...], theta: float = 10_000.0
) -> tuple[Float[Array, "*B L D"], Float[Array, "*B L D"]]:
    """Cosine and sine of every token's angles, the axes side by side (RoPE, arXiv 2104.09864; FLUX.1's axes).

    Axis a of width d_a turns pair k by ids[a] * theta^(-2k/d_a) radians, so D = sum(axes_dim) / 2. Frequencies are made
    in float64 and angles in float32: bfloat16 could not tell neighbouring positions apart.
    """
    angles = []
    for axis, width in enumerate(axes_dim):
        frequencies = theta ** (-np.arange(0, width, 2, dtype=np.float64) / width)
        angles.append(ids[..., axis, None].astype(jnp.float32) * frequencies.astype(np.float32))
    angles = jnp.concatenate(angles, -1)
    return jnp.cos(angles), jnp.sin(angles)


@jax.jit
def apply_rotary(
    x: Float[Array, "B L H D"], cos: Float[Array, "B L D//2"], sin: Float[Array, "B L D//2"]
) -> Float[Array, "B L H D"]:
    """Turns the adjacent pairs (x_2k, x_2k+1) of queries or keys by the table's angles, in float32 (FLUX.1)."""
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    cos, sin = cos[:, :, None], sin[:, :, None]
    turned = jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1)
    return turned.reshape(x.shape).astype(x.dtype)
