"""Our solvers and knobs against diffusers' schedulers and pipeline, along one curved velocity."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.flow.sampler import integrate, start_from
from astra_jax.flow.schedule import schedule, skipped_steps, within
from astra_jax.flow.solvers import evaluations

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

STEPS, MU = 9, 0.6
NOISE = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)


def velocity(x, t, sin):
    """One that bends, in either library; t of every example."""
    return sin(2 * x) + (t - 0.3)[:, None, None] * x


def euler():
    return diffusers.FlowMatchEulerDiscreteScheduler()


def heun():
    return diffusers.FlowMatchHeunDiscreteScheduler()


def dpmpp():
    return diffusers.DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", algorithm_type="dpmsolver++", solver_type="midpoint"
    )


def theirs(make, times, start):
    """Where their scheduler ends, over our times (each makes its own from its settings; no setting makes ours)."""
    scheduler, times = make(), torch.tensor(times)
    scheduler.set_timesteps(len(times) - 1)
    if make is heun:
        inner = times[1:-1].repeat_interleave(2)
        scheduler.sigmas = torch.cat([times[:1], inner, times[-1:]])
        scheduler.timesteps = 1000 * torch.cat([times[:1], inner])
    else:
        scheduler.sigmas, scheduler.timesteps = times, 1000 * times[:-1]
    scheduler.set_begin_index(0)
    x = torch.tensor(start)
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, t.expand(len(x)) / 1000, torch.sin), t, x).prev_sample
    return x.numpy(), len(scheduler.timesteps)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers, with numpy 2
@pytest.mark.parametrize("make", [euler, heun, dpmpp])
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_solver(make, strength):
    times = schedule(STEPS, MU)[skipped_steps(STEPS, strength) :]
    latents = np.full_like(NOISE, 0.25)
    start = start_from(jnp.asarray(latents), jnp.asarray(NOISE), times)
    scale_noise = euler()
    scale_noise.set_timesteps(sigmas=times[:-1])
    noisy = scale_noise.scale_noise(torch.tensor(latents), scale_noise.timesteps[:1], torch.tensor(NOISE))
    np.testing.assert_allclose(start, noisy, atol=1e-6)
    expected, count = theirs(make, times, np.asarray(start))
    out = integrate(lambda x, t: velocity(x, t, jnp.sin), start, times, make.__name__)
    np.testing.assert_allclose(out, expected, rtol=2e-5, atol=2e-5)
    assert evaluations(len(times) - 1, make.__name__) == count
    if make is not euler:
        assert np.abs(expected - theirs(euler, times, np.asarray(start))[0]).max() > 1e-2


@pytest.mark.parametrize("steps", [1, 4, 10, 25, 28, 50])
def test_strength(steps):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    for strength in np.linspace(0.02, 1, 50).round(2).tolist():
        scheduler.set_timesteps(steps)
        pipeline = types.SimpleNamespace(scheduler=scheduler)
        rest, count = diffusers.FluxImg2ImgPipeline.get_timesteps(pipeline, steps, strength, None)
        assert steps - skipped_steps(steps, strength) == count == len(rest)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.2, 0.8), (0.1, 0.3), (0.5, 0.5)])
def test_part_of_the_schedule(start, end):
    """control_guidance_start and _end of FluxControlNetPipeline: keep = 1 - (i / n < start or (i + 1) / n > end)."""
    for steps in (1, 4, 10, 25, 28):
        keep = [1.0 - float(i / steps < start or (i + 1) / steps > end) for i in range(steps)]
        ours = [within(jnp.int32(i), steps, jnp.array([start]), jnp.array([end])) for i in range(steps)]
        np.testing.assert_array_equal(np.array(ours)[:, 0], np.array(keep, bool))
