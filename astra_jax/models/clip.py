"""CLIP's two encoders (arXiv 2103.00020), apart as the model reads them, and whole as evaluation does.

Both are pre-norm transformers with the GELU approximation x * sigmoid(1.702 x). The model reads neither in CLIP's
common space: FLUX.1 takes the text feature before the projection, the identity adapter (XVerse, arXiv 2506.21416) the
image tokens before the last block. `ClipFeatures` goes to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from astra_jax.config import ClipConfig, ClipTextConfig, ClipVisionConfig, SiglipVisionConfig
from astra_jax.errors import UserError
from astra_jax.models.attention import attend
from astra_jax.models.sharding import constrain
from astra_jax.vit_config import VitConfig

_EPS = 1e-5
# Of the pictures CLIP was trained on, red, green and blue on a scale of 1.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_normalise(pictures: UInt8[Array, "*B S S 3"]) -> Float[Array, "*B S S 3"]:
    """Float32 pictures with CLIP's channel means taken off and divided by its channel deviations."""
    return (jnp.asarray(pictures, jnp.float32) / 255.0 - jnp.asarray(CLIP_MEAN)) / jnp.asarray(CLIP_STD)


def quick_gelu(x: Float[Array, "*B C"]) -> Float[Array, "*B C"]:
    """OpenAI's approximation of the GELU: `x * sigmoid(1.702 x)`."""
    return x * jax.nn.sigmoid(1.702 * x)


def causal_bias(length: int) -> Float[np.ndarray, "1 1 L L"]:
    """What to add to attention logits so that no position reads a later one."""
    later = np.triu(np.ones((length, length), bool), k=1)
    return np.where(later, np.finfo(np.float32).min, np.float32(0.0))[None, None]


def layer_norm(dtype: Any, name: str, eps: float = _EPS) -> nn.LayerNorm:
    """A layer norm that takes its variance from centred values: CLIP's features have large means."""
    return nn.LayerNorm(epsilon=eps, dtype=dtype, use_fast_variance=False, name=name)


class ClipBlock(nn.Module):
    """Self-attention and an MLP, each behind a layer norm and with a residual connection."""

    heads: int
    mlp_dim: int
    dtype: Any
    eps: float = _EPS
    activation: Callable[[Array], Array] = quick_gelu
    layer_scale: bool = False  # a learnt factor a channel on what each half adds (arXiv 2103.17239)

    @nn.compact
    def __call__(
        self, x: Float[Array, "B L C"], bias: Float[Array, "1 1 L L"] | None
    ) -> tuple[Float[Array, "B L C"], None]:
        """The next hidden state, as `nn.scan` wants it: the carry and no output a layer."""
        batch, length, width = x.shape
        normed = layer_norm(self.dtype, "norm1", self.eps)(x)
        query, key, value = (
            nn.Dense(width, dtype=self.dtype, name=name)(normed).reshape(batch, length, self.heads, -1)
            for name in ("q", "k", "v")
        )
        mixed = attend(query, key, value, bias=bias).reshape(batch, length, width)
        x = x + self._scaled(nn.Dense(width, dtype=self.dtype, name="out")(mixed), "scale1")
        normed = layer_norm(self.dtype, "norm2", self.eps)(x)
        hidden = self.activation(nn.Dense(self.mlp_dim, dtype=self.dtype, name="fc1")(normed))
        x = x + self._scaled(nn.Dense(width, dtype=self.dtype, name="fc2")(hidden), "scale2")
        return constrain(x, "batch", None, None), None

    def _scaled(self, x: Float[Array, "B L C"], name: str) -> Float[Array, "B L C"]:
        if not self.layer_scale:
            return x
        return x * self.param(name, nn.initializers.ones, (x.shape[-1],), jnp.float32).astype(self.dtype)


def clip_layers(
    config: ClipTextConfig | ClipVisionConfig | SiglipVisionConfig | VitConfig, count: int, dtype: Any, **block: Any
) -> Any:
    """`count` blocks as one scanned module: parameters under `layers/` have a leading axis of `count`.

    `block` are further fields of `ClipBlock`. Raises `UserError` unless the heads divide the width.
    """
    if config.width % config.heads:
        raise UserError(f"an encoder's width {config.width} does not divide into {config.heads} heads: change one")
    scanned = nn.scan(
        ClipBlock,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType] (flax documents it, its annotation lacks it)
        length=count,
    )
    return scanned(config.heads, config.mlp_dim, dtype, **block, name="layers")


class ClipTextEncoder(nn.Module):
    """CLIP's causal text encoder. `dtype` is that of the computation; norms and softmax use float32."""

    config: ClipTextConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Int[Array, "B L"]) -> Float[Array, "B C"]:
        """The feature [B, width], after the final norm, at the first end-of-text token (the last id of the vocabulary).

        A text without that token is read at its first position. Raises `UserError` for texts longer than
        `config.length`.
        """
        config = self.config
        length = tokens.shape[1]
        if length > config.length:
            raise UserError(f"CLIP reads at most {config.length} tokens, not {length}: cut the text")
        embedding_init = nn.initializers.normal(0.02)
        embed = nn.Embed(
            config.vocab_size, config.width, dtype=self.dtype, embedding_init=embedding_init, name="embedding"
        )
        shape = (config.length, config.width)
        positions = self.param("positions", nn.initializers.normal(0.01), shape, jnp.float32)
        x = embed(tokens) + positions[:length].astype(self.dtype)
        x, _ = clip_layers(config, config.layers, self.dtype)(x, jnp.asarray(causal_bias(length)))
        ends = jnp.argmax(tokens == config.vocab_size - 1, axis=1)
        pooled = jnp.take_along_axis(x, ends[:, None, None], axis=1)[:, 0]
        return layer_norm(self.dtype, "norm_out")(pooled)


class ClipVisionEncoder(nn.Module):
    """CLIP's vision transformer, up to its last block and without it, or `whole`.

    `config.layers` counts blocks as published (24 for ViT-L/14), at least two. Without `whole` the last one is never
    read and has no parameters here: those under `layers/` have a leading axis of `config.layers - 1`. The norm behind
    the blocks is `ClipFeatures`'. `dtype` is that of the computation; norms and softmax use float32.
    """

    config: ClipVisionConfig
    dtype: Any = jnp.float32
    whole: bool = False

    @nn.compact
    def __call__(self, pictures: Float[Array, "B S S 3"]) -> Float[Array, "B T C"]:
        """The tokens that enter the last block (`hidden_states[-2]`), those that leave it (`last_hidden_state`) where
        `whole`: the class token, then the patches row by row.

        `pictures` are `clip_normalise`d squares of `config.image_size` pixels. Raises `UserError` for another size and
        for a config whose patches do not tile its pictures.
        """
        config = self.config
        batch, size = pictures.shape[:2]
        if config.layers < 2 or config.image_size % config.patch:
            raise UserError(
                f"clip_vision needs two layers or more (not {config.layers}) and an image_size that is a multiple of "
                f"patch (not {config.image_size} and {config.patch})"
            )
        if size != config.image_size:
            raise UserError(f"CLIP's image encoder reads pictures of {config.image_size} pixels, not {size}")
        patch_shape = (config.patch, config.patch)
        patches = nn.Conv(
            config.width, patch_shape, patch_shape, "VALID", use_bias=False, dtype=self.dtype, name="patches"
        )(pictures.astype(self.dtype))
        patches = patches.reshape(batch, -1, config.width)
        normal = nn.initializers.normal(0.02)
        first = self.param("class_token", normal, (config.width,), jnp.float32)
        positions = self.param("positions", normal, (1 + patches.shape[1], config.width), jnp.float32)
        first = jnp.broadcast_to(first.astype(self.dtype), (batch, 1, config.width))
        x = jnp.concatenate([first, patches], axis=1) + positions.astype(self.dtype)
        layers = config.layers if self.whole else config.layers - 1
        x, _ = clip_layers(config, layers, self.dtype)(layer_norm(self.dtype, "norm_in")(x), None)
        return x


class ClipFeatures(nn.Module):
    """CLIP whole: pictures and texts as vectors of its common space, not yet of unit length."""

    config: ClipConfig
    dtype: Any = jnp.float32

    def setup(self):
        """Both encoders, the norm behind the vision encoder, and the two projections."""
        config = self.config
        self.text = ClipTextEncoder(config.text, self.dtype)
        self.vision = ClipVisionEncoder(config.vision, self.dtype, whole=True)
        self.norm_out = layer_norm(self.dtype, "norm_out")
        self.text_projection = nn.Dense(config.dim, use_bias=False, dtype=self.dtype)
        self.vision_projection = nn.Dense(config.dim, use_bias=False, dtype=self.dtype)

    def images(self, pictures: Float[Array, "B S S 3"]) -> Float[Array, "B D"]:
        """`image_embeds` before they are scaled to unit length: the projected class token of each picture.

        `pictures` and errors as in `ClipVisionEncoder`.
        """
        return self.vision_projection(self.norm_out(self.vision(pictures)[:, 0]))

    def texts(self, tokens: Int[Array, "B L"]) -> Float[Array, "B D"]:
        """`text_embeds` before they are scaled to unit length; `tokens` and errors as in `ClipTextEncoder`."""
        return self.text_projection(self.text(tokens))

    def __call__(
        self, pictures: Float[Array, "B S S 3"], tokens: Int[Array, "N L"]
    ) -> tuple[Float[Array, "B D"], Float[Array, "N D"]]:
        """`images` and `texts`, which make all parameters."""
        return self.images(pictures), self.texts(tokens)
