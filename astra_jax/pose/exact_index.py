"""Nearest neighbours by every dot product: exact on every platform JAX runs on, and the oracle of ScaNN's tests."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_SCORES_AT_ONCE = 1 << 25  # at most this many scores (128 MiB) are held at a time


class ExactIndex:
    """Every dot product in float32, then the largest. A `NeighbourIndex`."""

    def __init__(self, vectors: Float[np.ndarray, "R D"]):
        self._vectors = jnp.asarray(vectors, jnp.float32)

    def search(
        self, queries: Float[np.ndarray, "B D"], k: int
    ) -> tuple[Float[np.ndarray, "B k"], Int[np.ndarray, "B k"]]:
        """See `NeighbourIndex.search`."""
        points = len(self._vectors)
        scores, rows = [np.zeros((0, min(k, points)), np.float32)], [np.zeros((0, min(k, points)), np.int64)]
        step = max(_SCORES_AT_ONCE // points, 1)
        for start in range(0, len(queries), step):
            chunk = np.asarray(queries[start : start + step], np.float32)
            # Padding to a power of two keeps the number of compiled programs small.
            padded = np.zeros((1 << (len(chunk) - 1).bit_length(), chunk.shape[1]), np.float32)
            padded[: len(chunk)] = chunk
            best, row = _top_k(self._vectors, padded, min(k, points))
            scores.append(np.asarray(best)[: len(chunk)])
            rows.append(np.asarray(row)[: len(chunk)].astype(np.int64))
        return fill_up(np.concatenate(scores), np.concatenate(rows), k)

    def extended(self, vectors: Float[np.ndarray, "N D"]) -> ExactIndex:
        """See `NeighbourIndex.extended`."""
        return ExactIndex(vectors)

    def save(self, folder: Path) -> None:
        """Nothing to write: the bank's vectors are the index."""


@functools.partial(jax.jit, static_argnames="k")
def _top_k(
    vectors: Float[Array, "R D"], queries: Float[Array, "B D"], k: int
) -> tuple[Float[Array, "B k"], Int[Array, "B k"]]:
    scores = jnp.einsum("BD,RD->BR", queries, vectors, precision=jax.lax.Precision.HIGHEST)
    best, rows = jax.lax.top_k(scores, k)
    return best, rows


def fill_up(
    scores: Float[np.ndarray, "B n"], rows: Int[np.ndarray, "B n"], k: int
) -> tuple[Float[np.ndarray, "B k"], Int[np.ndarray, "B k"]]:
    """Fewer than `k` results filled up with scores of -inf and rows of -1."""
    missing = ((0, 0), (0, k - scores.shape[1]))
    return np.pad(scores, missing, constant_values=-np.inf), np.pad(rows, missing, constant_values=-1)
