"""Rules by which a flow is followed: Euler, Heun, and the second-order multistep DPM-Solver++.

A rule sees one evaluation of the velocity at a time, so that any of them is the body of one scan with the model in it
once. `Solver.plan` says at which times it wants the velocity, `Solver.advance` what it makes of it.

DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2) follows the prediction of the picture, D = x_t - t v for the straight
path x_t = (1 - t) x + t noise. Its signal is 1 - t and its noise t, so half the log of the signal-to-noise ratio is
lambda = log((1 - t) / t). From t to s < t, along dx/dt = v = (x_t - D) / t, the quotient x/t obeys d(x/t)/dt = -D/t^2:

    x_s = (s/t) x_t + s * integral of D(u) / u^2 du from s to t = (s/t) x_t + (1 - s/t) D, for a D that stays as it is.

That is the paper's (sigma_s / sigma_t) x - alpha_s (e^-h - 1) D with h = lambda_s - lambda_t, and for this path it is
Euler's step. The second order replaces D by D + h / (2 h_last) (D - D_last), with h_last the lambda step before: D's
line through the last two evaluations, at the middle of the step. Lambda is infinite at both ends, t = 1 and t = 0;
there the quotient is taken for 0, and the step is of first order, as it is where nothing came before (diffusers does
the same). With steps of a length h in t the whole has an error of h^2 log(1/h), for lambda's steps do not shrink
towards the ends; Heun's is h^2, Euler's h.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Evaluations(NamedTuple):
    """When the velocity is asked, and what its answer is for; N evaluations in their order (one of them in a scan)."""

    t: Float[Array, " N"]  # the time of the evaluation
    step: Int[Array, " N"]  # the step of the schedule that it belongs to, from 0
    start: Float[Array, " N"]  # where that step starts
    end: Float[Array, " N"]  # where that step ends
    second: Bool[Array, " N"]  # whether it is its step's second
    slope: Float[Array, " N"]  # what of the change since the last evaluation is carried on


Advance = Callable[[Float[Array, "B L C"], Float[Array, "B L C"], Any, Evaluations], tuple[Float[Array, "B L C"], Any]]


@dataclasses.dataclass(frozen=True)
class Solver:
    """One rule.

    Attributes:
        plan: from the S + 1 times of a schedule to its evaluations.
        advance: (x, velocity there, what was kept, this evaluation) -> (the next x to evaluate at or to end with, what
            is kept); float32.
        keeps: how many arrays like x are kept.
    """

    plan: Callable[[Float[Array, " S"]], Evaluations]
    advance: Advance
    keeps: int


def _once_a_step(times: Float[Array, " S"], slope: Float[Array, " N"] | None = None) -> Evaluations:
    start, end = times[:-1], times[1:]
    second = jnp.zeros(start.shape, bool)
    return Evaluations(
        start, jnp.arange(len(start)), start, end, second, jnp.zeros_like(start) if slope is None else slope
    )


def _twice_a_step(times: Float[Array, " S"]) -> Evaluations:
    """At both ends of every step but the last, whose end is the picture: 2 S - 1."""
    index = jnp.arange(2 * (len(times) - 1) - 1)
    step, second = index // 2, index % 2 == 1
    start, end = times[step], times[step + 1]
    return Evaluations(jnp.where(second, end, start), step, start, end, second, jnp.zeros_like(start))


def _with_slopes(times: Float[Array, " S"]) -> Evaluations:
    inside = (times > 0) & (times < 1)
    t = jnp.where(inside, times, 0.5)
    steps = jnp.diff(jnp.log1p(-t) - jnp.log(t))
    steps = jnp.where(inside[1:] & inside[:-1], steps, jnp.inf)
    last, this = steps[:-1], steps[1:]
    finite = jnp.isfinite(last) & jnp.isfinite(this)
    slope = jnp.where(finite, this / jnp.where(finite, 2 * last, 1.0), 0.0)
    return _once_a_step(times, jnp.concatenate([jnp.zeros(1), slope]))


def _euler(
    x: Float[Array, "B L C"], v: Float[Array, "B L C"], kept: tuple[()], at: Evaluations
) -> tuple[Float[Array, "B L C"], tuple[()]]:
    return x + (at.end - at.start) * v, kept


def _heun(x: Float[Array, "B L C"], v: Float[Array, "B L C"], kept: Any, at: Evaluations) -> Any:
    """First along the velocity at the step's start, then again from there along the mean of both ends'."""
    x_start, v_start = kept
    x_start = jnp.where(at.second, x_start, x)
    mean = jnp.where(at.second, 0.5 * (v_start + v), v)
    return x_start + (at.end - at.start) * mean, (x_start, v)


def _dpmpp(x: Float[Array, "B L C"], v: Float[Array, "B L C"], kept: Any, at: Evaluations) -> Any:
    picture = x - at.start * v
    ahead = picture + at.slope * (picture - kept[0])
    rest = at.end / at.start
    return rest * x + (1 - rest) * ahead, (picture,)


SOLVERS = {
    "euler": Solver(_once_a_step, _euler, 0),
    "heun": Solver(_twice_a_step, _heun, 2),
    "dpmpp": Solver(_with_slopes, _dpmpp, 1),
}


def find_solver(name: str) -> Solver:
    """The solver of that name; raises ValueError for another."""
    if name not in SOLVERS:
        raise ValueError(f"the solver must be {', '.join(map(repr, SOLVERS))}, not {name!r}")
    return SOLVERS[name]


def evaluations(steps: int, solver: str) -> int:
    """How often `integrate` evaluates the velocity in so many steps: Heun 2 steps - 1, the others once a step."""
    times = jax.ShapeDtypeStruct((steps + 1,), jnp.float32)
    return len(jax.eval_shape(find_solver(solver).plan, times).t)
