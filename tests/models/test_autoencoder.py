"""The autoencoder against a NumPy one written from latent diffusion's description, and its formulas by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import AutoencoderConfig
from astra_jax.errors import UserError
from astra_jax.models.autoencoder import (
    Autoencoder,
    denormalise,
    group_norm,
    normalise,
    sample_moments,
    split_moments,
)

CONFIG = AutoencoderConfig(channels=4, channel_mult=(1, 2), res_blocks=1, latent_channels=3, norm_groups=2)


def random_params(model, example):
    """Parameters of the right shapes, none of them at a trivial value (scales near one, the rest near zero)."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        around = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(around + 0.2 * rng.standard_normal(leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0), example))


@functools.cache
def model_and_params():
    model = Autoencoder(CONFIG)
    return model, random_params(model, jnp.zeros((1, 4, 4, 3)))


@functools.partial(jax.jit, static_argnames="method")
def apply(params, x, method):
    return Autoencoder(CONFIG).apply(params, x, method=method)


def conv(x, p, stride=1, pad=((1, 1), (1, 1))):
    kernel = np.asarray(p["kernel"], np.float64)
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), *(pad if size > 1 else ((0, 0), (0, 0))), (0, 0)))
    rows, cols = ((n - size) // stride + 1 for n in x.shape[1:3])
    out = np.zeros((x.shape[0], rows, cols, kernel.shape[-1]))
    for r in range(rows):
        for c in range(cols):
            window = x[:, r * stride : r * stride + size, c * stride : c * stride + size]
            out[:, r, c] = np.tensordot(window, kernel, 3)
    return out + np.asarray(p["bias"])


def norm(x, p, groups=CONFIG.norm_groups):
    out = np.empty_like(x)
    for part in np.split(np.arange(x.shape[-1]), groups):
        for b in range(x.shape[0]):
            values = x[b, :, :, part]
            out[b, :, :, part] = (values - values.mean()) / np.sqrt(values.var() + 1e-6)
    return out * np.asarray(p["scale"]) + np.asarray(p["bias"])


def swish(x):
    return x / (1 + np.exp(-x))


def block(x, p):
    hidden = conv(swish(norm(x, p["norm1"])), p["conv1"])
    hidden = conv(swish(norm(hidden, p["norm2"])), p["conv2"])
    return (conv(x, p["shortcut"]) if "shortcut" in p else x) + hidden


def middle(x, p):
    x = block(x, p["block_0"])
    attention = p["attention"]
    tokens = norm(x, attention["norm"]).reshape(x.shape[0], -1, x.shape[-1])
    q, k, v = (tokens @ np.asarray(attention[n]["kernel"]) + np.asarray(attention[n]["bias"]) for n in "qkv")
    weights = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(x.shape[-1]))
    mixed = weights / weights.sum(-1, keepdims=True) @ v
    mixed = mixed @ np.asarray(attention["proj"]["kernel"]) + np.asarray(attention["proj"]["bias"])
    return block(x + mixed.reshape(x.shape), p["block_1"])


def test_encode_equals_numpy():
    _, params = model_and_params()
    p = params["params"]["encoder"]
    pictures = np.random.default_rng(1).uniform(-1, 1, (2, 4, 6, 3))
    x = conv(pictures, p["conv_in"])
    x = block(x, p["down_0"]["block_0"])
    x = conv(x, p["down_0"]["downsample"], stride=2, pad=((0, 1), (0, 1)))
    x = middle(block(x, p["down_1"]["block_0"]), p["middle"])
    expected = conv(swish(norm(x, p["norm_out"])), p["conv_out"])
    moments = apply(params, jnp.asarray(pictures, jnp.float32), "encode")
    assert moments.shape == (2, 2, 3, 6)
    np.testing.assert_allclose(moments, expected, rtol=2e-4, atol=2e-5 * np.abs(expected).max())


def test_decode_equals_numpy():
    _, params = model_and_params()
    p = params["params"]["decoder"]
    latents = np.random.default_rng(2).standard_normal((2, 2, 3, 3))
    x = middle(conv(latents, p["conv_in"]), p["middle"])
    for index in range(2):  # one more than the encoder has
        x = block(x, p["up_1"][f"block_{index}"])
    x = conv(np.kron(x, np.ones((1, 2, 2, 1))), p["up_1"]["upsample"])
    for index in range(2):
        x = block(x, p["up_0"][f"block_{index}"])
    expected = conv(swish(norm(x, p["norm_out"])), p["conv_out"])
    pictures = apply(params, jnp.asarray(latents, jnp.float32), "decode")
    assert pictures.shape == (2, 4, 6, 3)
    np.testing.assert_allclose(pictures, expected, rtol=2e-4, atol=2e-5 * np.abs(expected).max())


def test_group_norm_by_hand():
    # Two places, channels (a, b | c, d): group one holds 0, 2, 4, 6 (mean 3, variance 5), group two is constant.
    x = jnp.array([0.0, 2.0, 7.0, 7.0, 4.0, 6.0, 7.0, 7.0]).reshape(1, 1, 2, 4)
    out = group_norm(x, jnp.array([1.0, 10.0, 1.0, 1.0]), jnp.array([0.0, 0.0, 0.5, -0.5]), groups=2, eps=1e-6)
    root = np.sqrt(5.0)
    expected = [-3 / root, -10 / root, 0.5, -0.5, 1 / root, 30 / root, 0.5, -0.5]
    np.testing.assert_allclose(out.ravel(), expected, rtol=1e-5)


def test_group_norm_keeps_float32_statistics_of_bfloat16():
    # A large mean with a small deviation: sums of squares in bfloat16, or E[x^2] - E[x]^2, would lose it.
    x = 256.0 + 2.0 * jax.random.randint(jax.random.key(0), (1, 8, 8, 4), 0, 2).astype(jnp.float32)
    args = jnp.ones(4), jnp.zeros(4), 2
    low = group_norm(x.astype(jnp.bfloat16), *args)
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(low, np.float32), group_norm(x, *args), atol=0.01)


def test_normalise_is_flux_and_inverts():
    config = AutoencoderConfig()
    raw = jnp.array([[0.1159, 1.1159, -0.8841]])
    np.testing.assert_allclose(normalise(raw, config), [[0.0, 0.3611, -0.3611]], atol=1e-6)
    np.testing.assert_allclose(denormalise(normalise(raw, config), config), raw, atol=1e-6)


def test_sample_moments():
    moments = jnp.concatenate([jnp.full((64, 64, 1), 3.0), jnp.full((64, 64, 1), 2 * np.log(0.5))], -1)
    np.testing.assert_array_equal(sample_moments(moments, None), jnp.full((64, 64, 1), 3.0))
    drawn = sample_moments(moments, jax.random.key(0))
    assert drawn.dtype == jnp.float32
    assert abs(float(drawn.mean()) - 3.0) < 0.03
    assert abs(float(drawn.std()) - 0.5) < 0.02
    np.testing.assert_array_equal(drawn, sample_moments(moments, jax.random.key(0)))
    assert not np.array_equal(drawn, sample_moments(moments, jax.random.key(1)))
    mean, logvar = split_moments(jnp.array([1.0, 2.0, 50.0, -50.0]))
    np.testing.assert_array_equal(mean, [1.0, 2.0])
    np.testing.assert_array_equal(logvar, [20.0, -30.0])


def test_picture_sizes_and_dtype():
    config = AutoencoderConfig(channels=8, channel_mult=(1, 1, 2, 2), res_blocks=1, latent_channels=5, norm_groups=4)
    model = Autoencoder(config, jnp.bfloat16)
    assert model.factor == 8
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    pictures = jnp.zeros((2, 16, 40, 3))
    moments = jax.eval_shape(lambda p, x: model.apply(p, x, method="encode"), params, pictures)
    assert (moments.shape, moments.dtype) == ((2, 2, 5, 10), jnp.bfloat16)
    assert jax.eval_shape(model.apply, params, pictures).shape == pictures.shape


def test_published_size():
    """FLUX.1's ae.safetensors holds 83,819,683 parameters."""
    model = Autoencoder(AutoencoderConfig())
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 83_819_683


def test_errors():
    model, params = model_and_params()
    with pytest.raises(UserError, match="multiples of 2"):
        model.apply(params, jnp.zeros((1, 5, 4, 3)), method="encode")
    uneven = Autoencoder(AutoencoderConfig(channels=6, channel_mult=(1, 2), norm_groups=4))
    with pytest.raises(UserError, match="norm_groups 4 does not divide the 6 channels"):
        jax.eval_shape(uneven.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
