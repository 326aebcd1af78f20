"""The T5 encoder against a NumPy one, and its buckets by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import T5Config
from astra_jax.models.t5 import T5Encoder, relative_buckets

CONFIG = T5Config(vocab_size=11, width=6, layers=2, heads=2, head_dim=4, mlp_dim=8, buckets=8, max_distance=16)


@functools.partial(jax.jit, static_argnums=0)
def run(model, params, x):
    return model.apply(params, x)


def random_params(model, example):
    """Parameters of the right shapes, none of them at a trivial value (scales near one, the rest near zero)."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        around = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(around + 0.4 * rng.standard_normal(leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0), example))


@functools.cache
def model_and_params():
    model = T5Encoder(CONFIG)
    return model, random_params(model, jnp.zeros((1, 4), jnp.int32))


@pytest.mark.parametrize(
    ("offset", "bucket"),
    # 32 buckets up to 128: 16 a side, the first 8 exact, then 8 + floor(8 log(n / 8) / log(16)).
    [(0, 0), (-1, 1), (-7, 7), (-8, 8), (-11, 8), (-12, 9), (-16, 10), (-64, 14), (-90, 14), (-91, 15), (-127, 15)]
    + [(-128, 15), (-399, 15), (1, 17), (7, 23), (8, 24), (16, 26), (127, 31), (399, 31)],
)
def test_buckets_by_hand(offset, bucket):
    table = relative_buckets(400, 32, 128)
    query = max(0, -offset)
    assert table[query, query + offset] == bucket


def test_buckets_depend_on_the_offset_only():
    table = relative_buckets(50, 8, 20)
    assert table.min() == 0
    assert table.max() == 7
    np.testing.assert_array_equal(table[1:, 1:], table[:-1, :-1])


def reference(params, tokens):
    """One text, one query, one head at a time, in float64."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])

    def rms(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale

    def gelu_new(x):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    buckets = relative_buckets(len(tokens), CONFIG.buckets, CONFIG.max_distance)
    x = p["embedding"]["embedding"][tokens]
    for index in range(CONFIG.layers):
        layer = jax.tree.map(lambda leaf, index=index: leaf[index], p["layers"])
        normed = rms(x, layer["norm1"]["scale"])
        q, k, v = (normed @ layer[name]["kernel"] for name in "qkv")
        heads = []
        for head in range(CONFIG.heads):
            part = slice(head * CONFIG.head_dim, (head + 1) * CONFIG.head_dim)
            logits = q[:, part] @ k[:, part].T + p["relative_bias"][buckets, head]
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v[:, part])
        x = x + np.concatenate(heads, -1) @ layer["o"]["kernel"]
        normed = rms(x, layer["norm2"]["scale"])
        gated = gelu_new(normed @ layer["wi_0"]["kernel"]) * (normed @ layer["wi_1"]["kernel"])
        x = x + gated @ layer["wo"]["kernel"]
    return rms(x, p["norm_out"]["scale"])


def test_encoder_equals_numpy():
    model, params = model_and_params()
    tokens = np.random.default_rng(1).integers(0, CONFIG.vocab_size, (2, 20))
    out = run(model, params, jnp.asarray(tokens))
    expected = np.stack([reference(params, row) for row in tokens])
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_padding_is_attended_to():
    model, params = model_and_params()
    tokens = jnp.array([[3, 4, 1, 0, 0, 0]])
    short = run(model, params, tokens[:, :4])
    assert np.abs(short - run(model, params, tokens)[:, :4]).max() > 1e-3


def test_bfloat16_computes_close_and_keeps_parameters():
    model, params = model_and_params()
    tokens = jnp.arange(10)[None]
    low = run(T5Encoder(CONFIG, jnp.bfloat16), params, tokens)
    assert low.dtype == jnp.bfloat16
    high = run(model, params, tokens)
    assert np.abs(np.asarray(low, np.float32) - high).max() < 0.1 * np.abs(high).max()


def test_published_size():
    """The encoder of google/t5-v1_1-xxl: 4,762,310,656 parameters, scanned over 24 layers."""
    model = T5Encoder(T5Config())
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4), jnp.int32))
    assert params["params"]["layers"]["q"]["kernel"].shape == (24, 4096, 4096)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 4_762_310_656
