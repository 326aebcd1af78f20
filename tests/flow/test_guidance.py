import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.flow.guidance import classifier_free

CONDITIONAL, UNCONDITIONAL = jnp.array([3.0, -1.0]), jnp.array([1.0, 1.0])


def both(x, t):
    """A velocity that tells the halves, the examples, their places and their times apart."""
    conditions = jnp.repeat(jnp.concatenate([CONDITIONAL, UNCONDITIONAL]), len(x) // 4)[:, None, None]
    return (conditions * x + t[:, None, None]).astype(x.dtype)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1.0, [3 * 2 + 0.5, -1 * 4 + 0.25]),
        (0.0, [1 * 2 + 0.5, 1 * 4 + 0.25]),
        (2.0, [(2 * 3 - 1) * 2 + 0.5, (2 * -1 - 1) * 4 + 0.25]),
    ],
)
def test_goes_from_without_through_with(scale, expected):
    x = jnp.array([2.0, 4.0])[:, None, None] * jnp.ones((2, 3, 5))
    v = classifier_free(both, jnp.array(scale))(x, jnp.array([0.5, 0.25]))
    np.testing.assert_allclose(v, np.array(expected)[:, None, None] * np.ones((2, 3, 5)), rtol=1e-6)


def test_is_float32_and_one_program_for_all_scales():
    traces = []

    @jax.jit
    def guided(scale):
        traces.append(scale)
        x = jnp.ones((2, 1, 1), jnp.bfloat16)
        return classifier_free(both, scale)(x, jnp.zeros(2, jnp.bfloat16))

    assert guided(1.5).dtype == jnp.float32
    np.testing.assert_allclose(guided(3.0)[:, 0, 0], [1 + 3 * 2, 1 + 3 * -2])
    assert len(traces) == 1


def test_every_picture_has_a_scale_of_its_own():
    x, t = jnp.array([2.0, 4.0])[:, None, None] * jnp.ones((2, 3, 5)), jnp.array([0.5, 0.25])
    v = classifier_free(both, jnp.array([1.0, 3.0]))(x, t)
    alone = [classifier_free(both, jnp.array(scale))(x, t)[i] for i, scale in enumerate((1.0, 3.0))]
    np.testing.assert_array_equal(v, alone)


def test_a_velocity_with_memory_keeps_it():
    def remembering(x, t, step, memory):
        return both(x, t), memory + len(x) + step

    x, t, scale = jnp.ones((2, 3, 5)), jnp.array([0.5, 0.25]), jnp.array([2.0, 0.5])
    v, memory = classifier_free(remembering, scale)(x, t, 3, 10)
    assert memory == 10 + 4 + 3
    np.testing.assert_array_equal(v, classifier_free(both, scale)(x, t))
