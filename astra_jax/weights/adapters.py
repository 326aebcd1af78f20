"""The adapters of a model, LoRA and DSM, in and out as one safetensors file each, in our naming and the published ones.

A LoRA comes as UNO's `dit_lora.safetensors` ("uno") or as diffusers' `pytorch_lora_weights.safetensors` ("diffusers",
also PEFT's own). A DSM comes as XVerse's modulation adapter ("xverse"). "astra" is our own naming: a leaf's path with
its part in front, values as they are; such a file may hold both adapters, as the pretrained weights of a run that
trained nothing else do.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten
from astra_jax.weights.importing import Progress, load_published
from astra_jax.weights.lora_naming import peft_naming, uno_naming
from astra_jax.weights.mapping import Naming, naming_shapes, one, save_layer
from astra_jax.weights.peft import PeftTensors, is_peft
from astra_jax.weights.pretrained import DTYPES, WEIGHTS, find_pretrained
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import Tensors, open_tensors, some
from astra_jax.weights.variant import check_variant, variant_metadata
from astra_jax.weights.writing import METADATA, write_safetensors, zeros
from astra_jax.weights.xverse_naming import XVERSE_UNREAD, xverse_extra, xverse_naming

# Part -> the forms that it is read and written in.
FORMS = {"lora": ("uno", "diffusers", "astra"), "dsm": ("xverse", "astra")}
# Part and form -> the file's usual name.
FILES = {
    ("lora", "uno"): "dit_lora.safetensors",
    ("lora", "diffusers"): "pytorch_lora_weights.safetensors",
    ("lora", "astra"): "lora.safetensors",
    ("dsm", "xverse"): "modulation_adapter/diffusion_pytorch_model.safetensors",
    ("dsm", "astra"): "dsm.safetensors",
}


def load_adapter(
    source: PathLike,
    part: str,
    config: ModelConfig,
    abstract: Params,
    dtype: Any = np.float32,
    shardings: Params | None = None,
    progress: Progress | None = None,
) -> Params:
    """The tree of one part, "lora" or "dsm", from a file, folder or hub id in any of its `FORMS`.

    Args:
        source: as in `sources.find_source`.
        part: a key of `FORMS`.
        config: of the model; "diffusers" fills a LoRA of lower rank up to `config.lora.rank` with zeros.
        abstract: the part's tree of arrays or shapes.
        dtype: of the result.
        shardings: as in `load_published`.
        progress: as in `load_published`.

    Factors are taken as they are, so `config.lora.scale` is then the strength of the LoRA. Raises `UserError` as
    `load_published` does, for files in no known form, for a LoRA where the model has none, and for one that was trained
    with another `model.condition_attention`.
    """
    if part == "lora" and not config.lora.rank:
        raise UserError("the model has no LoRA: set model.lora.rank to the rank of the file")
    with open_tensors(source) as tensors:
        form = find_form(tensors, part)
        if part == "lora":
            check_variant(tensors, config)
        naming = make_naming(part, form, config, abstract)
        read = PeftTensors(tensors, config) if form == "diffusers" else tensors
        others = "|".join(f"{other}/.*" for other in FORMS if other != part)
        unread = {"xverse": XVERSE_UNREAD, "astra": others}.get(form, "")
        return load_published(read, naming, abstract, dtype, shardings, progress, unread=unread)


def save_adapter(
    path: PathLike, part: str, params: Params, config: ModelConfig, form: str, dtype: str = "float32"
) -> None:
    """Writes one part, "lora" or "dsm", as one safetensors file.

    `params` is the part's tree of arrays on the host; `config.lora.scale` is multiplied into a LoRA's b but in the form
    "astra". Raises `UserError` for a form that the part does not have or a dtype that is not written, where UNO's
    naming lacks a place of the LoRA, and where the file cannot be written.
    """
    if form not in FORMS[part]:
        raise UserError(f"the form of a {part} must be {' or '.join(FORMS[part])}, not {form!r}")
    if dtype not in DTYPES:
        raise UserError(f"the dtype of saved weights must be {', '.join(DTYPES)}, not {dtype!r}")
    naming = make_naming(part, form, config, params)
    leaves = flatten(params)
    shapes = naming_shapes(naming, leaves)
    extra = xverse_extra(config.dsm) if form == "xverse" else {}
    scale = 1.0 if part == "dsm" or form == "astra" else config.lora.scale
    chunks = itertools.chain(_chunks(naming, leaves, scale, shapes), zeros(extra))
    try:
        pathlib.Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        metadata = METADATA | (variant_metadata(config) if part == "lora" else {})
        write_safetensors(path, shapes | extra, DTYPES[dtype], chunks, metadata)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}: choose another path") from error


def refuse_adapters(folder: PathLike) -> None:
    """Raises `UserError`, saying what to do, where a folder of pretrained weights holds adapters alone."""
    found = find_pretrained(folder)
    with open_tensors(found / WEIGHTS) as tensors:
        parts = {name.partition("/")[0] for name in tensors.entries}
    if parts and parts <= set(FORMS):
        flags = " ".join(f"--{part}={found}" for part in sorted(parts))
        raise UserError(
            f"{found} holds adapters alone, without the model that they were trained on: give that with sample.py "
            f"--config=FILE --weights=FOLDER {flags}, or write both into one folder with "
            "python -m astra_jax.weights export --workdir=RUN --out=FOLDER"
        )


def find_form(tensors: Tensors, part: str) -> str:
    """The one of `FORMS[part]` that the tensors' names speak of; raises `UserError` where none does."""
    names = list(tensors.entries)
    if any(name.startswith(f"{part}/") for name in names):
        return "astra"
    if part == "lora" and any(".processor." in name and "_lora" in name for name in names):
        return "uno"
    if part == "lora" and is_peft(names):
        return "diffusers"
    if part == "dsm" and any(name.startswith(("net.", "net2.")) for name in names):
        return "xverse"
    raise UserError(
        f"{tensors.name} holds no {part} in a form that is known ({', '.join(FORMS[part])}); its tensors look like "
        f"{some(sorted(names), limit=3) or 'nothing'}"
    )


def make_naming(part: str, form: str, config: ModelConfig, tree: Params) -> Naming:
    """The naming of a part's `tree` in one of its `FORMS`; raises `UserError` where the form lacks a place's name."""
    if form == "astra":
        return {path: one(f"{part}/{path}") for path in flatten(tree)}
    if form == "xverse":
        return xverse_naming(config.dsm)
    return uno_naming(config) if form == "uno" else peft_naming(config)


def _chunks(
    naming: Naming, leaves: dict[str, Any], scale: float, shapes: dict[str, tuple[int, ...]]
) -> Iterator[Shaped[np.ndarray, "..."]]:
    """The published tensors' values in the order of `shapes`; what several leaves make is the sum of theirs."""
    makers: dict[str, list[tuple[str, int]]] = {}
    for path, leaf in naming.items():
        for index, names in enumerate(leaf.layers):
            for name in names:
                makers.setdefault(name, []).append((path, index))
    for name in shapes:
        total: Any = None
        for path, index in makers[name]:
            leaf, whole = naming[path], np.asarray(leaves[path])
            layer = whole[index] if leaf.stacked else whole
            value = save_layer(leaf, index, layer)[name]
            if path.endswith("/b") and scale != 1.0:
                value = value.astype(np.float32) * np.float32(scale)
            total = value if total is None else total + value
        yield total
