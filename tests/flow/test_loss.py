import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.flow.loss import interpolate, velocity_loss


def test_path_ends():
    x, noise = jnp.full((2, 1, 1), 3.0), jnp.full((2, 1, 1), 5.0)
    np.testing.assert_allclose(interpolate(x, noise, jnp.array([0.0, 0.25])).ravel(), [3.0, 3.5])


def test_loss_by_hand():
    x, noise = jnp.zeros((2, 1, 2)), jnp.ones((2, 1, 2))
    loss = velocity_loss(lambda x_t, t: x_t * 0 + jnp.array([1.0, 3.0])[:, None, None], x, noise, jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(loss, [0.0, 4.0])


def test_true_velocity_has_no_loss_and_bfloat16_is_compared_in_float32():
    x, noise = jax.random.normal(jax.random.key(0), (2, 3, 4, 8))
    t = jnp.array([0.1, 0.5, 0.9])
    assert velocity_loss(lambda x_t, t: noise - x, x, noise, t).max() == 0
    loss = velocity_loss(lambda x_t, t: (noise - x).astype(jnp.bfloat16), x, noise, t)
    assert loss.dtype == jnp.float32
    assert 0 < loss.max() < 1e-4
