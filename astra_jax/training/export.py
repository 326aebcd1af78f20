"""Weights of a run: the moving averages of the trained part, alone where these are adapters, else with the frozen."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from astra_jax.config import Config, MeshConfig
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten
from astra_jax.training.checkpoint import Checkpoints, stored_config
from astra_jax.training.encoders import find_encoders
from astra_jax.training.initialize import initialize, targets
from astra_jax.training.mesh import make_mesh
from astra_jax.training.objective import Objective
from astra_jax.training.partition import merge
from astra_jax.training.state import TrainState
from astra_jax.weights.adapters import FILES, FORMS, save_adapter
from astra_jax.weights.pretrained import find_pretrained, fingerprint, host_tree, save_stream
from astra_jax.weights.tokenizer_folder import has_tokenizer


def export(folder: str | os.PathLike[str], config: Config, params: Params, dtype: str) -> None:
    """Writes `params` as pretrained weights; every process calls it, the first one writes.

    A whole model whose encoders the run does not hold (`data.embeddings`) gets them from `train.initialize_from`, and
    their tokenizer where the config names none.
    """
    flat = flatten(host_tree(params))
    if jax.process_index() != 0:
        return
    with contextlib.ExitStack() as files:
        encoders = find_encoders(config, params, files)
        shapes = {path: tuple(leaf.shape) for path, leaf in flat.items()}
        shapes |= {path: tensors.entries[path].shape for path, tensors in encoders.items()}
        leaves = (np.asarray(leaf) for leaf in flat.values())
        chunks = itertools.chain(leaves, (tensors.read(path) for path, tensors in encoders.items()))
        save_stream(folder, _with_tokenizer(config) if encoders else config, shapes, chunks, dtype)


def _with_tokenizer(config: Config) -> Config:
    """The config with the tokenizer of the last folder of `train.initialize_from` that has one, if it names none."""
    folders = [find_pretrained(folder) for folder in config.train.initialize_from]
    there = [str(folder) for folder in folders if has_tokenizer(folder)]
    if config.data.tokenizer or not there:
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, tokenizer=there[-1]))


def learnt(state: TrainState, frozen: Params) -> Params:
    """What a finished run leaves: its adapters where it trains nothing else, the whole tree otherwise."""
    whole = merge(state.ema, frozen)
    return {part: whole[part] for part in state.ema} if set(state.ema) <= set(FORMS) else whole


def export_workdir(
    workdir: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    make_objective: Callable[[Config], Objective],
    dtype: str = "",
) -> int:
    """Exports the whole model at the newest checkpoint of a run, also while it is running; returns the step.

    The frozen part is made again from the run's seed and `train.initialize_from`. `dtype` defaults to the run's
    `train.export_dtype`. Raises `UserError` for a folder without checkpoints and for sources that have changed.
    """
    config = stored_config(pathlib.Path(workdir))
    sources = [fingerprint(source) for source in config.train.initialize_from]
    checkpoints = Checkpoints(workdir, config, sources, read_only=True)
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    with jax.set_mesh(mesh):
        state, frozen, _ = initialize(config, make_objective(config), mesh, checkpoints)
        export(folder, config, merge(state.ema, frozen), dtype or config.train.export_dtype)
    checkpoints.close()
    return int(state.step)


def export_adapters(
    workdir: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    make_objective: Callable[[Config], Objective],
    forms: dict[str, str],
    dtype: str = "",
) -> list[pathlib.Path]:
    """Writes the adapters of the newest checkpoint, one file each, without making the rest of the model.

    Args:
        workdir: of a run that trains the parts "lora" or "dsm", also while it is running.
        folder: receives `adapters.FILES`.
        make_objective: of the run's config.
        forms: part -> one of its `adapters.FORMS`, for the parts that are wanted.
        dtype: of the files; the run's `train.export_dtype` by default.

    Returns the files. Raises `UserError` as `export_workdir` and `adapters.save_adapter` do, and for a part that the
    run does not train or of which it trains only some.
    """
    config = stored_config(pathlib.Path(workdir))
    sources = [fingerprint(source) for source in config.train.initialize_from]
    checkpoints = Checkpoints(workdir, config, sources, read_only=True)
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    with jax.set_mesh(mesh):
        target, frozen = targets(config, make_objective(config), mesh)
        for part, form in forms.items():
            if part not in FORMS or part not in target.params or part in frozen:
                raise UserError(
                    f"the run in {workdir} does not train the whole part {part!r}: train.trainable is "
                    f"{config.train.trainable!r}; adapters are {', '.join(FORMS)}"
                )
            if form not in FORMS[part]:
                raise UserError(f"the form of a {part} must be {' or '.join(FORMS[part])}, not {form!r}")
        state, _ = checkpoints.restore(target)
    checkpoints.close()
    files = []
    for part, form in forms.items():
        files.append(pathlib.Path(folder) / FILES[part, form])
        params = host_tree(state.ema[part])
        save_adapter(files[-1], part, params, config.model, form, dtype or config.train.export_dtype)
    return files
