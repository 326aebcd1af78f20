"""Pictures of benchmarks: of controls, read when they are looked at, since a data set's photos do not fit into memory
together; and those that are shown beside others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from astra_jax.evaluation.samples import Case, Sample
from astra_jax.inputs.photos import letterbox, load_photo
from astra_jax.inputs.requests import SubjectRequest

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # of pictures that users bring
SMALL = 192  # pixels: the longer side of what a report shows beside a picture


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


def references(subjects: Sequence[SubjectRequest]) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    """What a report shows of the photos that a picture was asked for with, each under its number and phrase.

    Raises `UserError` as `load_photo` does.
    """
    return {
        f"{number}: {subject.phrase}": letterbox(load_photo(subject.image), (SMALL, SMALL))
        for number, subject in enumerate(subjects, 1)
    }


def digest(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """Tells pictures apart by size and pixels."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()
