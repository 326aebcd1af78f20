"""The DSM adapter: turns each reference picture into offsets of the text stream's modulation at the subject's words.

ASTRA (arXiv 2604.13938) shows one offset per subject, made from its picture and added in the text stream's modulation.
The inside is not published; ours is XVerse's text-image resampler (arXiv 2506.21416): phrase tokens query image
features, one resampler for an offset shared by all double blocks and one for an offset of each block. Our decision: the
last norm starts at zero, so that an untrained adapter leaves the model exactly as it was and one training stage is
enough.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from astra_jax.config import DsmConfig
from astra_jax.models.attention import attend


class ResamplerBlock(nn.Module):
    """Attention from queries to [queries; features], then an MLP with squared ReLU; norms are learned."""

    config: DsmConfig
    dtype: Any

    @nn.compact
    def __call__(self, queries: Float[Array, "B Lp W"], features: Float[Array, "B Li W"]) -> Float[Array, "B Lp W"]:
        """Returns the updated queries."""
        config = self.config
        batch, length, width = queries.shape

        def norm(name: str) -> nn.LayerNorm:
            return nn.LayerNorm(epsilon=1e-6, dtype=self.dtype, name=name)

        def heads(x: Float[Array, "B L W"]) -> Float[Array, "B L H D"]:
            return x.reshape(batch, -1, config.heads, width // config.heads)

        normed = norm("query_norm")(queries)
        context = jnp.concatenate([normed, norm("feature_norm")(features)], 1)
        q = heads(nn.Dense(width, dtype=self.dtype, name="query")(normed))
        k = heads(nn.Dense(width, dtype=self.dtype, name="key")(context))
        v = heads(nn.Dense(width, dtype=self.dtype, name="value")(context))
        attended = attend(q, k, v).reshape(batch, length, width)
        queries = queries + nn.Dense(width, dtype=self.dtype, name="out")(attended)
        hidden = nn.Dense(4 * width, dtype=self.dtype, name="mlp_in")(norm("mlp_norm")(queries))
        return queries + nn.Dense(width, dtype=self.dtype, name="mlp_out")(jnp.square(nn.relu(hidden)))


class Resampler(nn.Module):
    """Phrase tokens that gather image features into vectors of `out_width`, zero at start."""

    config: DsmConfig
    out_width: int
    dtype: Any

    @nn.compact
    def __call__(self, phrase: Float[Array, "B Lp Ct"], features: Float[Array, "B Li Ci"]) -> Float[Array, "B Lp out"]:
        """Returns one vector a phrase token."""
        queries = nn.Dense(self.config.width, dtype=self.dtype, name="phrase_in")(phrase)
        features = nn.Dense(self.config.width, dtype=self.dtype, name="image_in")(features)
        for layer in range(self.config.layers):
            queries = ResamplerBlock(self.config, self.dtype, name=f"block_{layer}")(queries, features)
        offsets = nn.Dense(self.out_width, dtype=self.dtype, name="proj")(queries)
        zeros = nn.initializers.zeros
        return nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, scale_init=zeros, name="out_norm")(offsets)


class Dsm(nn.Module):
    """Offsets of every double block for every phrase token of every subject."""

    config: DsmConfig
    width: int
    double_blocks: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, phrases: Float[Array, "B N Lp Ct"], features: Float[Array, "B N Li Ci"]
    ) -> Float[Array, "K B S D"]:
        """Returns shared plus per-block offsets, float32; S = N Lp with a subject's tokens side by side."""
        batch, subjects, length, _ = phrases.shape
        phrases = phrases.reshape(batch * subjects, *phrases.shape[2:])
        features = features.reshape(batch * subjects, *features.shape[2:])
        shared = Resampler(self.config, self.width, self.dtype, name="shared")(phrases, features)
        blocks = Resampler(self.config, self.width * self.double_blocks, self.dtype, name="blocks")(phrases, features)
        offsets = shared[:, :, None] + blocks.reshape(*blocks.shape[:2], self.double_blocks, self.width)
        offsets = offsets.reshape(batch, subjects * length, self.double_blocks, self.width)
        return jnp.moveaxis(offsets, 2, 0)


def place_offsets(
    placement: Int[Array, "B N Lp"], has_identity: Bool[Array, "B N"], text_length: int
) -> Float[Array, "B S Lt"]:
    """One-hot rows from positions in the prompt; -1 and subjects without identity give a zero row."""
    placement = jnp.where(has_identity[:, :, None], placement, -1)
    return jax.nn.one_hot(placement.reshape(placement.shape[0], -1), text_length)
