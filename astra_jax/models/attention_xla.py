"""Attention as plain array operations, which every platform runs: all scores at once, or a block of queries at a time.

The blocks bound the memory. Scores are made again in the backward pass and never kept, which is faster on a CPU, too. A
block sees every key, so that its softmax is the ordinary one and no running sums are needed.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from astra_jax.models.sharding import compiler_splits, platform

LARGE = 2**25  # bytes of float32 scores from which blocks pay
BLOCK = 2**23  # bytes of float32 scores of one block
_BLOCKS = (64, 1024)  # queries in a block: fewer leave the matrix units idle, more are no faster
_MULTIPLE = 16  # of which a block is


def plain(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"] | None,
    bias: Float[Array, "#B #H Lq Lk"] | None,
    scale: float,
) -> Float[Array, "B Lq H D"]:
    """All scores at once, made again in the backward pass; arguments as for `attend`."""
    batch, _, heads, width = q.shape
    added = None if bias is None else jnp.broadcast_to(bias, (batch, heads, *bias.shape[2:]))
    added = None if added is None else added.reshape(-1, *added.shape[2:]).astype(jnp.float32)
    absent = _absent(mask, heads)
    if absent is not None:
        added = absent if added is None else added + absent
    out = _attention(_matrices(q * scale), _matrices(k), _matrices(v), added)
    return jnp.moveaxis(out.reshape(batch, heads, -1, width), 1, 2)


def _logits(
    q: Float[Array, "N Lq D"], k: Float[Array, "N Lk D"], added: Float[Array, "N #Lq Lk"] | None
) -> Float[Array, "N Lq Lk"]:
    logits = jnp.einsum("NLD,NMD->NLM", q, k, preferred_element_type=jnp.float32)
    return logits if added is None else logits + added


@jax.custom_vjp
def _attention(
    q: Float[Array, "N Lq D"],
    k: Float[Array, "N Lk D"],
    v: Float[Array, "N Lk D"],
    added: Float[Array, "N #Lq Lk"] | None,
) -> Float[Array, "N Lq D"]:
    """softmax(q k^T + added) v with float32 logits and weights."""
    return _attention_forward(q, k, v, added)[0]


def _attention_forward(q: Array, k: Array, v: Array, added: Array | None) -> tuple[Array, tuple[Any, ...]]:
    logits = _logits(q, k, added)
    largest = logits.max(-1, keepdims=True)
    weights = jnp.exp(logits - largest)
    total = weights.sum(-1, keepdims=True)
    out = jnp.einsum("NLM,NMD->NLD", weights.astype(v.dtype), v, preferred_element_type=jnp.float32) / total
    return out.astype(v.dtype), (q, k, v, added, out.astype(v.dtype), largest, total)


def _attention_backward(kept: tuple[Any, ...], g: Array) -> tuple[Array | None, ...]:
    """Of each row's logits only the largest and the sum of exponentials were kept (FlashAttention, arXiv 2205.14135).

    They stay apart: in a row without keys, whose logits are the least float, their logarithms would not add up.
    """
    q, k, v, added, out, largest, total = kept
    weights = jnp.exp(_logits(q, k, added) - largest) / total
    to_v = jnp.einsum("NLM,NLD->NMD", weights.astype(g.dtype), g)
    to_weights = jnp.einsum("NLD,NMD->NLM", g, v, preferred_element_type=jnp.float32)
    mean = (g.astype(jnp.float32) * out.astype(jnp.float32)).sum(-1, keepdims=True)
    to_logits = weights * (to_weights - mean)
    to_added = None
    if added is not None:
        to_added = to_logits if added.shape[1] == q.shape[1] else to_logits.sum(1, keepdims=True)
    low = to_logits.astype(q.dtype)
    return jnp.einsum("NLM,NMD->NLD", low, k), jnp.einsum("NLM,NLD->NMD", low, q), to_v, to_added


_attention.defvjp(_attention_forward, _attention_backward)


def blocked(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"] | None,
    bias: Float[Array, "#B #H Lq Lk"] | None,
    scale: float,
) -> Float[Array, "B Lq H D"]:
    """A block of queries at a time, in the backward pass too; arguments as for `attend`."""
    batch, length, heads, width = q.shape
    together = _together(batch * heads)
    block = block_size(together, length, k.shape[1])
    count = -(-length // block)
    padding = count * block - length

    def grouped(x: Array) -> Array:
        return x.reshape(-1, together, *x.shape[1:])

    queries = jnp.pad(_matrices(q * scale), ((0, 0), (0, padding), (0, 0)))
    queries = jnp.moveaxis(grouped(queries).reshape(-1, together, count, block, width), 2, 1)
    absent = _absent(mask, heads)
    biases = which = None  # `which`: the number of each matrix's bias
    if bias is not None:
        biases = jnp.pad(bias, ((0, 0), (0, 0), (0, padding), (0, 0)))
        biases = jnp.moveaxis(biases.reshape(-1, count, block, bias.shape[3]), 1, 0)
        numbers = np.arange(biases.shape[1]).reshape(bias.shape[:2])
        which = grouped(jnp.asarray(np.broadcast_to(numbers, (batch, heads)).ravel()))

    def group(one: tuple[Any, ...]) -> Array:
        queries, keys, values, absent, which = one

        def rows(one: tuple[Array, Array | None]) -> Array:
            queries, biases = one
            added = absent
            if biases is not None:
                chosen = biases[which].astype(jnp.float32)
                added = chosen if added is None else added + chosen
            return _attention(queries, keys, values, added)

        return jax.lax.map(rows, (queries, biases))

    absent = None if absent is None else grouped(absent)
    parts = queries, grouped(_matrices(k)), grouped(_matrices(v)), absent, which
    out = jnp.moveaxis(jax.lax.map(group, parts), 1, 2)
    out = out.reshape(batch * heads, count * block, width)[:, :length]
    return jnp.moveaxis(out.reshape(batch, heads, length, width), 1, 2)


def _together(matrices: int) -> int:
    """How many heads of all examples share a block.

    A CPU is faster with one at a time, whose keys and values stay in its caches. Elsewhere small products leave the
    device idle; and a loop over heads or examples that the compiler has split over devices would gather them.
    """
    return 1 if platform() == "cpu" and not compiler_splits() else matrices


def score_bytes(matrices: int, queries: int, keys: int) -> int:
    """Bytes of float32 scores of so many heads of all examples."""
    return 4 * matrices * queries * keys


def block_size(matrices: int, queries: int, keys: int) -> int:
    """Queries in a block, whose scores fit `BLOCK` if `_BLOCKS` allows it; blocks are of about one size."""
    least, most = _BLOCKS
    rows = max(least, min(most, BLOCK // score_bytes(matrices, 1, keys)))
    even = -(-queries // -(-queries // rows))
    return min(queries, even + -even % _MULTIPLE)


def _matrices(x: Float[Array, "B L H D"]) -> Float[Array, "N L D"]:
    """One batch axis in front: XLA's CPU products are several times slower on any other layout."""
    return jnp.moveaxis(x, 2, 1).reshape(-1, x.shape[1], x.shape[3])


def _absent(mask: Bool[Array, "B L"] | None, heads: int) -> Float[Array, "N 1 L"] | None:
    """What to add to the logits of every query so that it passes over the keys that do not exist."""
    if mask is None:
        return None
    return jnp.repeat(jnp.where(mask, 0.0, jnp.finfo(jnp.float32).min), heads, 0)[:, None, :]
