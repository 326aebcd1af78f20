import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import OptimizerConfig
from astra_jax.errors import UserError
from astra_jax.training.optimizer import decay_mask, ema_decay, make_optimizer, make_schedule


def test_schedules():
    constant = make_schedule(OptimizerConfig(learning_rate=1.0, warmup_steps=3), 100)
    np.testing.assert_allclose([constant(i) for i in range(5)], [0.25, 0.5, 0.75, 1.0, 1.0], rtol=1e-6)
    assert make_schedule(OptimizerConfig(learning_rate=1.0, warmup_steps=0), 100)(0) == 1.0
    cosine = make_schedule(OptimizerConfig(learning_rate=1.0, warmup_steps=2, schedule="cosine"), 12)
    # The middle of the ten steps after the warm-up: half way between 1 and 0.1.
    np.testing.assert_allclose([cosine(2), cosine(7), cosine(12), cosine(50)], [1.0, 0.55, 0.1, 0.1], rtol=1e-6)
    with pytest.raises(UserError, match="schedule must be 'constant' or 'cosine', not 'linear'"):
        make_schedule(OptimizerConfig(schedule="linear"), 10)


def test_only_matrices_decay():
    params = {"a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones((3, 2)), "scale": jnp.ones(2), "other": jnp.ones(2)}}
    assert decay_mask(params) == {"a": {"kernel": True, "bias": False, "scale": False, "other": False}}


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_two_steps_by_hand(clip):
    config = OptimizerConfig(
        learning_rate=0.1, warmup_steps=0, b1=0.9, b2=0.99, eps=1e-8, weight_decay=0.5, clip_norm=clip
    )
    params = {"kernel": jnp.array([[2.0]]), "bias": jnp.array([1.0])}
    gradients = {"kernel": jnp.array([[3.0]]), "bias": jnp.array([4.0])}  # norm 5
    optimizer = make_optimizer(config, 10)
    state = optimizer.init(params)
    expected = {"kernel": 2.0, "bias": 1.0}
    moments = {name: [0.0, 0.0] for name in expected}
    for count in (1, 2):
        updates, state = optimizer.update(gradients, state, params)
        params = {name: params[name] + updates[name] for name in params}
        for name, gradient in (("kernel", 3.0), ("bias", 4.0)):
            gradient = gradient / 5 if clip else gradient
            first = 0.9 * moments[name][0] + 0.1 * gradient
            second = 0.99 * moments[name][1] + 0.01 * gradient**2
            moments[name] = [first, second]
            adam = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.99**count)) + 1e-8)
            expected[name] -= 0.1 * (adam + (0.5 * expected[name] if name == "kernel" else 0.0))
            np.testing.assert_allclose(params[name].ravel(), expected[name], rtol=1e-5)


def test_young_averages_forget():
    config = OptimizerConfig(ema_decay=0.9)
    np.testing.assert_allclose([ema_decay(config, jnp.int32(s)) for s in (0, 8, 1000)], [0.1, 0.5, 0.9], rtol=1e-6)
