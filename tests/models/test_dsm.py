import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.config import DsmConfig
from astra_jax.models.dsm import Dsm, ResamplerBlock, place_offsets

CONFIG = DsmConfig(width=8, layers=2, heads=2)


def test_an_untrained_adapter_gives_no_offsets_but_can_learn():
    dsm = Dsm(CONFIG, width=6, double_blocks=3)
    phrases = jax.random.normal(jax.random.key(0), (2, 2, 4, 5))
    features = jax.random.normal(jax.random.key(1), (2, 2, 7, 9))
    params = jax.jit(dsm.init)(jax.random.key(2), phrases, features)
    offsets, gradient = jax.jit(
        jax.value_and_grad(
            lambda p: (dsm.apply(p, phrases, features).sum(), dsm.apply(p, phrases, features)), has_aux=True
        )
    )(params)
    offsets, gradient = offsets[1], gradient["params"]
    assert offsets.shape == (3, 2, 8, 6)
    assert not offsets.any()
    assert np.abs(gradient["shared"]["out_norm"]["scale"]).max() > 0


def test_offsets_are_shared_plus_per_block_and_belong_to_their_subject(random_params):
    dsm = Dsm(CONFIG, width=6, double_blocks=3)
    phrases = jax.random.normal(jax.random.key(0), (1, 2, 4, 5))
    features = jax.random.normal(jax.random.key(1), (1, 2, 7, 9))
    params = random_params(jax.eval_shape(dsm.init, jax.random.key(2), phrases, features))
    params["params"]["shared"]["out_norm"] = {"scale": jnp.zeros(6), "bias": jnp.full(6, 10.0)}
    params["params"]["blocks"]["out_norm"] = {"scale": jnp.ones(18), "bias": jnp.zeros(18)}
    apply = jax.jit(dsm.apply)
    offsets = apply(params, phrases, features)
    np.testing.assert_allclose(offsets.mean((0, 3)), 10.0, atol=1e-4)  # a norm over all blocks together has mean 0
    assert np.abs(np.asarray(offsets[0] - offsets[1])).max() > 0.1
    other = apply(params, phrases, features.at[:, 1].multiply(-1.0))
    np.testing.assert_array_equal(offsets[:, :, :4], other[:, :, :4])
    assert np.abs(np.asarray(offsets - other)[:, :, 4:]).max() > 1e-3


def test_resampler_block_equals_numpy(random_params):
    block = ResamplerBlock(DsmConfig(width=4, layers=1, heads=1), jnp.float32)
    queries, features = jax.random.normal(jax.random.key(0), (1, 2, 4)), jax.random.normal(jax.random.key(1), (1, 3, 4))
    params = random_params(jax.eval_shape(block.init, jax.random.key(2), queries, features))
    p = jax.tree.map(np.asarray, params["params"])

    def norm(name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * p[name]["scale"] + p[name]["bias"]

    def dense(name, x):
        return x @ p[name]["kernel"] + p[name]["bias"]

    q, f = np.asarray(queries[0]), np.asarray(features[0])
    context = np.concatenate([norm("query_norm", q), norm("feature_norm", f)])
    logits = dense("query", norm("query_norm", q)) @ dense("key", context).T / 2
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    q = q + dense("out", weights @ dense("value", context))
    q = q + dense("mlp_out", np.maximum(dense("mlp_in", norm("mlp_norm", q)), 0) ** 2)
    np.testing.assert_allclose(jax.jit(block.apply)(params, queries, features)[0], q, atol=1e-5)


def test_places():
    placement = jnp.array([[[1, 2], [4, -1]]])
    place = place_offsets(placement, jnp.array([[True, True]]), 5)
    assert place[0].argmax(-1).tolist() == [1, 2, 4, 0]
    assert place[0].sum(-1).tolist() == [1, 1, 1, 0]
    assert place_offsets(placement, jnp.array([[True, False]]), 5)[0].sum(-1).tolist() == [1, 1, 0, 0]
