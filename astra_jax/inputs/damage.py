"""Damage to pictures as a small diffusion model does it, so that a network trained on clean ones can read such too."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

CLEAN = 0.7  # share of pictures that are left as they are: precision is measured on clean ones
_BLUR = 1.0  # largest deviation in pixels
_SHRINK = 2.2  # largest factor by which a picture is made smaller, and larger again
_STAINS = 14.0  # largest deviation of slow changes of colour, in levels of 255
_NOISE = 9.0  # of every pixel by itself
_CONTRAST, _SHIFT = 0.25, 18.0  # of a channel


def damage(picture: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """The picture, smudged, stained, noisy and of other colours, each by chance and by a random amount."""
    if rng.random() < CLEAN:
        return picture
    image = Image.fromarray(picture)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, _BLUR)))
    if rng.random() < 0.4:  # details go, and edges get the crooked look of an autoencoder's
        factor = rng.uniform(1.2, _SHRINK)
        small = max(8, round(image.width / factor)), max(8, round(image.height / factor))
        image = image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image).astype(np.float32)
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        coarse = rng.normal(128, 40, (max(2, height // 12), max(2, width // 12), 3)).clip(0, 255).astype(np.uint8)
        stains = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32)
        pixels += (stains - 128) * (rng.uniform(0, _STAINS) / 40)
    if rng.random() < 0.5:
        pixels += rng.standard_normal(pixels.shape, np.float32) * rng.uniform(0, _NOISE)
    if rng.random() < 0.6:
        gain = 1 + rng.uniform(-_CONTRAST, _CONTRAST) + rng.uniform(-0.08, 0.08, 3)
        pixels = (pixels - 128) * gain.astype(np.float32) + (128 + rng.uniform(-_SHIFT, _SHIFT, 3).astype(np.float32))
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)
