"""Solvers on flows with closed forms: their order, their steps by hand, and what they cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit

from astra_jax import config
from astra_jax.flow.sampler import integrate, integrate_with_memory
from astra_jax.flow.schedule import schedule
from astra_jax.flow.solvers import SOLVERS, evaluations, find_solver

MEAN, DEVIATION = 0.7, 1.5


def deviation(t):
    """Of x_t for normal data."""
    return np.sqrt(((1 - t) * DEVIATION) ** 2 + t**2)


def gaussian_velocity(x, t):
    """The flow's velocity for normal data: E[noise - x0 | x_t], with x_t of variance (1 - t)^2 s^2 + t^2."""
    t = t[:, None, None]
    variance = ((1 - t) * DEVIATION) ** 2 + t**2
    return (t - (1 - t) * DEVIATION**2) / variance * (x - (1 - t) * MEAN) - MEAN


def worst(solver, times):
    """The largest error at the last time: the true flow scales x by the deviations, around its mean (1 - t) m."""
    start, end = np.float64(times[0]), np.float64(times[-1])
    expected = deviation(end) / deviation(start) * (np.asarray(NOISE, np.float64) - (1 - start) * MEAN)
    return np.abs(run(gaussian_velocity, NOISE, times, solver) - (expected + (1 - end) * MEAN)).max()


NOISE = jax.random.normal(jax.random.key(0), (2, 5, 3))
run = jax.jit(integrate, static_argnums=(0, 3))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("dpmpp", 2)])
def test_order_of_convergence(solver, order):
    """Half the step, 2^order less error, between 0.9 and 0.1 in even steps of log((1 - t) / t)."""
    errors = [worst(solver, expit(np.linspace(1, -1, steps + 1) * logit(0.9))) for steps in (32, 64, 128)]
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(slopes - order) < 0.2), slopes


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("dpmpp", 2)])
@pytest.mark.parametrize("mu", [0.0, 0.5])
def test_order_from_end_to_end(solver, order, mu):
    """From noise to picture DPM-Solver++'s lambda steps grow without bound: its error is h^2 log(1/h)."""
    steps = (32, 64, 128)
    errors = np.array([worst(solver, schedule(count, mu)) for count in steps])
    if solver == "dpmpp":
        errors = errors / np.log(steps)
    slopes = np.log2(errors[:-1] / errors[1:])
    assert np.all(np.abs(slopes - order) < 0.15), slopes


def test_second_order_is_nearer_for_the_same_evaluations():
    errors = {name: worst(name, schedule(steps, 0.5)) for name, steps in (("euler", 19), ("heun", 10), ("dpmpp", 19))}
    assert errors["heun"] < errors["euler"] / 5
    assert errors["dpmpp"] < errors["euler"] / 5


def test_exact_flow_recovers_the_picture_in_any_number_of_steps():
    x, noise = jax.random.normal(jax.random.key(0), (2, 2, 4, 8))
    for solver in SOLVERS:
        for steps in (1, 2, 25):
            out = run(lambda x_t, t: noise - x, noise, schedule(steps, 0.5), solver)
            np.testing.assert_allclose(out, x, atol=2e-5)


def test_euler_by_hand():
    # dx/dt = x from t = 1 to 0 in two equal steps: x (1 - 1/2)^2
    out = run(lambda x, t: x, jnp.ones((1, 1, 1)), jnp.array([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(out, 0.25)
    # the velocity is asked at the start of each interval
    out = run(lambda x, t: t[:, None, None] + 0 * x, jnp.zeros((1, 1, 1)), jnp.array([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(out, -0.5 * (1.0 + 0.5))


def test_heun_by_hand():
    # dx/dt = x: 1 -> 1/2 predicted, mean slope 3/4, so 5/8; the last step is Euler's: 5/8 (1 - 1/2)
    out = run(lambda x, t: x, jnp.ones((1, 1, 1)), jnp.array([1.0, 0.5, 0.0]), "heun")
    np.testing.assert_allclose(out, 5 / 16)


def test_dpmpp_by_hand():
    """The published formula with its exponentials, in float64, at the one step that has a finite lambda before it."""
    times = np.array([0.9, 0.7, 0.4, 0.0])
    out = run(gaussian_velocity, NOISE, times, "dpmpp")

    def picture(x, t):
        return x - t * np.asarray(gaussian_velocity(x, np.full(2, t)), np.float64)

    x, last, h_last = np.asarray(NOISE, np.float64), None, None
    for t, s in zip(times[:-1], times[1:], strict=True):
        d = picture(x, t)
        if s == 0:
            x = d
            break
        h = np.log((1 - s) / s) - np.log((1 - t) / t)
        ahead = d if last is None else d + h / (2 * h_last) * (d - last)
        x, last, h_last = s / t * x - (1 - s) * np.expm1(-h) * ahead, d, h
    np.testing.assert_allclose(out, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("solver", "expected"), [("euler", [1, 7]), ("heun", [1, 13]), ("dpmpp", [1, 7])])
def test_evaluations_are_counted(solver, expected):
    """By what is said, and by what is done: the memory counts them, and tells the step of each."""

    def velocity(x, t, step, memory):
        count, steps, asked = memory
        return 0 * x, (count + 1, steps.at[count].set(step), asked.at[count].set(t[0]))

    for steps, count in zip((1, 7), expected, strict=True):
        assert evaluations(steps, solver) == count
        memory = (jnp.int32(0), jnp.full(20, -1), jnp.full(20, jnp.nan))
        times = schedule(steps, 0.5)
        _, (done, when, asked) = integrate_with_memory(velocity, memory, NOISE, times, solver)
        assert done == count
        on_steps = np.repeat(np.arange(steps), 2)[:count] if solver == "heun" else np.arange(steps)
        np.testing.assert_array_equal(when[:count], on_steps)
        at = on_steps + (np.arange(count) % 2 if solver == "heun" else 0)
        np.testing.assert_array_equal(asked[:count], times[at])


def test_one_velocity_in_the_program():
    for solver in SOLVERS:
        traces = []

        def velocity(x, t, traces=traces):
            traces.append(None)
            return gaussian_velocity(x, t)

        jax.jit(lambda x, t, f=velocity, s=solver: integrate(f, x, t, s))(NOISE, jnp.asarray(schedule(5, 0.5)))
        assert len(traces) == 1


def test_pictures_do_not_see_each_other_and_bfloat16_is_integrated_in_float32():
    for solver in SOLVERS:
        times = schedule(6, 0.5)
        both = run(gaussian_velocity, NOISE, times, solver)
        np.testing.assert_array_equal(run(gaussian_velocity, NOISE[1:], times, solver)[0], both[1])
        narrow = run(lambda x, t: gaussian_velocity(x, t).astype(jnp.bfloat16), NOISE, times, solver)
        assert narrow.dtype == jnp.float32
        assert 0 < np.abs(narrow - both).max() < 0.05


def test_names():
    assert tuple(SOLVERS) == config.SOLVERS
    with pytest.raises(ValueError, match="'euler', 'heun', 'dpmpp', not 'rk4'"):
        find_solver("rk4")
