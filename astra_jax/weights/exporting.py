"""Our weights under published names: what `diffusers` and others read, written tensor by tensor."""

from __future__ import annotations

import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten
from astra_jax.weights.drafts import draft_of
from astra_jax.weights.encoders import clip_vision_extra
from astra_jax.weights.importing import Progress, check_published, own_naming
from astra_jax.weights.mapping import naming_shapes, save_layer
from astra_jax.weights.published import FORMATS, Table, tables
from astra_jax.weights.published_settings import published_settings
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import Tensors
from astra_jax.weights.writing import METADATA, write_safetensors, zeros


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

    A LoRA is merged into the transformer, W + scale a b, and named in neither list. Parts without a published form (the
    adapter "dsm") are left out. Raises `UserError` where nothing is left, where the file does not fit `abstract`, where
    `out` holds files or cannot be written, and for a transformer whose conditions are cached.
    """
    if form not in FORMATS:
        raise UserError(f"the format must be {' or '.join(FORMATS)}, not {form!r}")
    check_published(tensors, own_naming(abstract), abstract)
    chosen = {part: found[form] for part in abstract if form in (found := tables(part, config))}
    if not chosen:
        raise UserError(f"{tensors.name} has {', '.join(abstract)}: none of it has a form in {form}")
    if "transformer" in chosen and config.condition_attention == "cached":
        # No published form can say so, and whoever reads it would attend otherwise.
        raise UserError(
            f"{tensors.name} has model.condition_attention 'cached', which {form} cannot say: draw with its folder"
        )
    with draft_of(out) as draft:
        for part, table in chosen.items():
            _write_part(draft / table.file, tensors, part, table, config, abstract[part], dtype, progress)
            if form == "diffusers":
                settings = json.dumps(published_settings(part, config), indent=2)
                ((draft / table.file).parent / "config.json").write_text(settings + "\n")
    merged = ["lora"] if "transformer" in chosen else []
    return list(chosen), [part for part in abstract if part not in [*chosen, *merged]]


def _write_part(
    path: pathlib.Path,
    tensors: Tensors,
    part: str,
    table: Table,
    config: ModelConfig,
    abstract: Params,
    dtype: Any,
    progress: Progress | None,
) -> None:
    shapes = naming_shapes(table.naming, flatten(abstract))
    extra = clip_vision_extra(config.clip_vision) if part == "clip_vision" else {}

    def chunks() -> Iterator[Shaped[np.ndarray, "..."]]:
        for name, leaf in table.naming.items():
            for index in range(len(leaf.layers)):
                layer = _read(tensors, f"{part}/{name}", leaf.stacked, index)
                if progress is not None:
                    progress(layer.nbytes)
                if part == "transformer":
                    layer = _with_lora(tensors, name, leaf.stacked, index, layer, config.lora.scale)
                yield from save_layer(leaf, index, layer).values()

    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, shapes | extra, dtype, itertools.chain(chunks(), zeros(extra)), METADATA)


def _with_lora(
    tensors: Tensors, path: str, stacked: bool, index: int, layer: Shaped[np.ndarray, "..."], scale: float
) -> Shaped[np.ndarray, "..."]:
    """One layer of the transformer's leaf `path`, in float32 with the LoRA added where the file has one for it.

    Factors with fewer outputs than their map adapt its first ones (`models.lora.merge`).
    """
    module, _, leaf = path.rpartition("/")
    names = [f"lora/{module}/{factor}" for factor in "ab"]
    if leaf != "kernel" or names[0] not in tensors.entries:
        return layer
    a, b = (_read(tensors, name, stacked, index).astype(np.float32) for name in names)
    merged = layer.astype(np.float32)
    merged[:, : b.shape[1]] += np.float32(scale) * (a @ b)
    return merged


def _read(tensors: Tensors, name: str, stacked: bool, index: int) -> Shaped[np.ndarray, "..."]:
    return tensors.read_layer(name, index) if stacked else tensors.read(name)
