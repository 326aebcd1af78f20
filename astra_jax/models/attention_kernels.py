"""Attention by the kernels of accelerators, which keep no scores at all: splash attention (TPU) and cuDNN's (NVIDIA).

Both take no bias and tell apart which keys exist by numbers: splash by a segment id a token, cuDNN by how many keys in
front there are.
"""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

LANES = 128  # of a TPU: splash attention's blocks are multiples of it
_SPLASH_BLOCK = 512
CUDNN_WIDTHS = (8, 128)  # a head's width is a multiple of the first and at most the second, on every GPU since Ampere
CUDNN_DTYPES = ("bfloat16", "float16")


def splash(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"] | None,
    scale: float,
    interpret: bool = False,
) -> Float[Array, "B Lq H D"]:
    """Splash attention (JAX's Pallas kernel for TPUs); arguments as for `attend`, but every row needs a key.

    Lengths are padded to whole blocks, and padding is a segment of its own, so that no query sees it. `interpret` runs
    the kernel's arithmetic on any platform, slowly.
    """
    # Pallas is slow to import, and needed on TPUs alone.
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash_kernel
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as splash_mask

    queries, keys = q.shape[1], k.shape[1]
    q_block, k_block = _splash_block(queries), _splash_block(keys)
    exists = jnp.ones(k.shape[:2], bool) if mask is None else mask

    def rows(x: Float[Array, "B L H D"], block: int) -> Float[Array, "B H M D"]:
        return jnp.moveaxis(jnp.pad(x, ((0, 0), (0, -x.shape[1] % block), (0, 0), (0, 0))), 2, 1)

    # Queries are all of one segment, those of absent tokens too: what they read is the same on every backend.
    segments = splash_kernel.SegmentIds(
        q=jnp.ones((q.shape[0], queries + -queries % q_block), jnp.int32),
        kv=jnp.pad(exists, ((0, 0), (0, -keys % k_block))).astype(jnp.int32),
    )
    shape = (segments.q.shape[1], segments.kv.shape[1])
    kernel = splash_kernel.make_splash_mha(
        mask=splash_mask.MultiHeadMask([splash_mask.FullMask(shape)] * q.shape[2]),
        block_sizes=splash_kernel.BlockSizes(
            block_q=q_block, block_kv=k_block, block_kv_compute=k_block,
            block_q_dkv=q_block, block_kv_dkv=k_block, block_kv_dkv_compute=k_block,
            block_q_dq=q_block, block_kv_dq=k_block,
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )  # fmt: skip
    out = jax.vmap(kernel)(rows(q * scale, q_block), rows(k, k_block), rows(v, k_block), segments)
    return jnp.moveaxis(cast(Array, out), 1, 2)[:, :queries]


def _splash_block(length: int) -> int:
    """The block: as few as `_SPLASH_BLOCK` tokens allow, all of one size, with the least padding."""
    count = -(-length // _SPLASH_BLOCK)
    return LANES * -(-length // (count * LANES))


def cudnn(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"] | None,
    scale: float,
) -> Float[Array, "B Lq H D"]:
    """cuDNN's flash attention, bfloat16 or float16; arguments as for `attend`, but every row needs a key.

    The keys that exist are brought to the front, because their order does not matter and their number can be told.
    """
    if mask is None:
        return jax.nn.dot_product_attention(q, k, v, scale=scale, implementation="cudnn")
    order = jnp.argsort(~mask, axis=1, stable=True)
    rows = jnp.arange(q.shape[0])[:, None]

    def front(x: Float[Array, "B L H D"]) -> Float[Array, "B L H D"]:
        # Every row is read once, which lets the backward pass write without adding.
        return x.at[rows, order].get(unique_indices=True, mode="promise_in_bounds")

    counts = mask.sum(1, dtype=jnp.int32)
    lengths = jnp.full(q.shape[0], q.shape[1], jnp.int32)
    return jax.nn.dot_product_attention(
        q,
        front(k),
        front(v),
        scale=scale,
        query_seq_lengths=lengths,
        key_value_seq_lengths=counts,
        implementation="cudnn",
    )
