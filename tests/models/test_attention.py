import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.models.attention import attend


def reference(q, k, v, scale):
    q, k, v = np.asarray(q), np.asarray(k), np.asarray(v)
    out = np.zeros(q.shape)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            logits = q[b, :, h] @ k[b, :, h].T * scale
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            out[b, :, h] = weights / weights.sum(-1, keepdims=True) @ v[b, :, h]
    return out


def test_equals_numpy():
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 7, 3, 8))
    np.testing.assert_allclose(attend(q, k, v), reference(q, k, v, 8**-0.5), atol=1e-5)
    np.testing.assert_allclose(attend(q, k, v, scale=1.0), reference(q, k, v, 1.0), atol=1e-5)


def test_masked_keys_are_as_good_as_absent():
    q, k, v = jax.random.normal(jax.random.key(1), (3, 2, 7, 3, 8))
    mask = jnp.arange(7)[None].repeat(2, 0) < 5
    np.testing.assert_allclose(attend(q, k, v, mask), attend(q, k[:, :5], v[:, :5]), atol=1e-6)


def test_bias_is_added_to_the_logits():
    q, k, v = jax.random.normal(jax.random.key(2), (3, 1, 4, 1, 8))
    causal = jnp.where(jnp.tril(jnp.ones((4, 4), bool)), 0.0, -1e9)[None, None]
    out = attend(q, k, v, bias=causal)
    np.testing.assert_allclose(out[:, 0], v[:, 0], atol=1e-6)
    np.testing.assert_allclose(out[:, 3], attend(q, k, v)[:, 3], atol=1e-6)
