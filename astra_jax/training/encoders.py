"""Frozen encoders that a run does not hold because its data brings what they make (`data.embeddings`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import jax

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.models.astra import Astra
from astra_jax.params import flatten
from astra_jax.weights.adapters import FORMS
from astra_jax.weights.importing import check_published, own_naming
from astra_jax.weights.pretrained import WEIGHTS, find_pretrained
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import Tensors, open_tensors


def absent_parts(config: Config) -> frozenset[str]:
    """The encoders that the run's parameters lack."""
    return frozenset({"t5", "clip_text", config.model.image_encoder_part} if config.data.embeddings else ())


def parts_of(folder: PathLike) -> frozenset[str]:
    """The parts that a folder of pretrained weights has."""
    with open_tensors(find_pretrained(folder) / WEIGHTS) as tensors:
        return _parts(tensors)


def _parts(tensors: Tensors) -> frozenset[str]:
    return frozenset(name.partition("/")[0] for name in tensors.entries)


def find_encoders(config: Config, trained: Iterable[str], files: contextlib.ExitStack) -> dict[str, Tensors]:
    """Path of a leaf -> the opened file that has it, for what the export of a run must add to its parameters.

    Nothing is added to adapters alone and where no encoder is absent. Of the folders of `train.initialize_from` the
    last that has an encoder counts.

    Args:
        config: of the run.
        trained: its trained parts.
        files: keeps the files open.

    Raises `UserError` for an encoder that no folder has, or that does not fit the model.
    """
    absent = absent_parts(config)
    if not absent or set(trained) <= set(FORMS):
        return {}
    found: dict[str, Tensors] = {}
    for folder in config.train.initialize_from:
        tensors = files.enter_context(open_tensors(find_pretrained(folder) / WEIGHTS))
        found |= dict.fromkeys(_parts(tensors) & absent, tensors)
    if missing := sorted(absent - found.keys()):
        raise UserError(
            f"a run that trains {', '.join(sorted(trained))} leaves a whole model, but no folder of"
            f" train.initialize_from has {', '.join(missing)}: add the folder that the embeddings were made with"
        )
    shapes = jax.eval_shape(Astra(config.model).init, jax.random.key(0))
    leaves: dict[str, Tensors] = {}
    for part in sorted(found):
        tree = {part: shapes[part]}
        check_published(found[part], own_naming(tree), tree, unread=f"(?!{part}/).*")
        leaves |= dict.fromkeys(flatten(tree), found[part])
    return leaves
