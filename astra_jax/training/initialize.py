"""Where parameters come from: random, then pretrained folders, then the newest checkpoint."""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import Mesh

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten, unflatten
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.mesh import shardings
from astra_jax.training.objective import Objective
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.partition import partition
from astra_jax.training.state import TrainState, abstract_state, create_state
from astra_jax.weights.pretrained import check_tree, find_pretrained, load_pretrained


def initialize(
    config: Config, objective: Objective, mesh: Mesh, checkpoints: Checkpoints
) -> tuple[TrainState, Params, Any]:
    """The state to go on from, the frozen parameters and the data position (None: the start), all on the mesh.

    The frozen part is never in a checkpoint: it is made again from `train.seed` and `train.initialize_from`.
    """
    init_rng, step_rng = jax.random.split(jax.random.key(config.train.seed))
    abstract, target = targets(config, objective, mesh)
    trainable, frozen = partition(abstract, config.train.trainable)
    optimizer = make_optimizer(config.train.optimizer, config.train.steps)

    resumed = checkpoints.latest_step() is not None
    wanted = frozen if resumed else abstract
    arrays = flatten(_parameters(wanted, abstract, objective, init_rng, config.train.initialize_from, mesh))
    frozen = unflatten({path: arrays[path] for path in flatten(frozen)})
    if resumed:
        state, data = checkpoints.restore(target)
        return state, frozen, data
    params = unflatten({path: arrays[path] for path in flatten(trainable)})
    placed = jax.tree.map(lambda x: x.sharding, target)
    create = jax.jit(lambda params, rng: create_state(params, optimizer, rng), out_shardings=placed)
    return create(params, step_rng), frozen, None


def targets(config: Config, objective: Objective, mesh: Mesh) -> tuple[Params, TrainState]:
    """Shapes of the whole tree, and shapes with shardings of the state, the trained part's; nothing is computed."""
    abstract = jax.eval_shape(objective.init, jax.random.key(0))
    trainable, _ = partition(abstract, config.train.trainable)
    optimizer = make_optimizer(config.train.optimizer, config.train.steps)
    return abstract, abstract_state(trainable, optimizer, objective.rules, mesh)


def _parameters(
    wanted: Params,
    abstract: Params,
    objective: Objective,
    rng: jax.Array,
    folders: tuple[str, ...],
    mesh: Mesh,
) -> Params:
    """The leaves of `wanted`: from the last of `folders` that has them, random otherwise."""
    paths = flatten(wanted)
    placed = flatten(shardings(wanted, objective.rules, mesh)) if paths else {}
    loaded = {path: leaf for path, leaf in flatten(_overlay(abstract, folders)).items() if path in paths}
    random = [path for path in paths if path not in loaded]

    def init(rng: jax.Array) -> dict[str, jax.Array]:
        flat = flatten(objective.init(rng))
        return {path: flat[path] for path in random}  # the compiler drops the others

    # This program of hundreds of small draws runs once; on CPUs optimising it takes longer than anything else.
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    options = {"xla_backend_optimization_level": 0} if on_cpu else None
    placed_random = {path: placed[path] for path in random}
    arrays = jax.jit(init, out_shardings=placed_random, compiler_options=options)(rng) if random else {}
    arrays |= {path: jax.device_put(leaf, placed[path]) for path, leaf in loaded.items()}
    return unflatten(arrays)


def _overlay(abstract: Params, folders: tuple[str, ...]) -> Params:
    """Top-level parts from pretrained folders, later ones win; parts that `abstract` does not have are left out.

    A part must fit completely. Raises `UserError` where it does not, or where a folder has no part in common.
    """
    merged: Params = {}
    for folder in folders:
        _, params = load_pretrained(folder)
        common = {name: part for name, part in params.items() if name in abstract}
        if not common:
            raise UserError(
                f"{folder} has {', '.join(sorted(params))} but this run needs {', '.join(sorted(abstract))}"
            )
        check_tree(common, {name: abstract[name] for name in common}, find_pretrained(folder))
        merged |= common
    return merged
