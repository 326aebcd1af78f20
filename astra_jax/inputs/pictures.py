"""Pictures for training the autoencoder, which must encode all that the model reads: targets, skeletons and photos."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.example import Example
from astra_jax.inputs.photos import cover, letterbox, square
from astra_jax.inputs.transforms import skeletons

# How often each kind of picture comes: the target is what is decoded in the end (our decision).
TARGET, SKELETON = 0.5, 0.25  # the rest: a subject's photo


def random_picture(example: Example, rng: np.random.Generator, config: Config) -> UInt8[np.ndarray, "H W 3"]:
    """A random square cut of side `data.crop` from the target, the skeleton or a photo as the model sees them.

    With `data.crop` 0: the whole picture at data.height x data.width. An example without people or subjects gives its
    target in their place.
    """
    data = config.data
    canvas, side = (data.height, data.width), data.crop
    kind = rng.random()
    if TARGET <= kind < TARGET + SKELETON and example.people is not None and len(example.people):
        picture = skeletons(example, canvas)
    elif kind >= TARGET + SKELETON and example.subjects:
        photo = example.subjects[rng.integers(len(example.subjects))].photo
        picture = square(photo, max(data.reference_size, side)) if side else letterbox(photo, canvas)
    elif example.target is not None:
        picture = cover(example.target, canvas)
    else:
        raise ValueError("an example without a target cannot train the autoencoder")
    if not side:
        return picture
    top = rng.integers(picture.shape[0] - side + 1)
    left = rng.integers(picture.shape[1] - side + 1)
    return picture[top : top + side, left : left + side]


def check_crop(config: Config) -> None:
    """Raises `UserError` unless `data.crop` (or the canvas, where it is 0) suits the autoencoder."""
    data, pixels = config.data, config.model.autoencoder.downsampling
    if data.crop > min(data.height, data.width):
        raise UserError(f"config.data.crop {data.crop} does not fit into {data.height} x {data.width} pictures")
    sizes = {"crop": data.crop} if data.crop else {"height": data.height, "width": data.width}
    for name, size in sizes.items():
        if size <= 0 or size % pixels:
            nearest = max(pixels, round(size / pixels) * pixels)
            raise UserError(f"config.data.{name} {size} is no positive multiple of {pixels}: {nearest} is the nearest")
