"""Classifier-free guidance: further away from what the model draws without conditions (arXiv 2207.12598)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float


def classifier_free(both: Callable[..., Any], scale: Float[Array, ""] | Float[Array, " B"]) -> Callable[..., Any]:
    """The velocity v_without + scale (v_with - v_without), in float32.

    Args:
        both: a velocity for twice the batch; its first half is under the conditions, its second half without them.
            It may be one with a step and a memory, as `sampler.integrate_with_memory` takes it; then the result is.
        scale: of all pictures or of each; 1 gives v_with, more follows the conditions more strongly.
    """

    def guided(x: Float[Array, "B L C"], t: Float[Array, " B"], *more: Any) -> Any:
        result = both(jnp.concatenate([x, x]), jnp.concatenate([t, t]), *more)
        v, *memory = result if more else (result,)
        conditional, unconditional = jnp.split(v.astype(jnp.float32), 2)
        v = unconditional + jnp.reshape(scale, (-1, 1, 1)) * (conditional - unconditional)
        return (v, *memory) if more else v

    return guided
