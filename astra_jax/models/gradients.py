"""What the backward pass keeps, and how it forms the gradients of weights. Values are as without.

A scan over layers copies all that its backward pass needs into stacks, a slice a layer. On a CPU the stacks of norms
and activations cost more time than computing these again, and the gradient of a weight in the layout that XLA would
choose costs a transposed copy of what flows back.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
from jaxtyping import Array, Float

# Keeps a function's arguments alone for the backward pass. In a scan, common subexpressions cannot be merged anyway.
recomputed = functools.partial(jax.checkpoint, prevent_cse=False)

_Dimensions = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _product(
    x: Float[Array, "*B C"], kernel: Float[Array, "C D"], precision: Any, accumulated: Any
) -> Float[Array, "*B D"]:
    dimensions = (((x.ndim - 1,), (0,)), ((), ()))
    return jax.lax.dot_general(x, kernel, dimensions, precision=precision, preferred_element_type=accumulated)


def _forward(x: Any, kernel: Any, precision: Any, accumulated: Any) -> tuple[Array, tuple[Any, Any]]:
    return _product(x, kernel, precision, accumulated), (x, kernel)


def _backward(precision: Any, accumulated: Any, kept: tuple[Any, Any], g: Array) -> tuple[Array, Array]:
    x, kernel = kept
    rows = tuple(range(x.ndim - 1))
    to_x = jax.lax.dot_general(g, kernel, (((x.ndim - 1,), (1,)), ((), ())), precision=precision)
    to_kernel = jax.lax.dot_general(x, g, ((rows, rows), ((), ())), precision=precision)
    return to_x.astype(x.dtype), to_kernel.astype(kernel.dtype)


_product.defvjp(_forward, _backward)


def product(
    x: Float[Array, "*B C"],
    kernel: Float[Array, "C D"],
    dimensions: _Dimensions,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Float[Array, "*B D"]:
    """x @ kernel, for `nn.Dense(dot_general=product)`; the gradient of the kernel is x^T g, the activations first.

    JAX's own is (g^T x)^T. Raises ValueError for another product than a linear map's.
    """
    if dimensions != (((x.ndim - 1,), (0,)), ((), ())):
        raise ValueError(f"a linear map contracts its last axis with the kernel's first, not {dimensions}")
    return _product(x, kernel, precision, preferred_element_type)
