"""From noise along the flow to pictures, as one scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, PRNGKeyArray

from astra_jax.flow.loss import Velocity, interpolate
from astra_jax.flow.solvers import Evaluations, find_solver

# A velocity that knows the step of the schedule it is asked in, and remembers: (x, t, step, memory) -> (v, memory).
SteppedVelocity = Callable[
    [Float[Array, "B L C"], Float[Array, " B"], Int[Array, ""], Any], tuple[Float[Array, "B L C"], Any]
]


def initial_noise(
    seeds: Integer[Array, " B"], indices: Integer[Array, " B"], tokens: int, channels: int
) -> Float[Array, "B {tokens} {channels}"]:
    """Standard normal noise that depends on each picture's own (seed, index) alone, not on the batch around it."""

    def draw(seed: Integer[Array, ""], index: Integer[Array, ""]) -> Float[Array, "L C"]:
        key: PRNGKeyArray = jax.random.fold_in(jax.random.key(seed), index)
        return jax.random.normal(key, (tokens, channels))

    return jax.vmap(draw)(seeds, indices)


def start_from(
    latents: Float[Array, "B L C"], noise: Float[Array, "B L C"], times: Float[Array | np.ndarray, " S"]
) -> Float[Array, "B L C"]:
    """Where image-to-image starts: the picture as noisy as the first of `times` says, float32.

    x = (1 - t) latents + t noise at t = times[0] (a schedule without its `skipped_steps`); at t = 1 the noise itself.
    """
    t = jnp.full(latents.shape[:1], times[0], jnp.float32)
    return interpolate(latents.astype(jnp.float32), noise.astype(jnp.float32), t)


def integrate(
    velocity: Velocity,
    x: Float[Array, "B L C"],
    times: Float[Array | np.ndarray, " S"],
    solver: str = "euler",
) -> Float[Array, "B L C"]:
    """x at the last of `times`, from x at the first, along dx/dt = velocity(x, t); float32.

    Args:
        velocity: (x, t of each example) -> dx/dt. Its graph is in the program once, whatever the solver.
        x: noise, or what `start_from` gives.
        times: falling, from at most 1 to at least 0.
        solver: "euler" (order 1), "heun" or "dpmpp" (order 2); `solvers.evaluations` tells what they cost.

    Raises ValueError for another solver.
    """

    def stepped(
        x: Float[Array, "B L C"], t: Float[Array, " B"], step: Int[Array, ""], memory: tuple[()]
    ) -> tuple[Float[Array, "B L C"], tuple[()]]:
        return velocity(x, t), memory

    return integrate_with_memory(stepped, (), x, times, solver)[0]


def integrate_with_memory(
    velocity: SteppedVelocity,
    memory: Any,
    x: Float[Array, "B L C"],
    times: Float[Array | np.ndarray, " S"],
    solver: str = "euler",
) -> tuple[Float[Array, "B L C"], Any]:
    """`integrate` for a velocity that is told the step and hands a memory from one evaluation to the next.

    Args:
        velocity: (x, t, step, memory) -> (dx/dt, memory). `step` counts the intervals of `times` from 0: both
            evaluations of one of Heun's steps have the same.
        memory: of the first evaluation; any tree of arrays, whose shapes and dtypes stay.
        x, times, solver: as in `integrate`.

    Returns x and the memory after the last evaluation. Raises ValueError for another solver.
    """
    rule = find_solver(solver)
    x = x.astype(jnp.float32)

    def evaluate(carry: tuple[Any, Any, Any], at: Evaluations) -> tuple[tuple[Any, Any, Any], None]:
        x, kept, memory = carry
        v, memory = velocity(x, jnp.full(x.shape[:1], at.t), at.step, memory)
        x, kept = rule.advance(x, v.astype(jnp.float32), kept, at)
        return (x, kept, memory), None

    kept = (jnp.zeros_like(x),) * rule.keeps
    plan = rule.plan(jnp.asarray(times, jnp.float32))
    (x, _, memory), _ = jax.lax.scan(evaluate, (x, kept, memory), plan)
    return x, memory
