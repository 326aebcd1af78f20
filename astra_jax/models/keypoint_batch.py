"""Training examples of the keypoint networks as arrays."""

from __future__ import annotations

import flax.struct
from jaxtyping import Bool, Float, UInt8

from astra_jax.models.conditions import AnyArray

MOST_PEOPLE = 8  # a picture


@flax.struct.dataclass
class KeypointBatch:
    """B pictures with up to P people, and N cuts of each, of a person or of nobody."""

    pictures: UInt8[AnyArray, "B H W 3"]
    heads: Float[AnyArray, "B P 2"]  # (x, y) as fractions of the picture's sides
    boxes: Float[AnyArray, "B P 4"]  # x0, y0, x1, y1 around all joints, the same
    present: Bool[AnyArray, "B P"]
    cuts: UInt8[AnyArray, "B N h w 3"]
    places: Float[AnyArray, "B N 17 2"]  # (x, y) of joints in cells of the maps
    labelled: Bool[AnyArray, "B N 17"]
    tolerances: Float[AnyArray, "B N 17"]  # OKS's s k in cells
    somebody: Bool[AnyArray, "B N"]
