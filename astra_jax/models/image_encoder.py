"""The image encoder that the identity adapter reads, chosen by `dsm.encoder`: CLIP's (XVerse's choice) or SigLIP's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
from jaxtyping import Array

from astra_jax.config import ModelConfig
from astra_jax.models.clip import ClipVisionEncoder, clip_normalise
from astra_jax.models.siglip import SiglipVisionEncoder, siglip_normalise


class ImageEncoder(NamedTuple):
    """How photos become tokens; `ModelConfig.image_encoder` has the sizes."""

    module: nn.Module
    normalise: Callable[[Array], Array]  # uint8 pictures to what the module takes


def image_encoder(config: ModelConfig, dtype: Any) -> ImageEncoder:
    """The chosen encoder, computing in `dtype`."""
    if config.dsm.encoder == "siglip":
        return ImageEncoder(SiglipVisionEncoder(config.siglip_vision, dtype), siglip_normalise)
    return ImageEncoder(ClipVisionEncoder(config.clip_vision, dtype), clip_normalise)
