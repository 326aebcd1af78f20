"""Scaled dot-product attention behind one function, so that a backend is chosen in one place."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def attend(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"] | None = None,
    bias: Float[Array, "#B #H Lq Lk"] | None = None,
    scale: float | None = None,
) -> Float[Array, "B Lq H D"]:
    """Attention softmax(scale q k^T + bias) v with float32 logits and weights.

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: which keys exist; a row without any key averages all values.
        bias: added to the logits (T5's relative positions, a causal mask).
        scale: of the logits; 1/sqrt(D) where not given (Vaswani et al., arXiv 1706.03762).
    """
    batch, _, heads, width = q.shape
    factor = width**-0.5 if scale is None else scale

    # One batch axis in front and matrices behind it: XLA's CPU products are several times slower on any other layout.
    def matrices(x: Float[Array, "B L H D"]) -> Float[Array, "N L D"]:
        return jnp.moveaxis(x, 2, 1).reshape(batch * heads, x.shape[1], width)

    logits = jnp.einsum("NLD,NMD->NLM", matrices(q * factor), matrices(k), preferred_element_type=jnp.float32)
    if bias is not None:
        logits = (logits.reshape(batch, heads, *logits.shape[1:]) + bias).reshape(logits.shape)
    if mask is not None:
        absent = jnp.where(mask, 0.0, jnp.finfo(jnp.float32).min)
        logits = logits + jnp.repeat(absent, heads, 0)[:, None, :]
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
    attended = jnp.einsum("NLM,NMD->NLD", weights, matrices(v))
    return jnp.moveaxis(attended.reshape(batch, heads, -1, width), 1, 2)
