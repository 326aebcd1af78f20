"""Where canvas tokens look: the attention weights of every block, for pictures and for questions."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from astra_jax.models.blocks import RMSNorm
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import apply_rotary
from astra_jax.models.transformer import Transformer
from astra_jax.params import Params


def attention_weights(
    transformer: Transformer,
    params: Params,
    x_t: Float[Array, "B Lx C"],
    t: Float[Array, " B"],
    conditions: Conditions,
    tokens: Int[Array, " Q"],
) -> Float[Array, "K B H Q L"]:
    """How much some tokens attend to each token of [text | canvas | pose | references], block by block.

    Args:
        transformer: on one device (without a context axis, which would lay tokens out in another order).
        params: of the transformer.
        x_t, t, conditions: as of a velocity.
        tokens: the places of the tokens that look, in the joined sequence; canvas tokens begin behind the text.

    Returns softmax(q k^T / sqrt(d)) with the queries and keys that the blocks themselves make, double blocks first; a
    row of a head sums to 1, and tokens that do not exist have 0.
    """
    _, captured = transformer.apply(
        {"params": params},
        x_t,
        t,
        conditions,
        capture_intermediates=lambda module, _: isinstance(module, RMSNorm),
        mutable=["intermediates"],
    )
    doubles, singles = (captured["intermediates"][name] for name in ("double_blocks", "single_blocks"))

    def both(norm: str) -> Float[Array, "K B L H D"]:
        of_doubles = jnp.concatenate([_value(doubles[stream], norm) for stream in ("txt_norm", "img_norm")], 2)
        return jnp.concatenate([of_doubles, _value(singles["norm"], norm)])

    def weights(q: Float[Array, "B L H D"], k: Float[Array, "B L H D"]) -> Float[Array, "B H Q L"]:
        q, k = apply_rotary(q, conditions.cos, conditions.sin), apply_rotary(k, conditions.cos, conditions.sin)
        scores = jnp.einsum("BQHD,BLHD->BHQL", q[:, tokens], k).astype(jnp.float32) / math.sqrt(q.shape[-1])
        return nn.softmax(scores, where=conditions.mask[:, None, None])

    return jax.vmap(weights)(both("query_norm"), both("key_norm"))


def _value(norms: Any, name: str) -> Float[Array, "K B L H D"]:
    """What a norm gave, in all layers of the scan."""
    return norms[name]["__call__"][0]
