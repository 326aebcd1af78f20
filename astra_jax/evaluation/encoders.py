"""Picture encoders: from pictures to unit vectors whose products tell how alike the pictures are."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8


class PictureEncoder(Protocol):
    """`name` begins the names of its figures: "clip_i", "dino", "dinov2"; a stand-in has a name of its own."""

    name: str

    def __call__(self, pictures: list[UInt8[np.ndarray, "_ _ 3"]]) -> Float[np.ndarray, "N D"]:
        """A unit vector for each picture, of any size."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """A `PictureEncoder` that encodes texts into the same space."""

    def texts(self, texts: list[str]) -> Float[np.ndarray, "N D"]:
        """A unit vector for each text."""
        ...
