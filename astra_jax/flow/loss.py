"""The training loss: rectified flow's velocity, on canvas tokens only, in float32."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

Velocity = Callable[[Float[Array, "B L C"], Float[Array, " B"]], Float[Array, "B L C"]]


def interpolate(x: Float[Array, "B L C"], noise: Float[Array, "B L C"], t: Float[Array, " B"]) -> Float[Array, "B L C"]:
    """The straight path x_t = (1 - t) x + t noise (rectified flow, arXiv 2209.03003)."""
    t = t[:, None, None]
    return (1 - t) * x + t * noise


def velocity_loss(
    velocity: Velocity, x: Float[Array, "B L C"], noise: Float[Array, "B L C"], t: Float[Array, " B"]
) -> Float[Array, " B"]:
    """Mean squared error between velocity(x_t, t) and noise - x for each example, float32."""
    predicted = velocity(interpolate(x, noise, t), t)
    target = noise.astype(jnp.float32) - x.astype(jnp.float32)
    return jnp.mean(jnp.square(predicted.astype(jnp.float32) - target), axis=(1, 2))
