import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.flow.sampler import initial_noise, integrate, integrate_with_memory, start_from
from astra_jax.flow.schedule import schedule, skipped_steps, within


def test_noise_belongs_to_the_picture():
    seeds, indices = jnp.array([7, 7, 8]), jnp.array([0, 1, 0])
    together = initial_noise(seeds, indices, 6, 4)
    for i in range(3):
        np.testing.assert_array_equal(together[i], initial_noise(seeds[i : i + 1], indices[i : i + 1], 6, 4)[0])
    assert len({float(x) for x in together[:, 0, 0]}) == 3


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp"])
def test_memory_is_handed_on_and_changes_nothing_by_itself(solver):
    noise, times = jax.random.normal(jax.random.key(0), (2, 4, 3)), schedule(5, 0.5)

    def velocity(x, t):
        return jnp.sin(x) + t[:, None, None]

    def remembering(x, t, step, memory):
        return velocity(x, t), {"last": x, "sum": memory["sum"] + step}

    memory = {"last": jnp.zeros_like(noise), "sum": jnp.int32(0)}
    out, memory = integrate_with_memory(remembering, memory, noise, times, solver)
    np.testing.assert_array_equal(out, integrate(velocity, noise, times, solver))
    assert memory["sum"] == (10 if solver != "heun" else 2 * (0 + 1 + 2 + 3) + 4)
    assert np.abs(memory["last"] - out).max() > 0


def test_starts_from_a_picture():
    latents, noise = jnp.full((2, 3, 4), 2.0, jnp.bfloat16), jax.random.normal(jax.random.key(0), (2, 3, 4))
    whole = schedule(4, 0.0)
    start = start_from(latents, noise, whole[skipped_steps(4, 0.5) :])
    assert start.dtype == jnp.float32
    np.testing.assert_allclose(start, 0.5 * 2 + 0.5 * noise, rtol=1e-6)
    # Strength 1 is text-to-image to the last bit.
    np.testing.assert_array_equal(start_from(latents, noise, whole[skipped_steps(4, 1.0) :]), noise)
    # The exact flow from there ends at the picture.
    times = schedule(7, 0.5)[skipped_steps(7, 0.4) :]
    start = start_from(latents, noise, times)
    np.testing.assert_allclose(integrate(lambda x, t: noise - 2.0, start, times), 2.0, rtol=1e-5)


def test_a_condition_for_a_part_of_the_schedule():
    """What `within` says of a step reaches the velocity of each picture by its own bounds, for both of Heun's."""
    start, end = jnp.array([0.0, 0.0, 0.5]), jnp.array([1.0, 0.5, 1.0])

    def velocity(x, t, step, memory):
        seen = within(step, 4, start, end)
        return jnp.where(seen, 1.0, 0.0)[:, None, None] + 0 * x, memory

    for solver in ("euler", "heun"):
        out, _ = integrate_with_memory(velocity, (), jnp.zeros((3, 1, 1)), schedule(4, 0.0), solver)
        np.testing.assert_allclose(out.ravel(), [-1.0, -0.5, -0.5])
