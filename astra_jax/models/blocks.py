"""The MM-DiT's blocks: double ones with separate weights for text and images, single ones over the joined sequence.

Both are written for one layer; `transformer` scans them over stacked weights. `conditions` is the way through a block
of condition pictures that are cached: image tokens by themselves, whose keys and values a call then attends to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from astra_jax.config import TransformerConfig
from astra_jax.models.conditions import KeysValues
from astra_jax.models.context_parallel import attend_on_mesh, join, separate
from astra_jax.models.europe import apply_rotary
from astra_jax.models.gradients import product, recomputed
from astra_jax.models.sharding import block_border, constrain

# Modulation and output start at zero: every block starts as the identity and opens as it learns (adaLN-Zero, DiT,
# arXiv 2212.09748).
ZEROS: dict[str, Any] = {"kernel_init": nn.initializers.zeros}


class Shared(NamedTuple):
    """What every block is told besides the tokens: the modulation vector, the rotary angles of each token of the joined
    sequence, and which keys exist: of the sequence and behind it of cached pictures."""

    y: Float[Array, "B D"]
    cos: Float[Array, "B L P"]
    sin: Float[Array, "B L P"]
    mask: Bool[Array, "B M"]


def layer_norm(x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
    """Layer norm without learned scale and shift, eps 1e-6, computed in float32."""
    wide = x.astype(jnp.float32)
    wide = wide - wide.mean(-1, keepdims=True)
    return (wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + 1e-6)).astype(x.dtype)


@recomputed
def modulate(
    x: Float[Array, "B L D"], shift: Float[Array, "B #L D"], scale: Float[Array, "B #L D"]
) -> Float[Array, "B L D"]:
    """Adaptive layer norm: (1 + scale) LN(x) + shift (DiT, arXiv 2212.09748)."""
    return (1 + scale) * layer_norm(x) + shift


@recomputed
def gelu(x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
    """GELU by tanh, as FLUX.1 has it."""
    return nn.gelu(x, approximate=True)


@recomputed
def rms_norm(x: Float[Array, "*B D"], scale: Float[Array, " D"]) -> Float[Array, "*B D"]:
    """scale x / sqrt(mean(x^2) + 1e-6), computed in float32."""
    wide = x.astype(jnp.float32)
    wide = wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + 1e-6)
    return (wide * scale).astype(x.dtype)


class RMSNorm(nn.Module):
    """Root-mean-square norm of every head of queries or keys, learned scale, eps 1e-6, float32 inside."""

    @nn.compact
    def __call__(self, x: Float[Array, "B L H D"]) -> Float[Array, "B L H D"]:
        """Normalises the last axis."""
        return rms_norm(x, self.param("scale", nn.initializers.ones, (x.shape[-1],)))


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


def _beside(
    keys: Float[Array, "B L H W"], values: Float[Array, "B L H W"], cached: tuple[KeysValues, ...]
) -> tuple[Float[Array, "B M H W"], Float[Array, "B M H W"]]:
    """Keys and values with the cached ones of this layer."""
    for one in cached:
        keys, values = join(keys, one.keys), join(values, one.values)
    return keys, values


class DoubleBlock(nn.Module):
    """One MM-DiT block with separate weights for the image and the text stream and joint attention."""

    config: TransformerConfig
    dtype: Any
    attention: str

    def setup(self) -> None:
        """The layer's maps."""
        width = self.config.width
        hidden = int(width * self.config.mlp_ratio)
        for stream in ("img", "txt"):
            self._dense(f"{stream}_mod", 6 * width, **ZEROS)
            self._dense(f"{stream}_qkv", 3 * width)
            self._dense(f"{stream}_proj", width)
            self._dense(f"{stream}_mlp_in", hidden)
            self._dense(f"{stream}_mlp_out", width)
            setattr(self, f"{stream}_norm", QueryKeyValue(self.config.heads))

    def _dense(self, name: str, features: int, **options: Any) -> None:
        setattr(self, name, nn.Dense(features, dtype=self.dtype, dot_general=product, **options))

    def __call__(
        self,
        streams: tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]],
        offsets: Float[Array, "B S D"],
        cached: tuple[KeysValues, ...],
        shared: Shared,
        place: Float[Array, "B S Lt"],
    ) -> tuple[tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]], None]:
        """Returns the updated streams (and nothing, for `nn.scan`)."""
        images, text = streams
        y, cos, sin, mask = shared
        modulation_i = jnp.split(self.img_mod(nn.silu(y))[:, None], 6, -1)
        modulation_t = jnp.split(token_modulation(self.txt_mod, y, offsets, place), 6, -1)
        q_i, k_i, v_i = self._project("img", images, modulation_i)
        q_t, k_t, v_t = self._project("txt", text, modulation_t)
        q, k = apply_rotary(join(q_t, q_i), cos, sin), apply_rotary(join(k_t, k_i), cos, sin)
        k, v = _beside(k, join(v_t, v_i), cached)
        attended = attend_on_mesh(q, k, v, mask, self.attention)
        attended_t, attended_i = separate(attended, text.shape[1])
        text = self._finish("txt", text, attended_t, modulation_t)
        images = self._finish("img", images, attended_i, modulation_i)
        return (block_border(images), block_border(text)), None

    def conditions(
        self,
        images: Float[Array, "B L D"],
        shared: Shared,
    ) -> tuple[Float[Array, "B L D"], tuple[Float[Array, "B L H W"], Float[Array, "B L H W"]]]:
        """The updated image tokens, which attend to each other alone, and their keys and values."""
        y, cos, sin, mask = shared
        modulation = jnp.split(self.img_mod(nn.silu(y))[:, None], 6, -1)
        q, k, v = self._project("img", images, modulation)
        q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
        attended = attend_on_mesh(q, k, v, mask, self.attention)
        return block_border(self._finish("img", images, attended, modulation)), (k, v)

    def _project(
        self, stream: str, x: Float[Array, "B L D"], modulation: list[Float[Array, "B #L D"]]
    ) -> tuple[Float[Array, "B L H W"], ...]:
        """Queries, keys and values of a stream, without positions."""
        shift, scale = modulation[:2]
        return getattr(self, f"{stream}_norm")(getattr(self, f"{stream}_qkv")(modulate(x, shift, scale)))

    def _finish(
        self,
        stream: str,
        x: Float[Array, "B L D"],
        attended: Float[Array, "B L H W"],
        modulation: list[Float[Array, "B #L D"]],
    ) -> Float[Array, "B L D"]:
        """A stream after what it attended to, and after its MLP."""
        _, _, gate, shift, scale, mlp_gate = modulation
        x = x + gate * getattr(self, f"{stream}_proj")(attended.reshape(x.shape))
        hidden = gelu(getattr(self, f"{stream}_mlp_in")(modulate(x, shift, scale)))
        return x + mlp_gate * getattr(self, f"{stream}_mlp_out")(hidden)


class SingleBlock(nn.Module):
    """One block over the joined sequence, attention and MLP side by side."""

    config: TransformerConfig
    dtype: Any
    attention: str

    def setup(self) -> None:
        """The layer's maps."""
        width = self.config.width
        self.modulation = nn.Dense(3 * width, dtype=self.dtype, dot_general=product, **ZEROS)
        fused = 3 * width + int(width * self.config.mlp_ratio)
        self.linear1 = nn.Dense(fused, dtype=self.dtype, dot_general=product)
        self.norm = QueryKeyValue(self.config.heads)
        self.linear2 = nn.Dense(width, dtype=self.dtype, dot_general=product)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        cached: tuple[KeysValues, ...],
        shared: Shared,
    ) -> tuple[Float[Array, "B L D"], None]:
        """Returns the updated sequence (and nothing, for `nn.scan`)."""
        return self._update(x, cached, shared)[0], None

    def conditions(
        self,
        images: Float[Array, "B L D"],
        shared: Shared,
    ) -> tuple[Float[Array, "B L D"], tuple[Float[Array, "B L H W"], Float[Array, "B L H W"]]]:
        """The updated image tokens, which attend to each other alone, and their keys and values."""
        return self._update(images, (), shared)

    def _update(
        self,
        x: Float[Array, "B L D"],
        cached: tuple[KeysValues, ...],
        shared: Shared,
    ) -> tuple[Float[Array, "B L D"], tuple[Float[Array, "B M H W"], Float[Array, "B M H W"]]]:
        """The updated sequence, and the keys and values that it attended to."""
        width = self.config.width
        y, cos, sin, mask = shared
        shift, scale, gate = jnp.split(self.modulation(nn.silu(y))[:, None], 3, -1)
        fused = self.linear1(modulate(x, shift, scale))
        q, k, v = self.norm(fused[..., : 3 * width])
        k, v = _beside(apply_rotary(k, cos, sin), v, cached)
        attended = attend_on_mesh(apply_rotary(q, cos, sin), k, v, mask, self.attention)
        both = jnp.concatenate([attended.reshape(x.shape), gelu(fused[..., 3 * width :])], -1)
        return block_border(x + gate * self.linear2(both)), (k, v)
