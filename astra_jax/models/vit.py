"""The vision transformer (ViT, arXiv 2010.11929) as DINO, DINOv2 and ViTPose have it: patches to tokens.

Pre-norm blocks (CLIP's, with the exact GELU), learnt positions, a norm behind the last block.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from astra_jax.errors import UserError
from astra_jax.models.clip import clip_layers, layer_norm
from astra_jax.vit_config import VitConfig

exact_gelu = functools.partial(nn.gelu, approximate=False)


# Of ImageNet's pictures, red, green and blue on a scale of 1; all these networks were trained with them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def imagenet_normalise(pictures: UInt8[Array, "*B H W 3"]) -> Float[Array, "*B H W 3"]:
    """Float32 pictures with ImageNet's channel means taken off and divided by its channel deviations."""
    return (jnp.asarray(pictures, jnp.float32) / 255.0 - jnp.asarray(IMAGENET_MEAN)) / jnp.asarray(IMAGENET_STD)


class VisionTransformer(nn.Module):
    """Tokens of pictures; parameters of the blocks have a leading axis of `config.layers` under `layers/`.

    `dtype` is that of the computation; norms and softmax use float32.
    """

    config: VitConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pictures: Float[Array, "B H W D"]) -> Float[Array, "B T C"]:
        """The tokens after the last norm: the class token, where `config.class_token`, then the patches row by row.

        `pictures` (or features in their place) are normalised as the weights want them, `config.image_size` pixels.
        Raises `UserError` for another size and for a config whose patches do not tile its pictures.
        """
        config = self.config
        batch, height, width, _ = pictures.shape
        rows, columns = config.image_size
        if config.layers < 1 or rows % config.patch or columns % config.patch:
            raise UserError(
                f"a vision transformer needs a layer or more (not {config.layers}) and pictures of whole patches"
                f" (not {rows} x {columns} pixels with patches of {config.patch})"
            )
        if (height, width) != (rows, columns):
            raise UserError(f"this network reads pictures of {rows} x {columns} pixels, not {height} x {width}")
        patch = (config.patch, config.patch)
        pad = (config.patch_padding, config.patch_padding)
        patches = nn.Conv(config.width, patch, patch, (pad, pad), dtype=self.dtype, name="patches")
        x = patches(pictures.astype(self.dtype)).reshape(batch, -1, config.width)
        normal = nn.initializers.normal(0.02)
        positions = self.param("positions", normal, (config.class_token + x.shape[1], config.width), jnp.float32)
        if config.class_token:
            first = self.param("class_token", normal, (config.width,), jnp.float32)
            first = jnp.broadcast_to(first.astype(self.dtype), (batch, 1, config.width))
            x = jnp.concatenate([first, x], axis=1)
        x = x + positions.astype(self.dtype)
        blocks = clip_layers(
            config, config.layers, self.dtype,
            eps=config.eps, activation=exact_gelu, layer_scale=config.layer_scale,
        )  # fmt: skip
        x, _ = blocks(x, None)
        return layer_norm(self.dtype, "norm_out", config.eps)(x)
