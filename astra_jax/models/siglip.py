"""SigLIP's vision transformer (arXiv 2303.15343) up to its patch tokens, the identity adapter's other image encoder.

CLIP's blocks with the tanh GELU and eps 1e-6, no class token and no norm before the blocks. The attention pooling that
SigLIP puts on top is not read and has no parameters here: FLUX.1 Redux takes the tokens too.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from astra_jax.config import SiglipVisionConfig
from astra_jax.errors import UserError
from astra_jax.models.clip import clip_layers, layer_norm

_EPS = 1e-6


def siglip_normalise(pictures: UInt8[Array, "*B S S 3"]) -> Float[Array, "*B S S 3"]:
    """Float32 pictures in [-1, 1] (mean and deviation 0.5 on a scale of 1, SigLIP's preprocessing)."""
    return jnp.asarray(pictures, jnp.float32) / 127.5 - 1.0


class SiglipVisionEncoder(nn.Module):
    """SigLIP's vision transformer. `dtype` is that of the computation; norms and softmax use float32.

    Parameters under `layers/` have a leading axis of `config.layers`. Pixels at the right and at the bottom that fill
    no patch are not read (384 pixels make 27 patches of 14).
    """

    config: SiglipVisionConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pictures: Float[Array, "B S S 3"]) -> Float[Array, "B T C"]:
        """The patches row by row, after the last block and the norm behind it (`last_hidden_state`).

        `pictures` are `siglip_normalise`d squares of `config.image_size` pixels. Raises `UserError` for another size
        and for a config without a patch or a block.
        """
        config = self.config
        batch, size = pictures.shape[:2]
        if config.layers < 1 or not 1 <= config.patch <= config.image_size:
            raise UserError(
                f"siglip_vision needs a layer or more (not {config.layers}) and a patch between 1 and image_size"
                f" {config.image_size} (not {config.patch})"
            )
        if size != config.image_size:
            raise UserError(f"SigLIP reads pictures of {config.image_size} pixels, not {size}")
        patch = (config.patch, config.patch)
        patches = nn.Conv(config.width, patch, patch, "VALID", dtype=self.dtype, name="patches")
        x = patches(pictures.astype(self.dtype)).reshape(batch, config.tokens, config.width)
        shape = (config.tokens, config.width)
        positions = self.param("positions", nn.initializers.normal(0.02), shape, jnp.float32)
        x = x + positions.astype(self.dtype)
        x, _ = clip_layers(config, config.layers, self.dtype, eps=_EPS, activation=nn.gelu)(x, None)
        return layer_norm(self.dtype, "norm_out", _EPS)(x)
