"""A whole parameter tree as an Orbax folder, written and read by all processes with the shardings at hand."""

from __future__ import annotations

import pathlib

import orbax.checkpoint as ocp

from astra_jax.errors import UserError
from astra_jax.params import Params
from astra_jax.weights.sources import PathLike


def save_orbax(folder: PathLike, params: Params) -> None:
    """Writes a new folder; every process calls it. Raises `UserError` where something lies there already."""
    target = pathlib.Path(folder).absolute()
    if target.exists():
        raise UserError(f"{target} exists: choose a new folder")
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(target, params)


def load_orbax(folder: PathLike, abstract: Params) -> Params:
    """The tree with the shapes, dtypes and shardings of `abstract`, on any number of devices.

    Raises `UserError` where there is no such folder, and ValueError where its tree is another one.
    """
    target = pathlib.Path(folder).absolute()
    if not target.is_dir():
        raise UserError(f"{target} does not exist: give a folder that `python -m astra_jax.weights` wrote")
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(target, abstract)
