"""Where parameters come from: random, then pretrained folders, then the newest checkpoint."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from tqdm import tqdm

from astra_jax.config import Config
from astra_jax.params import Params, flatten, unflatten
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.encoders import absent_parts, find_encoders, parts_of
from astra_jax.training.mesh import Rules, shardings
from astra_jax.training.objective import Objective
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.partition import merge, partition
from astra_jax.training.state import TrainState, abstract_state, create_state
from astra_jax.weights.importing import place_pretrained


def initialize(
    config: Config, objective: Objective, mesh: Mesh, checkpoints: Checkpoints
) -> tuple[TrainState, Params, Any]:
    """The state to go on from, the frozen parameters and the data position (None: the start), all on the mesh.

    The frozen part is never in a checkpoint: it is made again from `train.seed` and `train.initialize_from`.
    """
    init_rng, step_rng = jax.random.split(jax.random.key(config.train.seed))
    target, frozen = targets(config, objective, mesh)
    with contextlib.ExitStack() as files:
        find_encoders(config, target.params, files)  # the export at the end will need them, which may be days away
    resumed = checkpoints.latest_step() is not None
    tree = merge(target.params, frozen)
    wanted = flatten(frozen if resumed else tree)
    arrays = _pretrained(tree, set(wanted), config.train.initialize_from, absent_parts(config))
    random = {path: leaf for path, leaf in wanted.items() if path not in arrays}
    arrays |= _random(objective, random, init_rng, mesh) if random else {}

    still = sorted({path.split("/")[0] for path in flatten(frozen).keys() & random.keys()})
    if still and jax.process_index() == 0:
        print(f"frozen as it starts, as no folder of train.initialize_from has it: {', '.join(still)}", flush=True)
    frozen = unflatten({path: arrays[path] for path in flatten(frozen)})
    if resumed:
        state, data = checkpoints.restore(target)
        return state, frozen, data
    params = unflatten({path: arrays[path] for path in flatten(target.params)})
    optimizer = make_optimizer(config.train.optimizer, config.train.steps)
    placed = jax.tree.map(lambda x: x.sharding, target)
    create = jax.jit(lambda params, rng: create_state(params, optimizer, rng), out_shardings=placed)
    return create(params, step_rng), frozen, None


def targets(config: Config, objective: Objective, mesh: Mesh) -> tuple[TrainState, Params]:
    """Shapes, dtypes and shardings of the state and of the frozen parameters; nothing is computed.

    What is trained has float32, where small steps add up. What is frozen has `model.dtype`, to which every layer would
    bring it anyway.
    """
    return place_shapes(config, jax.eval_shape(objective.init, jax.random.key(0)), objective.rules, mesh)


def place_shapes(config: Config, params: Params, rules: Rules, mesh: Mesh) -> tuple[TrainState, Params]:
    """`targets` for parameters whose shapes are known."""
    trainable, frozen = partition(params, config.train.trainable)
    optimizer = make_optimizer(config.train.optimizer, config.train.steps)
    dtype = jnp.dtype(config.model.dtype)
    held = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=sharding),
        frozen,
        shardings(frozen, rules, mesh),
    )
    return abstract_state(trainable, optimizer, rules, mesh), held


def _random(
    objective: Objective, leaves: dict[str, jax.ShapeDtypeStruct], rng: jax.Array, mesh: Mesh
) -> dict[str, jax.Array]:
    """The leaves of these paths as `objective.init` starts them."""

    def init(rng: jax.Array) -> dict[str, jax.Array]:
        flat = flatten(objective.init(rng))
        return {path: flat[path].astype(leaf.dtype) for path, leaf in leaves.items()}  # the compiler drops the others

    # This program of hundreds of small draws runs once; on CPUs optimising it takes longer than anything else.
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    options = {"xla_backend_optimization_level": 0} if on_cpu else None
    placed = {path: leaf.sharding for path, leaf in leaves.items()}
    return jax.jit(init, out_shardings=placed, compiler_options=options)(rng)


def _pretrained(
    tree: Params, wanted: set[str], folders: tuple[str, ...], absent: frozenset[str]
) -> dict[str, jax.Array]:
    """The leaves among `wanted` that `folders` have, from the last that has them; nothing is read twice.

    A part must fit `tree` completely. Raises `UserError` where it does not, or where a folder has no part in common and
    not even one of the `absent`, which the run does without.
    """
    arrays: dict[str, jax.Array] = {}
    with tqdm(desc="weights", unit="B", unit_scale=True, disable=None if folders else True) as bar:
        for folder in reversed(folders):
            if absent and (parts := parts_of(folder)) & absent and not parts & tree.keys():
                continue
            arrays |= flatten(place_pretrained(folder, tree, wanted - arrays.keys(), bar.update))
    return arrays
