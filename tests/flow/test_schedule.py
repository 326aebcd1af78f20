import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.flow.schedule import sample_timesteps, schedule, shift, shift_of, skipped_steps, within


def test_shift_is_flux_line():
    assert shift_of(256) == 0.5
    assert shift_of(1024) == pytest.approx(0.63)
    assert shift_of(4096) == pytest.approx(1.15)


@given(steps=st.integers(1, 60), tokens=st.integers(16, 8192))
def test_schedule_equals_flux_formula(steps, tokens):
    times = schedule(steps, shift_of(tokens))
    assert times[0] == 1
    assert times[-1] == 0
    assert (np.diff(times) < 0).all()
    e = np.exp(shift_of(tokens))
    inner = np.linspace(1, 0, steps + 1)[:-1]
    np.testing.assert_allclose(times[:-1], e / (e + (1 / inner - 1)), rtol=1e-6)


def test_schedule_needs_a_step():
    with pytest.raises(ValueError, match="at least one step"):
        schedule(0, 0.5)


@pytest.mark.parametrize("tokens", [16, 1024, 4096])
def test_unshifted_times_are_evenly_spaced(tokens):
    """Those of FLUX.1-schnell, whatever the size."""
    np.testing.assert_array_equal(schedule(4, shift_of(tokens, "none")), [1.0, 0.75, 0.5, 0.25, 0.0])
    with pytest.raises(ValueError, match="'resolution' or 'none', not 'dynamic'"):
        shift_of(tokens, "dynamic")


def test_shift_moves_towards_noise_and_keeps_the_ends():
    t = np.array([0.0, 0.25, 1.0], np.float32)
    np.testing.assert_allclose(shift(t, np.log(3.0)), [0, 0.5, 1])
    np.testing.assert_allclose(shift(t, 0.0), t)


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_training_times(distribution):
    t = np.asarray(sample_timesteps(jax.random.key(0), 4000, 1024, distribution))
    assert 0 < t.min() < t.max() <= 1
    # Both distributions have median 1/2 before the shift; a monotone map moves the median with it.
    assert np.median(t) == pytest.approx(shift(np.array([0.5]), shift_of(1024))[0], abs=0.02)
    first = sample_timesteps(jax.random.key(0), 4, 1024, distribution)
    np.testing.assert_array_equal(first, t[:4])


def test_uniform_times_follow_the_shifted_law():
    t = np.asarray(sample_timesteps(jax.random.key(3), 8000, 1024))
    quantiles = np.linspace(0.1, 0.9, 9)
    expected = shift(quantiles, shift_of(1024))
    np.testing.assert_allclose(np.quantile(t, quantiles), expected, atol=0.02)


def test_unknown_distribution():
    with pytest.raises(ValueError, match="'uniform' or 'logit_normal'"):
        sample_timesteps(jax.random.key(0), 2, 64, "beta")


@pytest.mark.parametrize(
    ("steps", "strength", "runs"),
    [(4, 1.0, 4), (4, 0.75, 3), (4, 0.5, 2), (25, 0.6, 15), (25, 0.61, 16), (4, 0.01, 1), (1, 0.3, 1), (20, 1e-20, 1)],
)
def test_strength_is_a_share_of_the_steps(steps, strength, runs):
    assert skipped_steps(steps, strength) == steps - runs


@given(steps=st.integers(1, 200), strength=st.floats(0, 1, exclude_min=True))
def test_at_least_a_step_remains(steps, strength):
    skipped = skipped_steps(steps, strength)
    assert 0 <= skipped < steps
    assert abs(steps - skipped - steps * strength) <= 1 + 1e-9
    assert skipped_steps(steps, 1.0) == 0


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.01, float("nan")])
def test_strength_outside_its_range(strength):
    with pytest.raises(ValueError, match="over 0 and at most 1"):
        skipped_steps(4, strength)


def test_parts_of_a_schedule_by_hand():
    start, end = jnp.array([0.0, 0.0, 0.2, 0.3, 0.9]), jnp.array([1.0, 0.6, 0.6, 0.7, 0.9])
    seen = np.array([within(jnp.int32(step), 5, start, end) for step in range(5)])
    expected = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(seen.T, np.array(expected, bool))


@pytest.mark.parametrize("steps", [1, 7, 25, 28, 49])
def test_bounds_on_a_step_are_met_exactly(steps):
    """Decimals as a user writes them, i / steps in float64, bound steps exactly."""
    first, last = (x.ravel() for x in np.mgrid[: steps + 1, : steps + 1])
    start, end = (jnp.asarray(x / steps, jnp.float32) for x in (first, last))
    inside = jax.vmap(lambda step: within(step, steps, start, end))(jnp.arange(steps))
    step = np.arange(steps)[:, None]
    np.testing.assert_array_equal(inside, (first <= step) & (step < last))
