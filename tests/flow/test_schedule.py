import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.flow.schedule import sample_timesteps, schedule, shift, shift_of


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
