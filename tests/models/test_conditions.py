"""Knobs on conditions: a pose that is not seen, an adapter of another strength."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.models.conditions import scale_identity, see_pose

CANVAS, TOKENS = (4, 4), 4  # latents; tokens of the canvas, and of the pose


@pytest.fixture(scope="module")
def encode(tiny, params):
    return jax.jit(lambda inputs: tiny.encode(params, inputs, CANVAS))


@pytest.fixture(scope="module")
def velocity(tiny, params):
    x, t = jax.random.normal(jax.random.key(9), (2, TOKENS, 16)), jnp.full(2, 0.7)
    return jax.jit(lambda conditions: tiny.velocity(params, x, t, conditions))


def test_a_pose_that_is_not_seen_is_as_none(inputs, replace, encode, velocity):
    conditions = encode(inputs)
    seen = see_pose(conditions, TOKENS, TOKENS, jnp.array([True, False]))
    without = encode(replace(inputs, has_pose=np.array([True, False])))
    np.testing.assert_array_equal(seen.mask, without.mask)
    # Its own tokens are read by nobody, whatever they hold.
    np.testing.assert_allclose(velocity(seen), velocity(without), atol=1e-6)
    assert np.abs(velocity(seen) - velocity(conditions))[1].max() > 1e-4
    np.testing.assert_array_equal(velocity(seen)[0], velocity(conditions)[0])


def test_a_pose_that_all_see_changes_nothing(inputs, replace, encode):
    for has_pose in ([True, True], [False, True]):
        conditions = encode(replace(inputs, has_pose=np.array(has_pose)))
        seen = see_pose(conditions, TOKENS, TOKENS, jnp.ones(2, bool))
        for one, other in zip(jax.tree.leaves(seen), jax.tree.leaves(conditions), strict=True):
            np.testing.assert_array_equal(one, other)


def test_only_the_poses_tokens_are_hidden(inputs, encode):
    conditions = encode(inputs)
    hidden = see_pose(conditions, TOKENS, TOKENS, jnp.zeros(2, bool))
    gone = np.flatnonzero((conditions.mask & ~hidden.mask)[0])
    text = conditions.text.shape[1]
    np.testing.assert_array_equal(gone, np.arange(text + TOKENS, text + 2 * TOKENS))
    none = see_pose(conditions, TOKENS, 0, jnp.zeros(2, bool))  # a batch without poses has no such tokens
    np.testing.assert_array_equal(none.mask, conditions.mask)


def test_strength_of_the_adapter(inputs, replace, encode, velocity):
    conditions = encode(inputs)
    scaled = scale_identity(conditions, jnp.array([1.0, 0.5]))
    np.testing.assert_array_equal(scaled.offsets[:, 0], conditions.offsets[:, 0])
    np.testing.assert_allclose(scaled.offsets[:, 1], 0.5 * conditions.offsets[:, 1], rtol=1e-6)
    off = encode(replace(inputs, has_identity=np.zeros((2, 2), bool)))
    none = velocity(scale_identity(conditions, jnp.zeros(2)))
    np.testing.assert_allclose(none, velocity(off), atol=1e-6)
    half, whole = velocity(scaled)[1], velocity(conditions)[1]
    assert min(np.abs(half - whole).max(), np.abs(half - none[1]).max()) > 1e-4
