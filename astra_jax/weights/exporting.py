"""Our weights under published names: what `diffusers` and others read, written tensor by tensor."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten
from astra_jax.weights.importing import Progress, check_published, own_naming
from astra_jax.weights.mapping import Leaf, naming_shapes, save_layer
from astra_jax.weights.published import FORMATS, Table, tables
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import Tensors
from astra_jax.weights.writing import write_safetensors


def export_published(
    tensors: Tensors,
    config: ModelConfig,
    abstract: Params,
    out: PathLike,
    form: str,
    dtype: Any,
    progress: Progress | None = None,
) -> tuple[list[str], list[str]]:
    """Writes the parts of a pretrained file as a published model's folder; returns those written and those left out.

    Args:
        tensors: of our model.safetensors.
        config: of the model.
        abstract: the shapes of those parts that the file has.
        out: a new or empty folder; it appears when it is complete.
        form: one of `published.FORMATS`.
        dtype: of the files.
        progress: called with the bytes of every piece read.

    Parts without a published form (the adapter, a LoRA) are left out. Raises `UserError` where nothing is left, where
    the file does not fit `abstract` and where `out` holds files or cannot be written.
    """
    if form not in FORMATS:
        raise UserError(f"the format must be {' or '.join(FORMATS)}, not {form!r}")
    check_published(tensors, own_naming(abstract), abstract)
    chosen = {part: found[form] for part in abstract if form in (found := tables(part, config))}
    if not chosen:
        raise UserError(f"{tensors.name} has {', '.join(abstract)}: none of it has a form in {form}")
    target = pathlib.Path(out).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} holds files: choose a new or empty folder")
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        for part, table in chosen.items():
            _write_part(draft / table.file, tensors, part, table, abstract[part], dtype, progress)
        if target.exists():
            target.rmdir()
        os.rename(draft, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}: choose another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return list(chosen), [part for part in abstract if part not in chosen]


def _write_part(
    path: pathlib.Path,
    tensors: Tensors,
    part: str,
    table: Table,
    abstract: Params,
    dtype: Any,
    progress: Progress | None,
) -> None:
    shapes = naming_shapes(table.naming, flatten(abstract))

    def chunks() -> Iterator[Shaped[np.ndarray, "..."]]:
        for name, leaf in table.naming.items():
            for index, layer in enumerate(_layers(tensors, f"{part}/{name}", leaf)):
                if progress is not None:
                    progress(layer.nbytes)
                yield from save_layer(leaf, index, layer).values()

    path.parent.mkdir(parents=True, exist_ok=True)
    # Readers of these files ask for this word of their header.
    write_safetensors(path, shapes, dtype, chunks(), {"format": "pt"})
    if table.settings:
        (path.parent / "config.json").write_text(json.dumps(table.settings, indent=2) + "\n")


def _layers(tensors: Tensors, name: str, leaf: Leaf) -> Iterator[Shaped[np.ndarray, "..."]]:
    if leaf.stacked:
        yield from (tensors.read_layer(name, index) for index in range(len(leaf.layers)))
    else:
        yield tensors.read(name)
