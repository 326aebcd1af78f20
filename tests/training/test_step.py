import dataclasses
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from astra_jax.config import MeshConfig, OptimizerConfig
from astra_jax.training.mesh import fsdp, make_mesh, shard_batch, shardings
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.state import abstract_state, create_state
from astra_jax.training.step import compile_step, make_step

sys.path.append(str(pathlib.Path(__file__).parent))

import regression


@dataclasses.dataclass(frozen=True)
class Line:
    """loss = mean(x w + b), whose gradients are mean(x) and 1."""

    rules: tuple = ((r"kernel$", P()), (r"bias$", P()))

    def init(self, rng):
        return {"kernel": jnp.array([[2.0]]), "bias": jnp.array([0.5])}

    def loss(self, params, batch, rng):
        y = batch @ params["kernel"] + params["bias"]
        return jnp.mean(y).astype(jnp.bfloat16), {"noise": jax.random.normal(rng)}

    def preview(self, params, batch, rng):
        raise NotImplementedError


CONFIG = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.0, clip_norm=0.0, ema_decay=0.9)


def line_step():
    optimizer = make_optimizer(CONFIG, 10)
    state = create_state({"kernel": jnp.array([[2.0]])}, optimizer, jax.random.key(3))
    return jax.jit(make_step(Line(), optimizer, CONFIG, 10)), state, {"bias": jnp.array([0.5])}


def test_one_step_by_hand():
    step, state, frozen = line_step()
    after, metrics = step(state, frozen, jnp.array([[1.0], [3.0]]))
    assert metrics["loss"].dtype == jnp.float32
    np.testing.assert_allclose(metrics["loss"], 4.5)
    np.testing.assert_allclose(metrics["grad_norm"], 2.0, rtol=1e-6)  # of the trained part alone
    np.testing.assert_allclose(metrics["learning_rate"], 0.1)
    assert metrics["skipped"] == 0
    np.testing.assert_allclose(after.params["kernel"], 1.9, rtol=1e-6)  # Adam's first step has the size of the rate
    np.testing.assert_allclose(after.ema["kernel"], 0.1 * 2.0 + 0.9 * 1.9, rtol=1e-6)
    assert after.step == 1
    np.testing.assert_array_equal(metrics["noise"], jax.random.normal(jax.random.fold_in(jax.random.key(3), 0)))
    _, later = step(after, frozen, jnp.array([[1.0], [3.0]]))
    np.testing.assert_array_equal(later["noise"], jax.random.normal(jax.random.fold_in(jax.random.key(3), 1)))


def test_a_loss_that_is_not_finite_changes_nothing_but_the_step():
    step, state, frozen = line_step()
    state, _ = step(state, frozen, jnp.array([[1.0], [3.0]]))
    for bad in (jnp.nan, jnp.inf):
        after, metrics = step(state, frozen, jnp.array([[1.0], [bad]]))
        assert metrics["skipped"] == 1
        assert after.step == state.step + 1
        for name in ("params", "ema", "opt_state"):
            assert jax.tree.all(jax.tree.map(np.array_equal, getattr(after, name), getattr(state, name)))
    after, metrics = step(after, frozen, jnp.array([[1.0], [3.0]]))
    assert metrics["skipped"] == 0
    assert after.params["kernel"] < state.params["kernel"]


@pytest.mark.parametrize("devices", [1, 8])
def test_the_new_state_lies_in_the_memory_of_the_old_one(devices):
    """Parameters, averages and moments exist once, however large they are."""
    objective = regression.Regression(rules=((r"kernel$", fsdp(small=1)), (r"bias$", P())))
    params = objective.init(jax.random.key(0))
    config = OptimizerConfig(learning_rate=1e-2, warmup_steps=0)
    optimizer = make_optimizer(config, 10)
    mesh = make_mesh(MeshConfig(fsdp=devices), jax.devices()[:devices])
    target = abstract_state({"head": params["head"]}, optimizer, objective.rules, mesh)
    state = create_state({"head": params["head"]}, optimizer, jax.random.key(1))
    state = jax.device_put(state, jax.tree.map(lambda x: x.sharding, target))
    frozen = {"features": params["features"]}
    frozen = jax.device_put(frozen, shardings(frozen, objective.rules, mesh))
    with jax.set_mesh(mesh):
        step = compile_step(make_step(objective, optimizer, config, 10), state, frozen, mesh)
        batch = shard_batch(next(iter(regression.dataset())), mesh)
        compiled = step.lower(state, frozen, batch).compile()
        after, _ = step(state, frozen, batch)
    kept = jax.tree.leaves((after.params, after.ema, after.opt_state))
    on_one = sum(leaf.addressable_shards[0].data.nbytes for leaf in kept)
    assert compiled.memory_analysis().alias_size_in_bytes >= on_one
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((after, frozen, batch)))


def test_losses_do_not_depend_on_the_devices():
    objective = regression.Regression(rules=((r"kernel$", fsdp(small=1)), (r"bias$", P())))
    params = objective.init(jax.random.key(0))
    config = OptimizerConfig(learning_rate=1e-2, warmup_steps=0)
    optimizer = make_optimizer(config, 10)
    trainable, frozen = {"head": params["head"]}, {"features": params["features"]}
    losses = {}
    meshes = {8: MeshConfig(data=2, fsdp=4), 1: MeshConfig()}
    for devices, mesh_config in meshes.items():
        mesh = make_mesh(mesh_config, jax.devices()[:devices])
        target = abstract_state(trainable, optimizer, objective.rules, mesh)
        state = create_state(jax.tree.map(jnp.copy, trainable), optimizer, jax.random.key(1))
        state = jax.device_put(state, jax.tree.map(lambda x: x.sharding, target))
        fixed = jax.device_put(frozen, shardings(frozen, objective.rules, mesh))
        with jax.set_mesh(mesh):
            step = compile_step(make_step(objective, optimizer, config, 10), state, fixed, mesh)
            batches = iter(regression.dataset())
            losses[devices] = []
            for _ in range(5):
                state, metrics = step(state, fixed, shard_batch(next(batches), mesh))
                losses[devices].append(float(metrics["loss"]))
        moments = {leaf.sharding.spec for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim == 2}
        assert moments == ({P("fsdp"), P(None, "fsdp")} if devices == 8 else {P()}) or moments == {P("fsdp")}
    np.testing.assert_allclose(losses[8], losses[1], rtol=1e-5)
