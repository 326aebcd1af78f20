"""Euler's method along the flow, as one scan."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from astra_jax.flow.loss import Velocity


def initial_noise(
    seeds: Integer[Array, " B"], indices: Integer[Array, " B"], tokens: int, channels: int
) -> Float[Array, "B {tokens} {channels}"]:
    """Standard normal noise that depends on each picture's own (seed, index) alone, not on the batch around it."""

    def draw(seed: Integer[Array, ""], index: Integer[Array, ""]) -> Float[Array, "L C"]:
        key: PRNGKeyArray = jax.random.fold_in(jax.random.key(seed), index)
        return jax.random.normal(key, (tokens, channels))

    return jax.vmap(draw)(seeds, indices)


def euler(
    velocity: Velocity, noise: Float[Array, "B L C"], times: Float[Array | np.ndarray, " S"]
) -> Float[Array, "B L C"]:
    """Integrates dx/dt = velocity(x, t) along `times`: x += (t_next - t) velocity(x, t), with x in float32."""

    def step(x: Float[Array, "B L C"], interval: tuple[Float[Array, ""], Float[Array, ""]]):
        t, t_next = interval
        v = velocity(x, jnp.full(x.shape[:1], t))
        return x + (t_next - t) * v.astype(jnp.float32), None

    times = jnp.asarray(times, jnp.float32)
    x, _ = jax.lax.scan(step, noise.astype(jnp.float32), (times[:-1], times[1:]))
    return x
