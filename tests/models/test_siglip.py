"""SigLIP's encoder against a NumPy one, the choice between the image encoders, and what must hold for their tokens."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import DsmConfig, ModelConfig, SiglipVisionConfig
from astra_jax.errors import UserError
from astra_jax.models.clip import ClipVisionEncoder, clip_normalise
from astra_jax.models.image_encoder import image_encoder
from astra_jax.models.siglip import SiglipVisionEncoder, siglip_normalise

# 7 pixels are 3 patches of 2 and a rest.
CONFIG = SiglipVisionConfig(image_size=7, patch=2, width=8, layers=2, heads=2, mlp_dim=12)


@functools.partial(jax.jit, static_argnums=0)
def run(model, params, x):
    return model.apply(params, x)


@functools.cache
def model_and_params():
    """Random parameters, none of them at a trivial value (scales near one, the rest near zero)."""
    model, rng = SiglipVisionEncoder(CONFIG), np.random.default_rng(0)

    def draw(path, leaf):
        around = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(around + 0.4 * rng.standard_normal(leaf.shape), jnp.float32)

    abstract = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 7, 7, 3)))
    return model, jax.tree_util.tree_map_with_path(draw, abstract)


def reference(params, picture):
    """One picture, one query, one head at a time, in float64."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])

    def norm(x, p):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]

    def dense(x, p):
        return x @ p["kernel"] + p["bias"]

    rows = [
        np.tensordot(picture[r : r + 2, c : c + 2], p["patches"]["kernel"], 3) + p["patches"]["bias"]
        for r in (0, 2, 4)
        for c in (0, 2, 4)
    ]
    x = np.stack(rows) + p["positions"]
    for index in range(CONFIG.layers):
        layer = jax.tree.map(lambda leaf, index=index: leaf[index], p["layers"])
        q, k, v = (np.split(dense(norm(x, layer["norm1"]), layer[name]), CONFIG.heads, -1) for name in "qkv")
        heads = []
        for head in range(CONFIG.heads):
            weights = np.exp(q[head] @ k[head].T / np.sqrt(q[head].shape[-1]))
            heads.append(weights @ v[head] / weights.sum(-1, keepdims=True))
        x = x + dense(np.concatenate(heads, -1), layer["out"])
        hidden = dense(norm(x, layer["norm2"]), layer["fc1"])
        gelu = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
        x = x + dense(gelu, layer["fc2"])
    return norm(x, p["norm_out"])


def test_tokens_equal_numpy():
    model, params = model_and_params()
    pictures = np.random.default_rng(1).standard_normal((2, 7, 7, 3))
    out = run(model, params, jnp.asarray(pictures, jnp.float32))
    assert out.shape == (2, CONFIG.tokens, 8) == (2, 9, 8)
    np.testing.assert_allclose(out, [reference(params, picture) for picture in pictures], rtol=1e-4, atol=1e-5)


def test_pixels_that_fill_no_patch_are_not_read():
    model, params = model_and_params()
    pictures = np.random.default_rng(1).standard_normal((1, 7, 7, 3)).astype(np.float32)
    changed = pictures.copy()
    changed[:, 6], changed[:, :, 6] = 5.0, 5.0
    np.testing.assert_array_equal(run(model, params, pictures), run(model, params, changed))


def test_bfloat16_computes_close():
    model, params = model_and_params()
    pictures = jax.random.normal(jax.random.key(0), (1, 7, 7, 3))
    low = run(SiglipVisionEncoder(CONFIG, jnp.bfloat16), params, pictures)
    assert low.dtype == jnp.bfloat16
    high = run(model, params, pictures)
    assert np.abs(np.asarray(low, np.float32) - high).max() < 0.1 * np.abs(high).max()


def test_published_size():
    """siglip-so400m-patch14-384's tower has 428,225,600 parameters, those of the head on top among them."""
    model = SiglipVisionEncoder(SiglipVisionConfig())
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 384, 384, 3)))
    assert params["params"]["positions"].shape == (729, 1152)
    # The head: a probe, attention's four projections, a norm and an MLP.
    head = 1152 + 4 * (1152 * 1152 + 1152) + 2 * 1152 + 2 * 1152 * 4304 + 4304 + 1152
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 428_225_600 - head


def test_siglip_normalise():
    out = siglip_normalise(jnp.array([[[[0, 255, 51]]]], jnp.uint8))
    np.testing.assert_allclose(out[0, 0, 0], [-1.0, 1.0, -0.6], atol=1e-6)


def test_the_adapters_encoder_is_chosen():
    config = ModelConfig()
    chosen = image_encoder(config, jnp.float32)
    assert type(chosen.module) is ClipVisionEncoder
    assert chosen.normalise is clip_normalise
    assert config.image_encoder_part == "clip_vision"
    assert config.image_encoder is config.clip_vision
    assert config.image_encoder.tokens == 257
    config = ModelConfig(dsm=DsmConfig(encoder="siglip"))
    chosen = image_encoder(config, jnp.bfloat16)
    assert (type(chosen.module), chosen.module.dtype) == (SiglipVisionEncoder, jnp.bfloat16)
    assert chosen.normalise is siglip_normalise
    assert config.image_encoder_part == "siglip_vision"
    assert config.image_encoder is config.siglip_vision
    assert config.image_encoder.tokens == 729


def test_errors():
    model, params = model_and_params()
    with pytest.raises(UserError, match="SigLIP reads pictures of 7 pixels, not 8"):
        run(model, params, jnp.zeros((1, 8, 8, 3)))
    for config in (
        SiglipVisionConfig(layers=0),
        SiglipVisionConfig(image_size=8, patch=9),
        SiglipVisionConfig(patch=0),
    ):
        with pytest.raises(UserError, match="siglip_vision needs"):
            jax.eval_shape(SiglipVisionEncoder(config).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    config = SiglipVisionConfig(image_size=8, patch=4, width=8, heads=3)
    with pytest.raises(UserError, match="width 8 does not divide into 3 heads"):
        jax.eval_shape(SiglipVisionEncoder(config).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    with pytest.raises(UserError, match="dsm.encoder must be 'clip' or 'siglip', not 'dino'"):
        DsmConfig(encoder="dino")
