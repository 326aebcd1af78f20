"""First-block cache: a step whose first block does what it did before reuses what the rest of the model did.

Between neighbouring steps the blocks change little. The first double block tells by how much (FBCache of ParaAttention,
a simpler form of TeaCache, arXiv 2411.19108): with r what it adds to the canvas tokens, and r' the same at the last
evaluation that was computed in full, the change is mean |r - r'| / mean |r'|. Where it is below the threshold, what the
other blocks added then is added again, and only the first block and the head are computed.

The decision is each picture's own. Work is saved where a whole batch can do without it; otherwise the pictures that
reuse are computed and not read, so that no picture depends on the others of its batch. The velocities with and without
conditions of classifier-free guidance change at other steps than each other: each wants a call and a cache of its own.

How wrong a reused velocity is. Every reuse is at less than `threshold` from an evaluation in full, never from another
reuse, so errors do not add up unseen. Let what the rest of the model adds change by at most L times the relative change
of the first block's residual, in relative size; then it is reused with a relative error below L * threshold. L is the
model's and not known beforehand; `benchmarks/steps.py` measures it, and what comes of it in pictures. For
pretrained/puppets from step to step of Euler's 25 it is 1.06 under conditions, at most 1.85, and at most
3.79 with those of guidance.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from astra_jax.models.blocks import DoubleBlock, Shared
from astra_jax.models.conditions import AnyArray, Conditions
from astra_jax.models.context_parallel import join, pad_tokens, separate
from astra_jax.models.transformer import Transformer

Streams = tuple[Float[Array, "B Li D"], Float[Array, "B Lt D"]]


@flax.struct.dataclass
class FirstBlockCache:
    """What the last evaluation in full did to the canvas tokens of each picture."""

    first: Float[AnyArray, "B Lx D"]  # what the first block added
    rest: Float[AnyArray, "B Lx D"]  # what all others added
    filled: Bool[AnyArray, " B"]  # whether there was one
    reused: Int[AnyArray, " B"]  # how many evaluations took `rest` from here


def empty_cache(transformer: Transformer, batch: int, canvas_tokens: int) -> FirstBlockCache:
    """A cache before the first evaluation."""
    nothing = jnp.zeros((batch, canvas_tokens, transformer.config.width), transformer.dtype)
    return FirstBlockCache(nothing, nothing, jnp.zeros(batch, bool), jnp.zeros(batch, jnp.int32))


def relative_change(now: Float[Array, "B L D"], before: Float[Array, "B L D"]) -> Float[Array, " B"]:
    """mean |now - before| / mean |before| of each picture, float32; infinite or NaN where nothing was before."""
    now, before = now.astype(jnp.float32), before.astype(jnp.float32)
    return jnp.abs(now - before).mean((1, 2)) / jnp.abs(before).mean((1, 2))


def reusing_velocity(
    transformer: Transformer,
    variables: dict[str, Any],
    x_t: Float[Array, "B Lx C"],
    t: Float[Array, " B"],
    conditions: Conditions,
    cache: FirstBlockCache,
    threshold: Float[Array, ""] | Float[Array, " B"] | float,
) -> tuple[Float[Array, "B Lx C"], FirstBlockCache]:
    """The transformer's velocity, or nearly, and the cache for the next evaluation.

    Args:
        transformer: the module.
        variables: what its `apply` takes: "params" and collections beside them, with stacked blocks.
        x_t, t, conditions: as its call takes them.
        cache: of the evaluation before.
        threshold: relative change of the first block's residual below which the rest is reused; at 0 all is computed.
    """
    canvas = x_t.shape[1]

    def call(method: str, *args: Any) -> Any:
        return transformer.apply(variables, *args, method=method)

    shared = call("shared", t, conditions)
    before = call("embed", x_t, conditions)
    after = _double_block(transformer, variables, 0, before, shared, conditions)
    first = (after[0] - before[0])[:, :canvas]
    start = after[0][:, :canvas]
    reuse = cache.filled & (relative_change(first, cache.first) < threshold)

    def compute() -> Float[Array, "B Lx D"]:
        def step(streams: Streams, layer: Int[Array, ""]) -> tuple[Streams, None]:
            return _double_block(transformer, variables, layer, streams, shared, conditions), None

        (images, text), _ = jax.lax.scan(step, after, jnp.arange(1, transformer.config.double_blocks))
        x = call("singles", join(text, images), shared, conditions)
        return separate(x, text.shape[1])[1][:, :canvas]

    end = jax.lax.cond(jnp.all(reuse), lambda: start + cache.rest, compute)
    per_picture = reuse[:, None, None]
    end = jnp.where(per_picture, start + cache.rest, end)
    cache = FirstBlockCache(
        first=jnp.where(per_picture, cache.first, first),
        rest=jnp.where(per_picture, cache.rest, end - start),
        filled=jnp.ones_like(cache.filled),
        reused=cache.reused + reuse,
    )
    return call("head", end, shared.y), cache


def _double_block(
    transformer: Transformer,
    variables: dict[str, Any],
    layer: int | Int[Array, ""],
    streams: Streams,
    shared: Shared,
    conditions: Conditions,
) -> Streams:
    """One of the stacked double blocks, its weights read where they lie."""

    def of_layer(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, layer, keepdims=False), tree)

    weights = {name: tree["double_blocks"] for name, tree in variables.items() if "double_blocks" in tree}
    block = DoubleBlock(transformer.config, transformer.dtype, transformer.attention)
    place = pad_tokens(conditions.place, 2)
    sliced = of_layer((conditions.offsets, tuple(one.double for one in conditions.cached)))
    return block.apply(of_layer(weights), streams, *sliced, shared, place)[0]
