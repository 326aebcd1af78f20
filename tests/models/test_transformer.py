import dataclasses
import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

sys.path.append(str(pathlib.Path(__file__).parent))

from numpy_transformer import numpy_velocity

from astra_jax.config import TransformerConfig
from astra_jax.models.blocks import layer_norm, modulate, token_modulation
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.transformer import Transformer, timestep_embedding

CONFIG = TransformerConfig(
    width=16,
    heads=2,
    axes_dim=(2, 2, 4),
    double_blocks=2,
    single_blocks=3,
    latent_dim=6,
    context_dim=12,
    pooled_dim=10,
    remat="none",
)


def make_conditions(batch=2, text=3, canvas=(2, 2), extra=(2, 1), offsets=0.0, seed=0):
    keys = jax.random.split(jax.random.key(seed), 4)
    ids = positions(text, canvas, None, [extra])
    cos, sin = rotary_tables(jnp.broadcast_to(jnp.asarray(ids), (batch, *ids.shape)), CONFIG.axes_dim)
    place = jnp.zeros((batch, 2, text)).at[:, 0, 1].set(1.0)  # the second offset has no place
    return Conditions(
        text=jax.random.normal(keys[0], (batch, text, CONFIG.context_dim)),
        pooled=jax.random.normal(keys[1], (batch, CONFIG.pooled_dim)),
        guidance=jnp.full(batch, 3.0),
        images=jax.random.normal(keys[2], (batch, extra[0] * extra[1], CONFIG.latent_dim)),
        cos=cos,
        sin=sin,
        mask=jnp.ones((batch, len(ids)), bool),
        offsets=offsets * jax.random.normal(keys[3], (CONFIG.double_blocks, batch, 2, CONFIG.width)),
        place=place,
    )


@pytest.fixture(scope="module")
def model(random_params):
    conditions = make_conditions()
    x, t = jax.random.normal(jax.random.key(5), (2, 4, CONFIG.latent_dim)), jnp.array([0.3, 0.8])
    tree = jax.eval_shape(Transformer(CONFIG).init, jax.random.key(1), x, t, conditions)["params"]
    return random_params(tree), x, t


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def apply(params, x, t, conditions, config=CONFIG, dtype=jnp.float32):
    return Transformer(config, dtype).apply({"params": params}, x, t, conditions)


@pytest.mark.parametrize("offsets", [0.0, 1.0])
def test_equals_an_independent_forward_pass(model, offsets):
    params, x, t = model
    conditions = make_conditions(offsets=offsets)
    conditions = dataclasses.replace(conditions, mask=conditions.mask.at[1, -1].set(False))
    expected = numpy_velocity(CONFIG, params, x, t, conditions)
    np.testing.assert_allclose(apply(params, x, t, conditions), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_zero_offsets_change_nothing_to_the_last_bit(model):
    params, x, t = model
    placed = make_conditions()
    unplaced = dataclasses.replace(placed, place=jnp.zeros_like(placed.place))
    np.testing.assert_array_equal(apply(params, x, t, placed), apply(params, x, t, unplaced))


def test_offsets_reach_the_marked_tokens_alone():
    layer = nn.Dense(12)
    y, offsets = jax.random.normal(jax.random.key(0), (1, 4)), jax.random.normal(jax.random.key(1), (1, 2, 4))
    params = layer.init(jax.random.key(2), y)
    place = jnp.zeros((1, 2, 5)).at[0, 0, 3].set(1.0).at[0, 1, 0].set(1.0)
    rows = token_modulation(layer.bind(params), y, offsets, place)
    base = layer.apply(params, nn.silu(y))[0]
    for token in (1, 2, 4):
        np.testing.assert_allclose(rows[0, token], base, rtol=1e-6)
    np.testing.assert_allclose(rows[0, 3], layer.apply(params, nn.silu(y + offsets[:, 0]))[0], rtol=1e-5)
    np.testing.assert_allclose(rows[0, 0], layer.apply(params, nn.silu(y + offsets[:, 1]))[0], rtol=1e-5)


def test_masked_conditions_are_as_good_as_absent(model):
    params, x, t = model
    full = make_conditions()
    length = full.mask.shape[1]
    masked = dataclasses.replace(full, mask=jnp.broadcast_to(jnp.arange(length) < length - 2, full.mask.shape))
    absent = dataclasses.replace(
        full, images=full.images[:, :0], cos=full.cos[:, :-2], sin=full.sin[:, :-2], mask=full.mask[:, :-2]
    )
    np.testing.assert_allclose(apply(params, x, t, masked), apply(params, x, t, absent), atol=2e-6)


@pytest.mark.parametrize("remat", ["dots", "full"])
def test_recomputation_changes_no_gradient(model, remat):
    params, x, t = model
    conditions = make_conditions(offsets=1.0)

    def loss(params, config):
        return jnp.square(apply(params, x, t, conditions, config)).mean()

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    plain, again = gradient(params, CONFIG), gradient(params, dataclasses.replace(CONFIG, remat=remat))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), plain, again)


def test_bfloat16_stays_close_and_answers_in_float32(model):
    params, x, t = model
    conditions = make_conditions(offsets=1.0)
    exact, low = apply(params, x, t, conditions), apply(params, x, t, conditions, dtype=jnp.bfloat16)
    assert low.dtype == jnp.float32
    assert np.linalg.norm(low - exact) < 0.05 * np.linalg.norm(exact)


def test_no_guidance_input_without_its_embedding(model, random_params):
    _, x, t = model
    config = dataclasses.replace(CONFIG, guidance_embed=False)
    conditions = make_conditions()
    params = random_params(jax.eval_shape(Transformer(config).init, jax.random.key(1), x, t, conditions)["params"])
    assert "guidance_in" not in params
    other = dataclasses.replace(conditions, guidance=conditions.guidance * 2)
    np.testing.assert_array_equal(apply(params, x, t, conditions, config), apply(params, x, t, other, config))


def test_timestep_embedding_by_hand():
    row = np.asarray(timestep_embedding(jnp.array([0.5]), 4))[0]
    angles = np.array([500.0, 500.0 * 10_000**-0.5])
    np.testing.assert_allclose(row, [*np.cos(angles), *np.sin(angles)], atol=1e-4)


def test_layer_norm_and_modulation_by_hand():
    x = jnp.array([[[1.0, 3.0]]])
    np.testing.assert_allclose(layer_norm(x), [[[-1, 1]]], atol=1e-5)
    shift, scale = jnp.array([[[0.5, 0.0]]]), jnp.array([[[1.0, 0.0]]])
    np.testing.assert_allclose(modulate(x, shift, scale), [[[-1.5, 1]]], atol=1e-5)


def test_full_size_has_the_published_number_of_parameters():
    config = TransformerConfig()
    conditions = jax.eval_shape(lambda: _full_size(config))
    x, t = jax.ShapeDtypeStruct((1, 1, config.latent_dim), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.float32)
    tree = jax.eval_shape(Transformer(config).init, jax.random.key(0), x, t, conditions)
    assert sum(leaf.size for leaf in jax.tree.leaves(tree)) == 11_901_408_320


def _full_size(config):
    tables = jnp.zeros((1, 2, 64))
    return Conditions(
        text=jnp.zeros((1, 1, 4096)),
        pooled=jnp.zeros((1, 768)),
        guidance=jnp.zeros(1),
        images=jnp.zeros((1, 0, 64)),
        cos=tables,
        sin=tables,
        mask=jnp.ones((1, 2), bool),
        offsets=jnp.zeros((config.double_blocks, 1, 1, config.width)),
        place=jnp.zeros((1, 1, 1)),
    )
