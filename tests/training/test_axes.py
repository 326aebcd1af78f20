"""Every axis of the mesh: the transformer's loss and gradients are those of one device, whatever is split over what."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import MeshConfig, TransformerConfig
from astra_jax.models.conditions import Conditions
from astra_jax.models.europe import positions, rotary_tables
from astra_jax.models.transformer import Transformer
from astra_jax.params import flatten
from astra_jax.training import rules
from astra_jax.training.mesh import make_mesh, shard_batch, shardings

CONFIG = TransformerConfig(
    width=32, heads=4, axes_dim=(2, 2, 4), double_blocks=1, single_blocks=1, latent_dim=8, context_dim=8, pooled_dim=8,
    guidance_embed=False, remat="none",
)  # fmt: skip
BATCH, TEXT, CANVAS = 4, 5, 4  # with the reference's 3: 5 + 7 tokens, so that context 2 pads both streams


def make_batch():
    """Arrays with the batch in front, as `shard_batch` wants them."""
    keys = jax.random.split(jax.random.key(0), 6)
    ids = jnp.asarray(positions(TEXT, (2, 2), None, [(3, 1)]))
    cos, sin = rotary_tables(jnp.broadcast_to(ids, (BATCH, *ids.shape)), CONFIG.axes_dim)
    return {
        "x_t": jax.random.normal(keys[4], (BATCH, CANVAS, CONFIG.latent_dim)),
        "t": jax.random.uniform(keys[5], BATCH),
        "text": jax.random.normal(keys[0], (BATCH, TEXT, CONFIG.context_dim)),
        "pooled": jax.random.normal(keys[1], (BATCH, CONFIG.pooled_dim)),
        "guidance": jnp.full(BATCH, 3.0),
        "images": jax.random.normal(keys[2], (BATCH, 3, CONFIG.latent_dim)),
        "cos": cos,
        "sin": sin,
        "mask": jnp.ones((BATCH, len(ids)), bool).at[1, -2:].set(False),
        "offsets": jax.random.normal(keys[3], (BATCH, CONFIG.double_blocks, 2, CONFIG.width)),
        "place": jnp.zeros((BATCH, 2, TEXT)).at[:, 0, 1].set(1.0),
    }


def arguments(batch):
    rest = {name: x for name, x in batch.items() if name not in ("x_t", "t", "offsets")}
    return batch["x_t"], batch["t"], Conditions(offsets=jnp.moveaxis(batch["offsets"], 0, 1), **rest)


def cached(params, x_t, t, conditions):
    """The same arguments with the image tokens cached, as those of three pictures of one token."""
    start = TEXT + CANVAS
    images, cos, sin, mask = (
        x.reshape(BATCH, 3, 1, *x.shape[2:])
        for x in (conditions.images, conditions.cos[:, start:], conditions.sin[:, start:], conditions.mask[:, start:])
    )
    cache = Transformer(CONFIG).apply(
        params, images, cos, sin, mask, conditions.guidance, conditions.pooled, method="cache"
    )
    rest = {name: getattr(conditions, name)[:, :start] for name in ("cos", "sin", "mask")}
    return x_t, t, dataclasses.replace(conditions, images=conditions.images[:, :0], cached=(cache,), **rest)


def loss_of(params, batch, cache):
    variables = {"params": params["transformer"]}
    given = arguments(batch)
    v = Transformer(CONFIG).apply(variables, *(cached(variables, *given) if cache else given))
    return jnp.mean(jnp.square(v - batch["x_t"])), v


@pytest.fixture(scope="module")
def params(random_params):
    tree = jax.eval_shape(Transformer(CONFIG).init, jax.random.key(1), *arguments(make_batch()))
    return {"transformer": random_params(tree)["params"]}


def run(params, mesh_config, devices, cache):
    mesh = make_mesh(mesh_config, jax.devices()[:devices])
    with jax.set_mesh(mesh):
        placed = jax.device_put(params, shardings(params, rules.TRANSFORMER, mesh))
        step = jax.jit(jax.value_and_grad(loss_of, has_aux=True), static_argnums=2)
        lowered = step.lower(placed, shard_batch(make_batch(), mesh), cache)
        return jax.device_get(lowered.compile()(placed, shard_batch(make_batch(), mesh))), lowered.as_text()


@pytest.fixture(scope="module", params=[False, True], ids=["full", "cached"])
def one(request, params):
    """What one device computes, and of which variant."""
    return run(params, MeshConfig(), 1, request.param)[0], request.param


@pytest.mark.parametrize(
    "mesh",
    [
        MeshConfig(data=2, fsdp=2, context=2),
        MeshConfig(data=1, fsdp=4, tensor=2),
        MeshConfig(data=2, context=2, tensor=2),
    ],
    ids=["context", "tensor", "both"],
)
def test_loss_and_gradients_are_those_of_one_device(params, one, mesh):
    ((expected_loss, expected_velocity), expected), cache = one
    ((loss, velocity), gradients), program = run(params, mesh, 8, cache)
    assert ("all_to_all" in program) == (mesh.context == 2)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    np.testing.assert_allclose(velocity, expected_velocity, atol=1e-5 * np.abs(expected_velocity).max())
    for path, gradient in flatten(expected).items():
        atol = (2e-5 if cache else 1e-5) * max(np.abs(gradient).max(), 1.0)
        np.testing.assert_allclose(flatten(gradients)[path], gradient, atol=atol, err_msg=path)
