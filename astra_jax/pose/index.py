"""Nearest neighbours by dot product: ScaNN for serving, an exact JAX search as its oracle and where ScaNN is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from astra_jax.errors import UserError
from astra_jax.pose.exact_index import ExactIndex
from astra_jax.pose.scann_index import ScannIndex

BACKENDS = ("scann", "exact")


@runtime_checkable
class NeighbourIndex(Protocol):
    """Searches fixed points by dot product."""

    def search(
        self, queries: Float[np.ndarray, "B D"], k: int
    ) -> tuple[Float[np.ndarray, "B k"], Int[np.ndarray, "B k"]]:
        """Scores, best first, and rows of the `k` nearest points of every query; row -1 where there are fewer."""
        ...

    def extended(self, vectors: Float[np.ndarray, "N D"]) -> NeighbourIndex:
        """An index of `vectors`, whose first rows are this one's and which has more; this one stays as it is."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the index into an existing folder, for `load_index`."""
        ...


def scann_available() -> bool:
    """Whether ScaNN is installed (it has wheels for Linux only)."""
    return importlib.util.find_spec("scann") is not None


def default_backend() -> str:
    """ScaNN's name where it is installed, else "exact"."""
    return "scann" if scann_available() else "exact"


def check_backend(backend: str) -> str:
    """`backend` itself; raises `UserError` if it is unknown or not installed."""
    if backend not in BACKENDS:
        raise UserError(f"there is no index backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    if backend == "scann" and not scann_available():
        raise UserError("ScaNN is not installed here (it has wheels for Linux only): use the backend 'exact'")
    return backend


def build_index(vectors: Float[np.ndarray, "R D"], backend: str) -> NeighbourIndex:
    """An index of `vectors` (unit rows); raises `UserError` for a backend that is not there."""
    if check_backend(backend) == "scann":
        return ScannIndex.build(vectors)
    return ExactIndex(vectors)


def load_index(folder: Path, vectors: Float[np.ndarray, "R D"], backend: str) -> NeighbourIndex:
    """The index that `save` wrote; raises `UserError` for a backend that is not there or files that do not fit."""
    if check_backend(backend) == "scann":
        return ScannIndex.load(folder, vectors)
    return ExactIndex(vectors)
