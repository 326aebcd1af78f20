"""Folders of pretrained weights: config.json, model.safetensors and the tokenizer, ours or the two of FLUX.1.

Tensors are named by their path in the parameter tree, "transformer/img_in/kernel". Files may come from anywhere: they
are read without pickle, their sizes are bounded, and everything in them is checked.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import struct
from collections.abc import Container, Iterable
from typing import Any

import jax
import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from astra_jax.config import Config, from_config_dict, to_dict
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten, unflatten
from astra_jax.weights.drafts import draft_of
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import READABLE, some
from astra_jax.weights.tokenizer_folder import CLIP_FOLDER, OWN, T5_FOLDER, tokenizer_files
from astra_jax.weights.variant import variant_metadata
from astra_jax.weights.writing import Chunks, write_safetensors

CONFIG, WEIGHTS = "config.json", "model.safetensors"
DTYPES = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16, "float32": np.float32}
_MAX_CONFIG_BYTES = 1 << 20
_MAX_NAME = 512


def save_pretrained(folder: PathLike, config: Config, params: Params, dtype: str = "bfloat16") -> None:
    """Writes a folder that `load_pretrained` reads; an older one in its place is replaced when the new one is complete.

    Args:
        folder: to write; it may hold pretrained weights already but nothing else.
        config: goes to config.json; `data.tokenizer` names the folder that the tokenizer is copied from (empty: none).
        params: nested dicts of floating arrays, numpy or (fully addressable) jax.
        dtype: of the file, "bfloat16", "float16" or "float32".

    Raises `UserError` for an unknown dtype, a folder with other files in it and a missing tokenizer.
    """
    flat = flatten(params)
    shapes = {path: tuple(leaf.shape) for path, leaf in flat.items()}
    save_stream(folder, config, shapes, (np.asarray(leaf) for leaf in flat.values()), dtype)


def save_stream(
    folder: PathLike, config: Config, shapes: dict[str, tuple[int, ...]], chunks: Chunks, dtype: str = "bfloat16"
) -> None:
    """`save_pretrained` of leaves that come one after the other in the order of `shapes`, whole or in pieces.

    An exception of `chunks` leaves no file behind.
    """
    tokenizer = check_export(config, dtype)
    with draft_of(folder, {CONFIG, WEIGHTS, OWN, CLIP_FOLDER, T5_FOLDER}) as draft:
        write_safetensors(draft / WEIGHTS, shapes, DTYPES[dtype], chunks, variant_metadata(config.model))
        (draft / CONFIG).write_text(json.dumps(to_dict(config), indent=2) + "\n")
        for file in tokenizer:
            copy = draft / file.relative_to(pathlib.Path(config.data.tokenizer).expanduser())
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, copy)


def check_export(config: Config, dtype: str) -> list[pathlib.Path]:
    """The tokenizer's files that `save_pretrained` would copy; raises `UserError` where it would refuse to save."""
    if dtype not in DTYPES:
        raise UserError(f"the dtype of saved weights must be {', '.join(DTYPES)}, not {dtype!r}")
    return tokenizer_files(pathlib.Path(config.data.tokenizer).expanduser()) if config.data.tokenizer else []


def load_pretrained(folder: PathLike, parts: Container[str] | None = None) -> tuple[Config, Params]:
    """Config and float32 numpy parameters of a folder, or of a training run's workdir (its `pretrained`).

    With `parts` only these are read, as far as they are there.

    The tensors are not yet compared with a model: see `check_tree`. Raises `UserError` for missing, damaged or
    oversized files, pickle formats and tensors that are not floating point.
    """
    folder = find_pretrained(folder)
    return load_config(folder), _load_weights(folder / WEIGHTS, parts)


def find_pretrained(folder: PathLike) -> pathlib.Path:
    """`folder` or its subfolder `pretrained`, whichever holds model.safetensors; raises `UserError` if neither does."""
    folder = pathlib.Path(folder)
    for candidate in (folder, folder / "pretrained"):
        if (candidate / WEIGHTS).is_file():
            return candidate
    if (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} has no weights yet: python -m astra_jax.weights export --workdir={folder} --out=...")
    raise UserError(f"{folder} has no {WEIGHTS}: give a folder of pretrained weights or a training run's workdir")


def load_config(folder: PathLike) -> Config:
    """The config of a folder of pretrained weights; raises `UserError` where it is missing or damaged."""
    path = pathlib.Path(folder) / CONFIG
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise UserError(f"{path} has more than {_MAX_CONFIG_BYTES} bytes: this is no config")
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path} must hold a JSON object")
    return from_config_dict(tree, path=str(path))


def _load_weights(path: pathlib.Path, parts: Container[str] | None) -> Params:
    flat: dict[str, np.ndarray] = {}
    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                if parts is not None and name.partition("/")[0] not in parts:
                    continue
                kind = file.get_slice(name).get_dtype()
                if kind not in READABLE:
                    raise UserError(f"{path}: {_short(name)} is {kind}; weights must be {', '.join(READABLE)}")
                flat[name] = file.get_tensor(name).astype(np.float32)
                if not np.isfinite(flat[name]).all():
                    raise UserError(f"{path}: {_short(name)} has values that are NaN or infinite: get it again")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}; copy or download it again") from error
    for name in flat:
        parts = name.split("/")
        inner = ("/".join(parts[:end]) for end in range(1, len(parts)))
        if len(name) > _MAX_NAME or not all(parts) or any(prefix in flat for prefix in inner):
            raise UserError(f"{path}: {_short(name)} is no parameter path")
    return unflatten(flat)


def _short(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:77] + "...")


def check_tree(params: Params, abstract: Params, source: PathLike = "the weights") -> None:
    """Raises `UserError` unless `params` has exactly the paths and shapes of `abstract`, naming what differs."""
    have, want = flatten(params), flatten(abstract)
    problems = []
    for text, names in (("missing", set(want) - set(have)), ("unknown", set(have) - set(want))):
        if names:
            problems.append(f"{len(names)} {text} ({some(sorted(names), limit=4)})")
    shapes = [
        f"{name} {tuple(have[name].shape)}, not {tuple(want[name].shape)}"
        for name in sorted(set(have) & set(want))
        if have[name].shape != want[name].shape
    ]
    if shapes:
        problems.append(f"{len(shapes)} of another shape ({some(shapes, '; ', limit=4)})")
    if problems:
        raise UserError(f"{source} do not fit this model: {', '.join(problems)}")


def fingerprint(folder: PathLike) -> str:
    """`fingerprint_files` of a folder's model.safetensors."""
    return fingerprint_files([find_pretrained(folder) / WEIGHTS])


def fingerprint_files(files: Iterable[pathlib.Path]) -> str:
    """A hash of sizes, headers and samples of files: cheap for any size, changes with retraining."""
    digest = hashlib.sha256()
    block, samples = 1 << 16, 64
    for path in files:
        size = path.stat().st_size
        digest.update(struct.pack("<Q", size))
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
            for index in range(samples):
                file.seek(max(0, (size - block) * index // (samples - 1)))
                digest.update(file.read(block))
    return digest.hexdigest()


def host_tree(params: Params) -> Params:
    """Numpy copies of jax arrays; every process must call it where arrays are spread over processes."""

    def fetch(leaf: Any) -> np.ndarray:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            from jax.experimental import multihost_utils

            return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
        return np.asarray(leaf)

    return jax.tree.map(fetch, params)
