"""Pictures as the feature networks read them: squares of pixels, cut out as transformers' image processors do."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

# Pictures that are longer than so many times their short side are cut to it first: a strip of a pixel's height would
# have to be scaled to millions of columns, of which the middle is read.
_MAX_RATIO = 16


def middle_square(picture: UInt8[np.ndarray, "H W 3"], shorter: int, side: int) -> UInt8[np.ndarray, "S S 3"]:
    """The picture scaled so that its shorter side has `shorter` pixels, and the middle of `side` x `side` cut out.

    Bicubic, as Pillow has it (it widens the filter when it shrinks, so nothing aliases). The pixels are those of
    transformers' processors with `size={"shortest_edge": shorter}` and `crop_size=side` (the longer side is rounded
    down). Raises ValueError where `side` is more than `shorter`.
    """
    if side > shorter:
        raise ValueError(f"a square of {side} pixels cannot be cut from a picture scaled to {shorter}")
    height, width = picture.shape[:2]
    short, long = min(height, width), max(height, width)
    if long > _MAX_RATIO * short:
        start, stop = (long - _MAX_RATIO * short) // 2, (long + _MAX_RATIO * short) // 2
        picture = picture[start:stop] if height > width else picture[:, start:stop]
        height, width = picture.shape[:2]
        long = max(height, width)
    longer = int(shorter * long / short)
    size = (shorter, longer) if width <= height else (longer, shorter)  # width, height
    scaled = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in size)
    return np.asarray(scaled.crop((left, top, left + side, top + side)))
