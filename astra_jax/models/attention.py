"""Scaled dot-product attention behind one function, so that a backend is chosen in one place."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from astra_jax.config import ATTENTION_BACKENDS
from astra_jax.errors import UserError
from astra_jax.models import attention_kernels, attention_xla
from astra_jax.models.sharding import compiler_splits, platform

_KERNELS = {"splash": "tpu", "cudnn": "nvidia"}  # and the platform that runs them


def attend(
    q: Float[Array, "B Lq H D"],
    k: Float[Array, "B Lk H D"],
    v: Float[Array, "B Lk H D"],
    mask: Bool[Array, "B Lk"] | None = None,
    bias: Float[Array, "#B #H Lq Lk"] | None = None,
    scale: float | None = None,
    backend: str = "auto",
) -> Float[Array, "B Lq H D"]:
    """Attention softmax(scale q k^T + bias) v with float32 logits and weights.

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: which keys exist; every row needs one (a row without any averages all values on "plain" and "blocked").
        bias: added to the logits (T5's relative positions, a causal mask); the kernels take none.
        scale: of the logits; 1/sqrt(D) where not given (Vaswani et al., arXiv 1706.03762).
        backend: "auto" takes the best that can do it; or one of "plain", "blocked", "splash" and "cudnn".

    Raises `UserError` for a kernel on a platform that does not run it, ValueError for one that cannot do this at all.
    """
    if backend not in ATTENTION_BACKENDS:
        raise ValueError(f"backend must be one of {ATTENTION_BACKENDS}, not {backend!r}")
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    chosen = choose(q, k, bias) if backend == "auto" else backend
    if chosen in _KERNELS:
        if problem := _obstacle(chosen, q, bias):
            raise ValueError(f"attention by {chosen} {problem}")
        if platform() != _KERNELS[chosen]:
            raise UserError(
                f"model.attention {chosen!r} runs on {_KERNELS[chosen]}, not on {platform()}: choose 'auto'"
            )
        kernel = attention_kernels.splash if chosen == "splash" else attention_kernels.cudnn
        return kernel(q, k, v, mask, factor)
    return (attention_xla.blocked if chosen == "blocked" else attention_xla.plain)(q, k, v, mask, bias, factor)


def choose(q: Float[Array, "B Lq H D"], k: Float[Array, "B Lk H D"], bias: Array | None = None) -> str:
    """The backend that "auto" stands for: the platform's kernel where it can do it, else by the size of the scores."""
    for kernel, runs_on in _KERNELS.items():
        if platform() == runs_on and _obstacle(kernel, q, bias) is None:
            return kernel
    scores = attention_xla.score_bytes(q.shape[0] * q.shape[2], q.shape[1], k.shape[1])
    return "blocked" if scores > attention_xla.LARGE else "plain"


def _obstacle(kernel: str, q: Float[Array, "B L H D"], bias: Array | None) -> str | None:
    """Why a kernel cannot do this, on any platform; None if it can."""
    if bias is not None:
        return "takes no bias"
    if compiler_splits():
        # The compiler cannot split a kernel's call; `attend_on_mesh` hands each device its own part.
        return "needs the part of one device: call attend_on_mesh"
    width = q.shape[-1]
    if kernel == "splash" and width % attention_kernels.LANES:
        return f"needs heads of a multiple of {attention_kernels.LANES} channels, not {width}"
    step, most = attention_kernels.CUDNN_WIDTHS
    if kernel == "cudnn" and (width % step or width > most):
        return f"needs heads of a multiple of {step} and at most {most} channels, not {width}"
    if kernel == "cudnn" and jnp.dtype(q.dtype).name not in attention_kernels.CUDNN_DTYPES:
        return f"computes in {' or '.join(attention_kernels.CUDNN_DTYPES)}, not {jnp.dtype(q.dtype).name}"
    return None
