"""The diffusion transformer in FLUX.1's form: double-stream blocks, then single-stream blocks (MM-DiT).

Two streams of tokens, text and images (canvas, pose, references), attend to each other in every block. The double
blocks keep separate weights for the two; the single blocks treat the joined sequence alike. Blocks of one kind are one
`nn.scan` over stacked weights, so tracing and compiling do not grow with depth.

On a mesh with a context axis the tokens of each stream are padded to a length that it divides, and split over it.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from astra_jax.config import TransformerConfig
from astra_jax.models.blocks import ZEROS, DoubleBlock, Shared, SingleBlock, modulate
from astra_jax.models.conditions import CachedPictures, Conditions, KeysValues
from astra_jax.models.context_parallel import gather_pictures, join, pad_tokens, rejoin, separate
from astra_jax.models.sharding import block_border

REMAT_POLICIES = {
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


def timestep_embedding(t: Float[Array, " B"], width: int = 256) -> Float[Array, "B width"]:
    """Sinusoids of 1000 t, cosines first, always float32 (FLUX.1): bfloat16 would lose whole timesteps."""
    half = width // 2
    # FLUX.1 rounds the exponents to float32; angles reach thousands, where a frequency's last bit shows in the cosine.
    exponents = np.float32(-np.log(10_000.0)) * np.arange(half, dtype=np.float32) / np.float32(half)
    frequencies = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = 1000.0 * t.astype(jnp.float32)[:, None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)


class Embedder(nn.Module):
    """Two-layer MLP with SiLU that brings a vector of any width to the model's."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B C"]) -> Float[Array, "B D"]:
        """Embeds x."""
        x = nn.Dense(self.width, dtype=self.dtype, name="in_layer")(x)
        return nn.Dense(self.width, dtype=self.dtype, name="out_layer")(nn.silu(x))


def _stack(block: type[nn.Module], layers: int, config: TransformerConfig, sliced: int, shared: int) -> type[nn.Module]:
    """`layers` blocks as one scan over stacked weights, each recomputed in the backward pass as the config says.

    Of what a call takes besides the tokens, `sliced` arguments have a layer dimension and `shared` ones have not.
    """
    if config.remat != "none":
        policy = REMAT_POLICIES[config.remat]
        block = nn.remat(block, policy=policy, prevent_cse=False, methods=["__call__", "conditions"])

    def scan(*in_axes: Any) -> dict[str, Any]:
        # Of any collection, so that what stands beside the weights (a LoRA) is sliced by layer with them.
        weights = {"variable_axes": {True: 0}, "split_rngs": {"params": True}}
        return {"in_axes": in_axes, "length": layers, **weights}

    methods = {
        "__call__": scan(*[0] * sliced, *[nn.broadcast] * shared),
        "conditions": scan(nn.broadcast),
    }
    return nn.scan(block, methods=methods)


class Transformer(nn.Module):
    """Predicts the velocity of the canvas tokens; sizes come from the config alone.

    A call is `head(singles(doubles(embed)))`; each of them is a method of its own, for whoever needs what lies between.
    """

    config: TransformerConfig
    dtype: Any = jnp.float32
    attention: str = "auto"  # the backend

    def setup(self) -> None:
        """Embedders, blocks and the velocity's head."""
        config = self.config
        self.time_in = Embedder(config.width, self.dtype)
        if config.guidance_embed:
            self.guidance_in = Embedder(config.width, self.dtype)
        self.vector_in = Embedder(config.width, self.dtype)
        self.img_in = nn.Dense(config.width, dtype=self.dtype)
        self.txt_in = nn.Dense(config.width, dtype=self.dtype)
        options = (config, self.dtype, self.attention)
        self.double_blocks = _stack(DoubleBlock, config.double_blocks, config, 2, 2)(*options)
        self.single_blocks = _stack(SingleBlock, config.single_blocks, config, 1, 1)(*options)
        self.final_mod = nn.Dense(2 * config.width, dtype=self.dtype, **ZEROS)
        self.final_linear = nn.Dense(config.latent_dim, dtype=self.dtype, **ZEROS)

    def __call__(
        self, x_t: Float[Array, "B Lx C"], t: Float[Array, " B"], conditions: Conditions
    ) -> Float[Array, "B Lx C"]:
        """Velocity at x_t, float32.

        Args:
            x_t: noisy canvas tokens (patchified latents).
            t: time of each example, 1 is noise and 0 the picture.
            conditions: everything else.
        """
        shared = self.shared(t, conditions)
        images, text = self.doubles(self.embed(x_t, conditions), shared, conditions)
        x = self.singles(join(text, images), shared, conditions)
        return self.head(separate(x, text.shape[1])[1][:, : x_t.shape[1]], shared.y)

    def vector(
        self, t: Float[Array, " B"], guidance: Float[Array, " B"], pooled: Float[Array, "B Cp"]
    ) -> Float[Array, "B D"]:
        """The vector that modulates all tokens, from time, guidance input and pooled text."""
        y = self.time_in(timestep_embedding(t))
        if self.config.guidance_embed:
            y = y + self.guidance_in(timestep_embedding(guidance))
        return y + self.vector_in(pooled)

    def shared(self, t: Float[Array, " B"], conditions: Conditions) -> Shared:
        """What the blocks share, laid out like the joined sequence; the mask says that padding does not exist."""
        length = conditions.text.shape[1]
        cos, sin, mask = (rejoin(x, length) for x in (conditions.cos, conditions.sin, conditions.mask))
        for one in conditions.cached:
            mask = join(mask, one.mask)
        return Shared(self.vector(t, conditions.guidance, conditions.pooled), cos, sin, mask)

    def embed(
        self, x_t: Float[Array, "B Lx C"], conditions: Conditions
    ) -> tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]]:
        """The image and the text stream before the first block."""
        images = pad_tokens(jnp.concatenate([x_t, conditions.images.astype(x_t.dtype)], 1))
        return block_border(self.img_in(images)), block_border(self.txt_in(pad_tokens(conditions.text)))

    def doubles(
        self, streams: tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]], shared: Shared, conditions: Conditions
    ) -> tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]]:
        """The streams after the double blocks."""
        cached = tuple(one.double for one in conditions.cached)
        return self.double_blocks(streams, conditions.offsets, cached, shared, pad_tokens(conditions.place, 2))[0]

    def singles(self, x: Float[Array, "B L D"], shared: Shared, conditions: Conditions) -> Float[Array, "B L D"]:
        """The joined sequence [text | images] after the single blocks."""
        return self.single_blocks(x, tuple(one.single for one in conditions.cached), shared)[0]

    def head(self, x: Float[Array, "B Lx D"], y: Float[Array, "B D"]) -> Float[Array, "B Lx C"]:
        """Velocity of the canvas tokens behind the last block, float32."""
        shift, scale = jnp.split(self.final_mod(nn.silu(y))[:, None], 2, -1)
        return self.final_linear(modulate(x, shift, scale)).astype(jnp.float32)

    def cache(
        self,
        tokens: Float[Array, "B n L C"],
        cos: Float[Array, "B n L P"],
        sin: Float[Array, "B n L P"],
        mask: Bool[Array, "B n L"],
        guidance: Float[Array, " B"],
        pooled: Float[Array, "B Cp"],
    ) -> CachedPictures:
        """Keys and values of condition pictures in every block, which depend on neither x_t nor t.

        Each of an example's n groups of tokens attends to itself alone, at the time 0 of a finished picture, as in
        OminiControl2 (arXiv 2503.08280).
        """
        batch, count = tokens.shape[:2]
        x, cos, sin, mask = (pad_tokens(a.reshape(batch * count, *a.shape[2:])) for a in (tokens, cos, sin, mask))
        y = jnp.repeat(self.vector(jnp.zeros(batch), guidance, pooled), count, 0)
        # Attention needs a key that exists. Tokens of a group that does not exist see each other, and nobody sees them.
        visible = mask | ~mask.any(1, keepdims=True)
        shared = Shared(y, cos, sin, visible)
        x, double = self.double_blocks.conditions(block_border(self.img_in(x)), shared)
        _, single = self.single_blocks.conditions(x, shared)
        double, single = (KeysValues(*(gather_pictures(a, count) for a in pair)) for pair in (double, single))
        return CachedPictures(double, single, gather_pictures(mask[None], count)[0])
