"""Before the first step ASTRA is FLUX: adapters that start at zero and masked conditions change no bit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import LoraConfig
from astra_jax.models.astra import Astra
from astra_jax.models.conditions import Conditions
from astra_jax.models.dsm import Dsm
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.lora import init_lora

TEXT, CANVAS, REFERENCE = 6, (2, 2), (1, 2)  # tokens


@pytest.fixture(scope="module")
def start(tiny, params):
    """A model with adapters, theirs as they are at the start, everything else random."""
    model = Astra(dataclasses.replace(tiny.config, lora=LoraConfig(rank=4)))
    dsm = {
        name: part | {"out_norm": jax.tree.map(jnp.zeros_like, part["out_norm"])}
        for name, part in params["dsm"].items()
    }
    lora = init_lora(jax.random.key(1), params["transformer"], model.config.lora)
    return model, {"transformer": params["transformer"], "dsm": dsm, "lora": lora}


def make_case(model, params, seed=3):
    """Conditions with a pose, a reference and identity offsets, all masked but the offsets; x and t."""
    config = model.config
    sizes = config.transformer
    keys = jax.random.split(jax.random.key(seed), 6)
    ids = positions(TEXT, CANVAS, CANVAS, [REFERENCE])
    cos, sin = rotary_tables(jnp.broadcast_to(jnp.asarray(ids), (2, *ids.shape)), sizes.axes_dim)
    phrases = jax.random.normal(keys[0], (2, 1, 2, config.t5.width))
    features = jax.random.normal(keys[1], (2, 1, 5, config.clip_vision.width))
    conditions = Conditions(
        text=jax.random.normal(keys[2], (2, TEXT, sizes.context_dim)),
        pooled=jax.random.normal(keys[3], (2, sizes.pooled_dim)),
        guidance=jnp.array([1.0, 4.0]),
        images=jax.random.normal(keys[4], (2, 6, sizes.latent_dim)),
        cos=cos,
        sin=sin,
        mask=jnp.broadcast_to(jnp.arange(len(ids)) < TEXT + 4, (2, len(ids))),
        offsets=Dsm(config.dsm, sizes.width, sizes.double_blocks).apply({"params": params["dsm"]}, phrases, features),
        place=jnp.zeros((2, 2, TEXT)).at[:, 0, 1].set(1.0).at[:, 1, 2].set(1.0),
    )
    return jax.random.normal(keys[5], (2, 4, sizes.latent_dim)), jnp.array([0.3, 0.9]), conditions


def bare(conditions, tokens):
    """FLUX's own conditions, without adapters, and `tokens` others behind the canvas that nothing may read."""
    length = TEXT + 4 + tokens
    batch, _, width = conditions.images.shape
    return dataclasses.replace(
        conditions,
        images=jnp.full((batch, tokens, width), 7.0),
        cos=conditions.cos[:, :length],
        sin=conditions.sin[:, :length],
        mask=conditions.mask[:, :length],
        offsets=conditions.offsets[:, :, :0],
        place=conditions.place[:, :0],
    )


@pytest.fixture(scope="module")
def velocity(start):
    return jax.jit(start[0].velocity)


def test_step_zero_is_flux_to_the_last_bit(start, velocity):
    model, params = start
    x, t, conditions = make_case(model, params)
    ours = velocity(params, x, t, conditions)
    flux = {"transformer": params["transformer"]}
    # Products of equal shapes add in an equal order; only then can bits be compared.
    same_length = velocity(flux, x, t, bare(conditions, 6))
    assert np.abs(same_length).max() > 0.1
    np.testing.assert_array_equal(ours, same_length)
    # The sequence without those tokens is the same function up to the order of additions.
    alone = velocity(flux, x, t, bare(conditions, 0))
    assert np.abs(ours - alone).max() < 1e-6 * np.abs(alone).max()

    # The comparison sees each of the adapters and an unmasked condition.
    lora = params | {"lora": jax.tree.map(lambda leaf: leaf + 0.1, params["lora"])}
    assert np.abs(velocity(lora, x, t, conditions) - ours).max() > 1e-3
    offsets = dataclasses.replace(conditions, offsets=conditions.offsets + 0.1)
    assert np.abs(velocity(params, x, t, offsets) - ours).max() > 1e-3
    pose = dataclasses.replace(conditions, mask=conditions.mask.at[:, TEXT + 4].set(True))
    assert np.abs(velocity(params, x, t, pose) - ours).max() > 1e-3
