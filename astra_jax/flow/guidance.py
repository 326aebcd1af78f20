"""Classifier-free guidance: further away from what the model draws without conditions (arXiv 2207.12598)."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from astra_jax.flow.loss import Velocity


def classifier_free(both: Velocity, scale: Float[Array, ""]) -> Velocity:
    """The velocity v_without + scale (v_with - v_without), in float32.

    Args:
        both: a velocity for twice the batch; its first half is under the conditions, its second half without them.
        scale: 1 gives v_with, more follows the conditions more strongly.
    """

    def guided(x: Float[Array, "B L C"], t: Float[Array, " B"]) -> Float[Array, "B L C"]:
        v = both(jnp.concatenate([x, x]), jnp.concatenate([t, t])).astype(jnp.float32)
        conditional, unconditional = jnp.split(v, 2)
        return unconditional + scale * (conditional - unconditional)

    return guided
