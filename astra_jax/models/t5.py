"""The encoder of T5 v1.1 (arXiv 1910.10683, 2002.05202): RMS norms, gated GELU, relative position biases.

FLUX.1 attends to the padding of its prompts, inside T5 as in the transformer; sentence vectors (arXiv 2108.08877) mask
it.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from astra_jax.config import T5Config
from astra_jax.models.attention import attend
from astra_jax.models.sharding import constrain

_EPS = 1e-6


def relative_buckets(length: int, buckets: int, max_distance: int) -> Int[np.ndarray, "L L"]:
    """The bucket of every (query, key) pair: T5's bidirectional scheme.

    Keys behind the query have the upper half of the buckets. In each half the lower half of the buckets stands for
    one distance each; the rest grow with the logarithm of the distance, and the last one takes everything from
    `max_distance` on.
    """
    offsets = np.arange(length)[None, :] - np.arange(length)[:, None]
    half = buckets // 2
    exact = half // 2
    distances = np.abs(offsets)
    # float32 as in T5's own code, so that distances on a boundary fall on the same side.
    growth = np.log(np.maximum(distances, exact).astype(np.float32) / np.float32(exact))
    far = exact + (growth / np.float32(math.log(max_distance / exact)) * np.float32(half - exact)).astype(np.int64)
    return np.where(offsets > 0, half, 0) + np.where(distances < exact, distances, np.minimum(far, half - 1))


def _dense(features: int, dtype: Any, name: str, variance: float = 1.0) -> nn.Dense:
    init = nn.initializers.variance_scaling(variance, "fan_in", "normal")
    return nn.Dense(features, use_bias=False, dtype=dtype, kernel_init=init, name=name)


class T5Block(nn.Module):
    """Self-attention and a gated MLP, each behind an RMS norm and with a residual connection."""

    config: T5Config
    dtype: Any

    @nn.compact
    def __call__(
        self, x: Float[Array, "B L C"], bias: Float[Array, "1 H L L"], mask: Bool[Array, "B L"] | None
    ) -> tuple[Float[Array, "B L C"], None]:
        """The next hidden state, as `nn.scan` wants it: the carry and no output a layer."""
        config, dtype = self.config, self.dtype
        batch, length, width = x.shape
        normed = nn.RMSNorm(epsilon=_EPS, dtype=dtype, name="norm1")(x)
        inner = config.heads * config.head_dim
        # Attention logits are not divided by sqrt(head_dim): T5's initial query weights are smaller instead.
        query, key, value = (
            _dense(inner, dtype, name, variance)(normed).reshape(batch, length, config.heads, config.head_dim)
            for name, variance in (("q", 1.0 / config.head_dim), ("k", 1.0), ("v", 1.0))
        )
        mixed = attend(query, key, value, mask=mask, bias=bias, scale=1.0).reshape(batch, length, inner)
        x = x + _dense(width, dtype, "o")(mixed)
        normed = nn.RMSNorm(epsilon=_EPS, dtype=dtype, name="norm2")(x)
        gate = nn.gelu(_dense(config.mlp_dim, dtype, "wi_0")(normed), approximate=True)
        x = x + _dense(width, dtype, "wo")(gate * _dense(config.mlp_dim, dtype, "wi_1")(normed))
        return constrain(x, "batch", None, None), None


class T5Encoder(nn.Module):
    """T5 v1.1's encoder: tokens to features. `dtype` is that of the computation; norms and softmax use float32.

    The blocks are scanned: parameters under `layers/` have a leading axis of `config.layers`. The relative position
    biases belong to the first layer in T5's own files and are shared by all.
    """

    config: T5Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Int[Array, "B L"], mask: Bool[Array, "B L"] | None = None) -> Float[Array, "B L C"]:
        """Features [B, L, width] of token ids; no position attends to one outside of `mask`, to padding without it."""
        config = self.config
        embedding_init = nn.initializers.normal(1.0)
        embed = nn.Embed(
            config.vocab_size, config.width, dtype=self.dtype, embedding_init=embedding_init, name="embedding"
        )
        table = self.param(
            "relative_bias", nn.initializers.normal(config.width**-0.5), (config.buckets, config.heads), jnp.float32
        )
        buckets = relative_buckets(tokens.shape[1], config.buckets, config.max_distance)
        bias = table[buckets].transpose(2, 0, 1)[None]
        layers = nn.scan(
            T5Block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType] (flax documents it, its annotation lacks it)
            length=config.layers,
        )
        x, _ = layers(config, self.dtype, name="layers")(embed(tokens), bias, mask)
        return nn.RMSNorm(epsilon=_EPS, dtype=self.dtype, name="norm_out")(x)
