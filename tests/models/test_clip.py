"""CLIP's encoders against NumPy ones, and what must hold for causal text and for image tokens."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import ClipConfig, ClipTextConfig, ClipVisionConfig
from astra_jax.errors import UserError
from astra_jax.models.clip import (
    ClipFeatures,
    ClipTextEncoder,
    ClipVisionEncoder,
    causal_bias,
    clip_normalise,
    quick_gelu,
)

TEXT = ClipTextConfig(vocab_size=10, width=8, layers=2, heads=2, mlp_dim=12, length=9)
VISION = ClipVisionConfig(image_size=6, patch=2, width=8, layers=3, heads=2, mlp_dim=12)


@functools.partial(jax.jit, static_argnums=0)
def run(model, params, x):
    return model.apply(params, x)


def random_params(model, *examples):
    """Parameters of the right shapes, none of them at a trivial value (scales near one, the rest near zero)."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        around = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(around + 0.4 * rng.standard_normal(leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0), *examples))


@functools.cache
def text():
    model = ClipTextEncoder(TEXT)
    return model, random_params(model, jnp.zeros((1, 4), jnp.int32))


@functools.cache
def vision():
    model = ClipVisionEncoder(VISION)
    return model, random_params(model, jnp.zeros((1, 6, 6, 3)))


def norm(x, p):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]


def blocks(x, layers, heads, causal):
    """The transformer on one sequence, row by row and head by head, in float64."""
    for index in range(layers["q"]["kernel"].shape[0]):
        layer = jax.tree.map(lambda leaf, index=index: leaf[index], layers)

        def dense(y, name, layer=layer):
            return y @ layer[name]["kernel"] + layer[name]["bias"]

        normed = norm(x, layer["norm1"])
        q, k, v = (np.split(dense(normed, name), heads, -1) for name in "qkv")
        rows = []
        for row in range(len(x)):
            seen = slice(0, row + 1 if causal else None)
            parts = []
            for head in range(heads):
                weights = np.exp(k[head][seen] @ q[head][row] / np.sqrt(q[head].shape[-1]))
                parts.append(weights @ v[head][seen] / weights.sum())
            rows.append(np.concatenate(parts))
        x = x + dense(np.stack(rows), "out")
        hidden = dense(norm(x, layer["norm2"]), "fc1")
        x = x + dense(hidden / (1 + np.exp(-1.702 * hidden)), "fc2")
    return x


def test_text_equals_numpy():
    model, params = text()
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    tokens = np.array([[8, 3, 1, 9, 9, 9], [8, 2, 2, 5, 0, 9]])
    expected = []
    for row, end in zip(tokens, (3, 5), strict=True):
        x = blocks(p["embedding"]["embedding"][row] + p["positions"][:6], p["layers"], TEXT.heads, causal=True)
        expected.append(norm(x, p["norm_out"])[end])
    np.testing.assert_allclose(run(model, params, jnp.asarray(tokens)), expected, rtol=1e-4, atol=1e-5)


def test_text_ignores_what_follows_the_end():
    model, params = text()
    out = run(model, params, jnp.array([[8, 3, 9, 9, 9], [8, 3, 9, 1, 2], [8, 4, 9, 9, 9]]))
    np.testing.assert_allclose(out[0], out[1], atol=1e-5)
    assert np.abs(out[0] - out[2]).max() > 1e-2


def test_text_without_an_end_reads_its_first_token():
    model, params = text()
    out = run(model, params, jnp.array([[8, 3, 1], [8, 5, 6]]))
    np.testing.assert_allclose(out[0], out[1], atol=1e-5)


def test_causal_bias():
    bias = causal_bias(3)[0, 0]
    np.testing.assert_array_equal(bias == 0, [[True, False, False], [True, True, False], [True, True, True]])
    assert np.all(np.isfinite(bias))


def vision_by_hand(p, picture):
    """One picture's tokens behind all blocks that `p` has, in float64."""
    rows = [p["class_token"]]
    for r in range(0, 6, 2):
        for c in range(0, 6, 2):
            rows.append(np.tensordot(picture[r : r + 2, c : c + 2], p["patches"]["kernel"], 3))
    return blocks(norm(np.stack(rows) + p["positions"], p["norm_in"]), p["layers"], VISION.heads, causal=False)


def test_vision_equals_numpy():
    model, params = vision()
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    pictures = np.random.default_rng(1).standard_normal((2, 6, 6, 3))
    expected = [vision_by_hand(p, picture) for picture in pictures]
    out = run(model, params, jnp.asarray(pictures, jnp.float32))
    assert out.shape == (2, 10, 8)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5 * np.abs(np.stack(expected)).max())


def test_the_common_space_equals_numpy():
    model = ClipFeatures(ClipConfig(TEXT, VISION, 5))
    params = random_params(model, jnp.zeros((1, 6, 6, 3)), jnp.zeros((1, 4), jnp.int32))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    assert p["vision"]["layers"]["q"]["kernel"].shape[0] == VISION.layers  # the last block, too
    picture, tokens = np.random.default_rng(1).standard_normal((6, 6, 3)), np.array([8, 3, 1, 9])
    image = norm(vision_by_hand(p["vision"], picture)[0], p["norm_out"]) @ p["vision_projection"]["kernel"]
    x = p["text"]["embedding"]["embedding"][tokens] + p["text"]["positions"][:4]
    x = norm(blocks(x, p["text"]["layers"], TEXT.heads, causal=True), p["text"]["norm_out"])[3]
    said = x @ p["text_projection"]["kernel"]
    images, texts = jax.jit(model.apply)(params, jnp.asarray(picture[None], jnp.float32), jnp.asarray(tokens[None]))
    np.testing.assert_allclose(images[0], image, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(texts[0], said, rtol=1e-4, atol=1e-5)


def test_vision_reads_places():
    model, params = vision()
    picture = jax.random.normal(jax.random.key(1), (1, 6, 6, 3))
    shifted = run(model, params, jnp.roll(picture, 2, axis=2))
    assert np.abs(shifted - run(model, params, picture)).max() > 1e-2
    # Without positions the tokens of a picture moved by one patch are the same ones, moved.
    blind = {"params": {**params["params"], "positions": jnp.zeros_like(params["params"]["positions"])}}
    grid = run(model, blind, picture)[0, 1:].reshape(3, 3, -1)
    moved = run(model, blind, jnp.roll(picture, 2, axis=2))[0, 1:].reshape(3, 3, -1)
    np.testing.assert_allclose(moved, jnp.roll(grid, 1, axis=1), atol=1e-4)


def test_the_last_vision_block_has_no_parameters():
    _, params = vision()
    assert params["params"]["layers"]["q"]["kernel"].shape == (VISION.layers - 1, 8, 8)
    assert set(params["params"]) == {"class_token", "patches", "positions", "norm_in", "layers"}


def test_published_sizes():
    """CLIP ViT-L/14: 123,060,480 parameters of text; of vision 303,179,776 less one block and the last norm."""
    model = ClipTextEncoder(ClipTextConfig())
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 77), jnp.int32))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 123_060_480
    model = ClipVisionEncoder(ClipVisionConfig())
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 224, 224, 3)))
    block = 4 * (1024 * 1024 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 4 * 1024
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 303_179_776 - block - 2 * 1024


def test_clip_normalise():
    out = clip_normalise(jnp.array([[[[0, 255, 128]]]], jnp.uint8))
    expected = [-0.48145466 / 0.26862954, (1 - 0.4578275) / 0.26130258, (128 / 255 - 0.40821073) / 0.27577711]
    np.testing.assert_allclose(out[0, 0, 0], expected, rtol=1e-5)
    assert out.dtype == jnp.float32


def test_quick_gelu():
    np.testing.assert_allclose(quick_gelu(jnp.array([0.0, 1.0, -1.0])), [0.0, 0.845796, -0.154204], atol=1e-5)


@pytest.mark.parametrize("which", [text, vision])
def test_bfloat16_computes_close(which):
    model, params = which()
    example = jnp.array([[8, 3, 9]]) if which is text else jax.random.normal(jax.random.key(0), (1, 6, 6, 3))
    low = run(type(model)(model.config, jnp.bfloat16), params, example)
    assert low.dtype == jnp.bfloat16
    high = run(model, params, example)
    assert np.abs(np.asarray(low, np.float32) - high).max() < 0.1 * np.abs(high).max()


def test_errors():
    model, params = text()
    with pytest.raises(UserError, match="at most 9 tokens, not 10"):
        run(model, params, jnp.zeros((1, 10), jnp.int32))
    model, params = vision()
    with pytest.raises(UserError, match="pictures of 6 pixels, not 8"):
        run(model, params, jnp.zeros((1, 8, 8, 3)))
    for config in (ClipVisionConfig(layers=1), ClipVisionConfig(image_size=20, patch=6)):
        with pytest.raises(UserError, match="clip_vision needs"):
            jax.eval_shape(ClipVisionEncoder(config).init, jax.random.key(0), jnp.zeros((1, 20, 20, 3)))
    config = ClipTextConfig(vocab_size=10, width=8, heads=3)
    with pytest.raises(UserError, match="does not divide into 3 heads"):
        jax.eval_shape(ClipTextEncoder(config).init, jax.random.key(0), jnp.zeros((1, 4), jnp.int32))
