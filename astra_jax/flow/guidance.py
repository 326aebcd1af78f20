"""Classifier-free guidance: further away from what the model draws without conditions (arXiv 2207.12598)."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def classifier_free(
    conditional: Float[Array, "B L C"],
    unconditional: Float[Array, "B L C"],
    scale: Float[Array, ""] | Float[Array, " B"] | float,
) -> Float[Array, "B L C"]:
    """The velocity v_without + scale (v_with - v_without), in float32.

    Args:
        conditional: the velocity under the conditions.
        unconditional: the velocity at the same place without them.
        scale: of all pictures or of each; 1 gives `conditional`, more follows the conditions more strongly.
    """
    v, v_without = conditional.astype(jnp.float32), unconditional.astype(jnp.float32)
    return v_without + jnp.reshape(jnp.asarray(scale, jnp.float32), (-1, 1, 1)) * (v - v_without)
