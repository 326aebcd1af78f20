"""Attention over tokens that are split over devices, and how two streams lie in one such sequence.

Ulysses (DeepSpeed, arXiv 2309.14509): each device holds a part of the tokens and all heads; an all-to-all gives it all
tokens of a part of the heads, attention needs no other device, and a second all-to-all goes back. A device sends
4 (n - 1) / n^2 of the activations. All-gathering keys and values would move 2 (n - 1) / n, and so would ring attention
(arXiv 2310.01889): as much for two devices, more for others. Those two take any n, this one n that divides the heads.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from astra_jax.models.attention import attend
from astra_jax.models.sharding import compiler_splits, constrain, parts, spec


def attend_on_mesh(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"],
    backend: str = "auto",
) -> Float[Array, "B Lq H D"]:
    """`attend` with the batch split over data and fsdp, tokens over context and heads over tensor.

    On one device it is `attend` itself. Lq and Lk must divide over context (`pad_tokens`); raises ValueError where they
    do not, and unless context x tensor divides the heads.
    """
    if not compiler_splits():
        return attend(q, k, v, mask, backend=backend)
    context, tensor = parts("tokens"), parts("heads")
    if q.shape[1] % context or k.shape[1] % context or q.shape[2] % (context * tensor):
        lengths = f"{q.shape[1]} queries, {k.shape[1]} keys"
        raise ValueError(f"{lengths}, {q.shape[2]} heads do not divide over context {context}, {tensor=}")

    def local(q: Array, k: Array, v: Array, mask: Array) -> Array:
        if context == 1:
            return attend(q, k, v, mask, backend=backend)
        q, k, v = (jax.lax.all_to_all(x, "context", 2, 1, tiled=True) for x in (q, k, v))
        whole = jax.lax.all_gather(mask, "context", axis=1, tiled=True)
        return jax.lax.all_to_all(attend(q, k, v, whole, backend=backend), "context", 1, 2, tiled=True)

    queries, keys = (spec(x.shape, "batch", "tokens", "heads", None) for x in (q, k))
    # Kernels say nothing of how their results vary over the mesh, which the check would ask of them.
    mapped = jax.shard_map(
        local,
        in_specs=(queries, keys, keys, spec(mask.shape, "batch", "tokens")),
        out_specs=queries,
        check_vma=False,
    )
    return mapped(q, k, v, mask)


def pad_tokens(x: Shaped[Array, "B L ..."], axis: int = 1) -> Shaped[Array, "B M ..."]:
    """Zeros (False in a mask) behind the tokens of `axis`, up to a length that divides over context."""
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, -x.shape[axis] % parts("tokens"))
    return jnp.pad(x, padding) if padding[axis][1] else x


def join(first: Shaped[Array, "B M ..."], second: Shaped[Array, "B N ..."]) -> Shaped[Array, "B L ..."]:
    """Two padded streams as one sequence: each device's part of the first, then its part of the second.

    Attention does not care for the order of tokens, and in this one nothing moves between devices. Without a context
    axis it is [first | second].
    """
    count = parts("tokens")
    if count == 1:
        return jnp.concatenate([first, second], 1)
    return _flat(jnp.concatenate([_by_device(first, count), _by_device(second, count)], 2))


def rejoin(x: Shaped[Array, "B N ..."], length: int) -> Shaped[Array, "B L ..."]:
    """[first | second], first of `length` tokens, as the two padded and joined: for masks and rotary tables."""
    if parts("tokens") == 1:
        return x
    return join(pad_tokens(x[:, :length]), pad_tokens(x[:, length:]))


def separate(x: Shaped[Array, "B L ..."], length: int) -> tuple[Shaped[Array, "B M ..."], Shaped[Array, "B N ..."]]:
    """The inverse of `join` for a first stream of `length` tokens."""
    count = parts("tokens")
    if count == 1:
        return x[:, :length], x[:, length:]
    split = _by_device(x, count)
    return _flat(split[:, :, : length // count]), _flat(split[:, :, length // count :])


def gather_pictures(x: Shaped[Array, "K N M ..."], count: int) -> Shaped[Array, "K N//{count} {count}*M ..."]:
    """The padded tokens of an example's `count` pictures, which were examples of their own, one behind the other."""
    layers, rows, length, *rest = x.shape
    devices = parts("tokens")
    split = x.reshape(layers, rows // count, count, devices, length // devices, *rest)
    # Each device's part of every picture, so that nothing moves.
    joined = jnp.moveaxis(split, 3, 2).reshape(layers, rows // count, count * length, *rest)
    return constrain(joined, None, "batch", "tokens", *_rest(joined.ndim - 1))


def _by_device(x: Shaped[Array, "B L ..."], count: int) -> Shaped[Array, "B count M ..."]:
    return constrain(x.reshape(x.shape[0], count, -1, *x.shape[2:]), "batch", "tokens", None, *_rest(x.ndim))


def _flat(split: Shaped[Array, "B count M ..."]) -> Shaped[Array, "B L ..."]:
    x = split.reshape(split.shape[0], -1, *split.shape[3:])
    return constrain(x, "batch", "tokens", *_rest(x.ndim))


def _rest(ndim: int) -> tuple[str | None, ...]:
    """The axes behind [B L]: a mask's, [D] of a stream, [H D] of queries, keys and values."""
    return ("heads", None) if ndim == 4 else (None,) * (ndim - 2)
