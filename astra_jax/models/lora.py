"""LoRA outside the model: low-rank factors beside the weights of linear maps that know nothing of them.

A LoRA (arXiv 2106.09685) is a tree of its own, {"double_blocks": {"img_qkv": {"a", "b"}}}, with the module paths of the
tree that it adapts. It is a Flax collection beside "params": scans slice both alike, recomputation sees both, and an
interceptor of `nn.Dense` adds the product. Places and start are UNO's (arXiv 2504.02160): all attention projections,
normal `a` of deviation 1/rank, zero `b`, no alpha.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from astra_jax.config import FUSED, LoraConfig
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten, unflatten

COLLECTION = "lora"


def find_places(tree: Params, config: LoraConfig) -> list[str]:
    """Paths of the linear maps of `tree` that `config.places` finds, sorted; raises `UserError` if there are none."""
    modules = [path.removesuffix("/kernel") for path in flatten(tree) if path.endswith("/kernel")]
    places = [path for path in modules if re.search(config.places, path)]
    if not places:
        raise UserError(
            f"model.lora.places {config.places!r} finds no linear map; their paths look like {', '.join(modules[:3])}"
        )
    return places


def init_lora(rng: PRNGKeyArray, tree: Params, config: LoraConfig) -> Params:
    """Float32 factors for `tree` (arrays or their shapes) that change nothing yet: a ~ N(0, 1/rank^2), b = 0.

    The layer dimension of stacked blocks stays in front: a [layers, in, rank], b [layers, rank, out]. Raises
    `UserError` for places that do not exist and ValueError for rank 0.
    """
    if config.rank < 1:
        raise ValueError("a LoRA of rank 0 has no factors")
    flat: dict[str, Array] = {}
    kernels = flatten(tree)
    for index, path in enumerate(find_places(tree, config)):
        *layers, width_in, width_out = kernels[f"{path}/kernel"].shape
        if path == FUSED and not config.fused_mlp:
            width_out = 3 * width_in
        a = jax.random.normal(jax.random.fold_in(rng, index), (*layers, width_in, config.rank)) / config.rank
        flat[f"{path}/a"], flat[f"{path}/b"] = a, jnp.zeros((*layers, config.rank, width_out))
    return unflatten(flat)


def low_rank(
    x: Float[Array, "*B I"], a: Float[Array, "I R"], b: Float[Array, "R O"], scale: float = 1.0
) -> Float[Array, "*B O"]:
    """scale (x a) b in the dtype of x."""
    y = (x @ a.astype(x.dtype)) @ b.astype(x.dtype)
    return y if scale == 1.0 else y * scale


def strengthen(lora: Params, strength: float | Float[Array, ""]) -> Params:
    """Factors whose product is `strength` times what it was: each b, in float32, rounded to its dtype.

    For a LoRA that stands beside its weights, once before sampling; strength is an argument of no program then. One
    that is to be merged takes it in the `scale` of `merge`, and a merged one is unmerged first.
    """
    flat = flatten(lora)
    scaled = {
        path: (leaf.astype(jnp.float32) * strength).astype(leaf.dtype)
        for path, leaf in flat.items()
        if path.endswith("/b")
    }
    return unflatten(flat | scaled)


def collections(tree: Params, lora: Params) -> dict[str, Params]:
    """The variables of an `apply` under `interceptor`: "params" and "lora".

    Raises ValueError for factors of a module that `tree` does not have, which `apply` would pass over.
    """
    modules = flatten(tree)
    for path in flatten(lora):
        module = path.rpartition("/")[0]
        if f"{module}/kernel" not in modules:
            raise ValueError(f"the LoRA adapts {module}, which is no linear map of this model")
    return {"params": tree, COLLECTION: lora}


def interceptor(scale: float) -> Callable[..., Any]:
    """For `nn.intercept_methods`: adds `scale` times the low-rank product to each linear map that has factors.

    Factors with fewer outputs than their map adapt its first ones.
    """

    def add_low_rank(next_function: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        y = next_function(*args, **kwargs)
        module = context.module
        if not isinstance(module, nn.Dense) or not module.has_variable(COLLECTION, "a"):
            return y
        a, b = (module.get_variable(COLLECTION, name) for name in "ab")
        delta = low_rank(args[0].astype(y.dtype), a, b, scale)
        return y + delta if delta.shape == y.shape else y.at[..., : delta.shape[-1]].add(delta)

    return add_low_rank


def merge(tree: Params, lora: Params, scale: float) -> tuple[Params, Params]:
    """(tree with kernels W + scale a b, the kernels that this replaced), both nested dicts of arrays.

    The sum is made in float32 and rounded to the kernel's dtype. Subtracting it again would not give W back, because
    the sum is rounded; so the replaced kernels are returned, by reference, and `unmerge` puts them back.
    """
    flat, factors = flatten(tree), flatten(lora)
    kept, merged = {}, dict(flat)
    for path in factors:
        if path.endswith("/a"):
            name = path.removesuffix("a") + "kernel"
            kept[name] = flat[name]
            merged[name] = _add(flat[name], factors[path], factors[path.removesuffix("a") + "b"], scale)
    return unflatten(merged), unflatten(kept)


def unmerge(merged: Params, kept: Params) -> Params:
    """The inverse of `merge` to the last bit: the tree before it."""
    return unflatten(flatten(merged) | flatten(kept))


@jax.jit
def _add(
    kernel: Float[Array, "*L I K"], a: Float[Array, "*L I R"], b: Float[Array, "*L R O"], scale: Any
) -> Float[Array, "*L I K"]:
    product = jnp.matmul(a.astype(jnp.float32), b.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST)
    wide = kernel.astype(jnp.float32)
    return wide.at[..., : b.shape[-1]].add(scale * product).astype(kernel.dtype)
