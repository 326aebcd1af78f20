import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.flow.guidance import classifier_free

WITH, WITHOUT = jnp.array([3.0, -1.0])[:, None, None], jnp.array([1.0, 1.0])[:, None, None]


@pytest.mark.parametrize(
    ("scale", "expected"), [(1.0, [3, -1]), (0.0, [1, 1]), (2.0, [5, -3]), (jnp.array([2.0, 0.5]), [5, 0])]
)
def test_goes_from_without_through_with(scale, expected):
    v = classifier_free(WITH, WITHOUT, scale)
    np.testing.assert_allclose(v[:, 0, 0], expected)


def test_is_float32_and_one_program_for_all_scales():
    traces = []

    @jax.jit
    def guided(scale):
        traces.append(scale)
        return classifier_free(WITH.astype(jnp.bfloat16), WITHOUT.astype(jnp.bfloat16), scale)

    assert guided(1.5).dtype == jnp.float32
    np.testing.assert_allclose(guided(3.0)[:, 0, 0], [1 + 3 * 2, 1 + 3 * -2])
    assert len(traces) == 1
