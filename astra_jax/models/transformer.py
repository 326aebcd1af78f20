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
from astra_jax.models.conditions import Conditions
from astra_jax.models.context_parallel import attend_on_mesh, join, pad_tokens, rejoin, separate
from astra_jax.models.europe import apply_rotary
from astra_jax.models.sharding import block_border, constrain

# Modulation and output start at zero: every block starts as the identity and opens as it learns (adaLN-Zero, DiT,
# arXiv 2212.09748).
ZEROS: dict[str, Any] = {"kernel_init": nn.initializers.zeros}

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


def layer_norm(x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
    """Layer norm without learned scale and shift, eps 1e-6, computed in float32."""
    wide = x.astype(jnp.float32)
    wide = wide - wide.mean(-1, keepdims=True)
    return (wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + 1e-6)).astype(x.dtype)


def modulate(
    x: Float[Array, "B L D"], shift: Float[Array, "B #L D"], scale: Float[Array, "B #L D"]
) -> Float[Array, "B L D"]:
    """Adaptive layer norm: (1 + scale) LN(x) + shift (DiT, arXiv 2212.09748)."""
    return (1 + scale) * layer_norm(x) + shift


class RMSNorm(nn.Module):
    """Root-mean-square norm of every head of queries or keys, learned scale, eps 1e-6, float32 inside."""

    @nn.compact
    def __call__(self, x: Float[Array, "B L H D"]) -> Float[Array, "B L H D"]:
        """Normalises the last axis."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        wide = x.astype(jnp.float32)
        wide = wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + 1e-6)
        return (wide * scale).astype(x.dtype)


class Embedder(nn.Module):
    """Two-layer MLP with SiLU that brings a vector of any width to the model's."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B C"]) -> Float[Array, "B D"]:
        """Embeds x."""
        x = nn.Dense(self.width, dtype=self.dtype, name="in_layer")(x)
        return nn.Dense(self.width, dtype=self.dtype, name="out_layer")(nn.silu(x))


class QueryKeyValue(nn.Module):
    """Splits a fused projection (3, heads, head width) and norms queries and keys."""

    heads: int

    @nn.compact
    def __call__(self, qkv: Float[Array, "B L C"]) -> tuple[Float[Array, "B L H D"], ...]:
        """Returns queries, keys, values."""
        batch, length, _ = qkv.shape
        fused = constrain(qkv.reshape(batch, length, 3, self.heads, -1), "batch", "tokens", None, "heads", None)
        q, k, v = jnp.moveaxis(fused, 2, 0)
        return RMSNorm(name="query_norm")(q), RMSNorm(name="key_norm")(k), v


def token_modulation(
    modulation: nn.Dense, y: Float[Array, "B D"], offsets: Float[Array, "B S D"], place: Float[Array, "B S Lt"]
) -> Float[Array, "B #Lt M"]:
    """Modulation of every text token: Linear(silu(y)), but Linear(silu(y + offset)) where an offset is placed.

    This is text-stream modulation (XVerse, arXiv 2506.21416). The linear map is applied to the S offset tokens alone
    and then scattered, which costs S rows in place of Lt. Base and offset rows share one product, so a zero offset
    gives the base row to the last bit. Without offsets (S = 0) the one base row is that of all tokens.
    """
    if not offsets.shape[1]:
        return modulation(nn.silu(y))[:, None]
    rows = jnp.concatenate([y[:, None], y[:, None] + offsets.astype(y.dtype)], 1)
    rows = modulation(nn.silu(rows))
    base, shifted = rows[:, :1], rows[:, 1:]
    scattered = jnp.einsum("BSM,BST->BTM", shifted, place.astype(shifted.dtype))
    return jnp.where(place.any(1)[:, :, None], scattered, base)


class DoubleBlock(nn.Module):
    """One MM-DiT block with separate weights for the image and the text stream and joint attention."""

    config: TransformerConfig
    dtype: Any
    attention: str

    @nn.compact
    def __call__(
        self,
        streams: tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]],
        offsets: Float[Array, "B S D"],
        y: Float[Array, "B D"],
        cos: Float[Array, "B L P"],
        sin: Float[Array, "B L P"],
        mask: Bool[Array, "B L"],
        place: Float[Array, "B S Lt"],
    ) -> tuple[tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]], None]:
        """Returns the updated streams (and nothing, for `nn.scan`)."""
        config, images, text = self.config, *streams
        length = text.shape[1]

        def dense(width: int, name: str, **options: Any) -> nn.Dense:
            return nn.Dense(width, dtype=self.dtype, name=name, **options)

        image_modulation = dense(6 * config.width, "img_mod", **ZEROS)(nn.silu(y))[:, None]
        text_modulation = token_modulation(dense(6 * config.width, "txt_mod", **ZEROS), y, offsets, place)
        shift_i, scale_i, gate_i, mlp_shift_i, mlp_scale_i, mlp_gate_i = jnp.split(image_modulation, 6, -1)
        shift_t, scale_t, gate_t, mlp_shift_t, mlp_scale_t, mlp_gate_t = jnp.split(text_modulation, 6, -1)

        qkv_i = dense(3 * config.width, "img_qkv")(modulate(images, shift_i, scale_i))
        qkv_t = dense(3 * config.width, "txt_qkv")(modulate(text, shift_t, scale_t))
        q_i, k_i, v_i = QueryKeyValue(config.heads, name="img_norm")(qkv_i)
        q_t, k_t, v_t = QueryKeyValue(config.heads, name="txt_norm")(qkv_t)
        q, k = apply_rotary(join(q_t, q_i), cos, sin), apply_rotary(join(k_t, k_i), cos, sin)
        attended = separate(attend_on_mesh(q, k, join(v_t, v_i), mask, self.attention), length)
        attended_t, attended_i = (x.reshape(*x.shape[:2], config.width) for x in attended)

        text = text + gate_t * dense(config.width, "txt_proj")(attended_t)
        images = images + gate_i * dense(config.width, "img_proj")(attended_i)
        hidden = int(config.width * config.mlp_ratio)

        def mlp(x: Float[Array, "B N D"], stream: str) -> Float[Array, "B N D"]:
            x = nn.gelu(dense(hidden, f"{stream}_mlp_in")(x), approximate=True)
            return dense(config.width, f"{stream}_mlp_out")(x)

        text = text + mlp_gate_t * mlp(modulate(text, mlp_shift_t, mlp_scale_t), "txt")
        images = images + mlp_gate_i * mlp(modulate(images, mlp_shift_i, mlp_scale_i), "img")
        return (block_border(images), block_border(text)), None


class SingleBlock(nn.Module):
    """One block over the joined sequence, attention and MLP side by side."""

    config: TransformerConfig
    dtype: Any
    attention: str

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B L D"],
        _: None,
        y: Float[Array, "B D"],
        cos: Float[Array, "B L P"],
        sin: Float[Array, "B L P"],
        mask: Bool[Array, "B L"],
    ) -> tuple[Float[Array, "B L D"], None]:
        """Returns the updated sequence (and nothing, for `nn.scan`)."""
        config = self.config
        modulation = nn.Dense(3 * config.width, dtype=self.dtype, name="modulation", **ZEROS)(nn.silu(y))[:, None]
        shift, scale, gate = jnp.split(modulation, 3, -1)
        hidden = int(config.width * config.mlp_ratio)
        fused = nn.Dense(3 * config.width + hidden, dtype=self.dtype, name="linear1")(modulate(x, shift, scale))
        q, k, v = QueryKeyValue(config.heads, name="norm")(fused[..., : 3 * config.width])
        attended = attend_on_mesh(apply_rotary(q, cos, sin), apply_rotary(k, cos, sin), v, mask, self.attention)
        attended = attended.reshape(*attended.shape[:2], config.width)
        both = jnp.concatenate([attended, nn.gelu(fused[..., 3 * config.width :], approximate=True)], -1)
        return block_border(x + gate * nn.Dense(config.width, dtype=self.dtype, name="linear2")(both)), None


def _stack(block: type[nn.Module], layers: int, config: TransformerConfig, in_axes: Any) -> type[nn.Module]:
    """`layers` blocks as one scan over stacked weights, each recomputed in the backward pass as the config says."""
    if config.remat != "none":
        block = nn.remat(block, policy=REMAT_POLICIES[config.remat], prevent_cse=False)
    # Of any collection, so that what stands beside the weights (a LoRA) is sliced by layer with them.
    return nn.scan(block, variable_axes={True: 0}, split_rngs={"params": True}, in_axes=in_axes, length=layers)


class Transformer(nn.Module):
    """Predicts the velocity of the canvas tokens; sizes come from the config alone."""

    config: TransformerConfig
    dtype: Any = jnp.float32
    attention: str = "auto"  # the backend

    @nn.compact
    def __call__(
        self, x_t: Float[Array, "B Lx C"], t: Float[Array, " B"], conditions: Conditions
    ) -> Float[Array, "B Lx C"]:
        """Velocity at x_t, float32.

        Args:
            x_t: noisy canvas tokens (patchified latents).
            t: time of each example, 1 is noise and 0 the picture.
            conditions: everything else.
        """
        config = self.config

        def dense(width: int, name: str, **options: Any) -> nn.Dense:
            return nn.Dense(width, dtype=self.dtype, name=name, **options)

        y = Embedder(config.width, self.dtype, name="time_in")(timestep_embedding(t))
        if config.guidance_embed:
            y = y + Embedder(config.width, self.dtype, name="guidance_in")(timestep_embedding(conditions.guidance))
        y = y + Embedder(config.width, self.dtype, name="vector_in")(conditions.pooled)

        canvas, length = x_t.shape[1], conditions.text.shape[1]
        images = pad_tokens(jnp.concatenate([x_t, conditions.images.astype(x_t.dtype)], 1))
        images = block_border(dense(config.width, "img_in")(images))
        text = block_border(dense(config.width, "txt_in")(pad_tokens(conditions.text)))
        # What is told of each token lies like the joined sequence; its mask says that padding does not exist.
        shared = (y, *(rejoin(x, length) for x in (conditions.cos, conditions.sin, conditions.mask)))

        doubles = _stack(DoubleBlock, config.double_blocks, config, (0, *[nn.broadcast] * 5))
        streams, _ = doubles(config, self.dtype, self.attention, name="double_blocks")(
            (images, text), conditions.offsets, *shared, pad_tokens(conditions.place, 2)
        )
        images, text = streams
        singles = _stack(SingleBlock, config.single_blocks, config, (nn.broadcast,) * 5)
        x, _ = singles(config, self.dtype, self.attention, name="single_blocks")(join(text, images), None, *shared)

        x = separate(x, text.shape[1])[1][:, :canvas]
        shift, scale = jnp.split(dense(2 * config.width, "final_mod", **ZEROS)(nn.silu(y))[:, None], 2, -1)
        return dense(config.latent_dim, "final_linear", **ZEROS)(modulate(x, shift, scale)).astype(jnp.float32)
