"""BERT's encoder (arXiv 1810.04805), and a sentence's vector from it as Sentence-BERT takes it (arXiv 1908.10084).

MiniLM (arXiv 2002.10957) has this form. Segments and the pooling layer on top are not used: a text is one segment,
and its vector is the mean of its tokens' features.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from astra_jax.config import BertConfig
from astra_jax.errors import UserError
from astra_jax.models.attention import attend
from astra_jax.models.clip import layer_norm


def mean_pool(features: Float[Array, "B L C"], mask: Bool[Array, "B L"]) -> Float[Array, "B C"]:
    """The float32 mean of the features that `mask` keeps, of unit length; zeros where it keeps none."""
    total = jnp.sum(jnp.where(mask[..., None], features.astype(jnp.float32), 0.0), axis=1)
    return total / jnp.maximum(jnp.linalg.norm(total, axis=1, keepdims=True), 1e-12)


class BertBlock(nn.Module):
    """Self-attention and an MLP, each with a residual connection and a layer norm behind it."""

    config: BertConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B L C"], mask: Bool[Array, "B L"] | None) -> tuple[Float[Array, "B L C"], None]:
        """The next hidden state, as `nn.scan` wants it: the carry and no output a layer."""
        batch, length, width = x.shape
        query, key, value = (
            nn.Dense(width, dtype=self.dtype, name=name)(x).reshape(batch, length, self.config.heads, -1)
            for name in ("q", "k", "v")
        )
        mixed = attend(query, key, value, mask=mask).reshape(batch, length, width)
        out = nn.Dense(width, dtype=self.dtype, name="out")(mixed)
        x = layer_norm(self.dtype, "norm1", self.config.norm_eps)(x + out)
        hidden = nn.gelu(nn.Dense(self.config.mlp_dim, dtype=self.dtype, name="fc1")(x), approximate=False)
        out = nn.Dense(width, dtype=self.dtype, name="fc2")(hidden)
        return layer_norm(self.dtype, "norm2", self.config.norm_eps)(x + out), None


class BertEncoder(nn.Module):
    """BERT without its pooling layer. `dtype` is that of the computation; norms and softmax use float32.

    The blocks are scanned: parameters under `layers/` have a leading axis of `config.layers`.
    """

    config: BertConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Int[Array, "B L"], mask: Bool[Array, "B L"] | None = None) -> Float[Array, "B L C"]:
        """Features [B, L, width] of token ids; no position attends to one outside of `mask`, to padding without it.

        Raises `UserError` for texts longer than `config.length` and unless the heads divide the width.
        """
        config = self.config
        length = tokens.shape[1]
        if length > config.length:
            raise UserError(f"this BERT reads at most {config.length} tokens, not {length}: cut the text")
        if config.width % config.heads:
            raise UserError(f"BERT's width {config.width} does not divide into {config.heads} heads: change one")
        init = nn.initializers.normal(0.02)
        embed = nn.Embed(config.vocab_size, config.width, dtype=self.dtype, embedding_init=init, name="embedding")
        positions = self.param("positions", init, (config.length, config.width), jnp.float32)
        segments = self.param("segments", init, (config.segments, config.width), jnp.float32)
        x = embed(tokens) + (positions[:length] + segments[0]).astype(self.dtype)
        x = layer_norm(self.dtype, "norm_in", config.norm_eps)(x)
        layers = nn.scan(
            BertBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType] (flax documents it, its annotation lacks it)
            length=config.layers,
        )
        x, _ = layers(config, self.dtype, name="layers")(x, mask)
        return x
