import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.flow.sampler import euler, initial_noise
from astra_jax.flow.schedule import schedule, shift_of


def test_exact_flow_recovers_the_picture_in_any_number_of_steps():
    x, noise = jax.random.normal(jax.random.key(0), (2, 2, 4, 8))
    for steps in (1, 3, 25):
        out = euler(lambda x_t, t: noise - x, noise, schedule(steps, shift_of(64)))
        np.testing.assert_allclose(out, x, atol=1e-5)


def test_euler_by_hand():
    # dx/dt = x from t = 1 to 0 in two equal steps: x (1 - 1/2)^2
    out = euler(lambda x, t: x, jnp.ones((1, 1, 1)), jnp.array([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(out, 0.25)
    # the velocity is asked at the start of each interval
    out = euler(lambda x, t: t[:, None, None] + 0 * x, jnp.zeros((1, 1, 1)), jnp.array([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(out, -0.5 * (1.0 + 0.5))


def test_noise_belongs_to_the_picture():
    seeds, indices = jnp.array([7, 7, 8]), jnp.array([0, 1, 0])
    together = initial_noise(seeds, indices, 6, 4)
    for i in range(3):
        np.testing.assert_array_equal(together[i], initial_noise(seeds[i : i + 1], indices[i : i + 1], 6, 4)[0])
    assert len({float(x) for x in together[:, 0, 0]}) == 3
