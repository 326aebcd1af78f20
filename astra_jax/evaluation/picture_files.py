"""Pictures of controls: read when they are looked at, since a data set's photos do not fit into memory together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from astra_jax.evaluation.samples import Case, Sample


class LazySamples(Sequence[Sample]):
    """Samples whose pictures are made each time one is asked for."""

    def __init__(self, rows: Sequence[tuple[Case, int, Callable[[], UInt8[np.ndarray, "_ _ 3"]]]]):
        """`rows` are case, index and what gives the picture."""
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place):
        """One sample, or several for a slice."""
        if isinstance(place, slice):
            return LazySamples(self._rows[place])
        case, index, picture = self._rows[place]
        return Sample(case, index, picture())


def digest(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """Tells pictures apart by size and pixels."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()
