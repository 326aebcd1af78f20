"""A cache of latents on disk: what `transforms.prepare` makes, with pictures replaced by the autoencoder's moments.

A folder of ArrayRecord files (records.py) and a manifest that says what they were made from. With `data.embeddings`
what the text encoders make of no words is one document beside them. Written by `astra_jax.inputs.precompute`.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy
from array_record.python.array_record_data_source import ArrayRecordDataSource
from jaxtyping import Int

from astra_jax.config import Config, to_dict
from astra_jax.errors import UserError
from astra_jax.inputs.encoding import TEXT_ENCODERS
from astra_jax.inputs.example import Prepared
from astra_jax.inputs.records import MAX_RECORD_BYTES, decode_record
from astra_jax.weights.pretrained import WEIGHTS, find_pretrained, fingerprint, load_pretrained
from astra_jax.weights.tensors import open_tensors

MANIFEST = "manifest.json"
EMPTY = "empty.safetensors"
FORMAT = 2
MAX_MANIFEST_BYTES = 16 << 20
REMEDY = "make it with `python -m astra_jax.inputs.precompute`"


class LatentSource:
    """Reads a finished cache; elements are `Prepared` with float16 moments. Threads may read at the same time.

    Raises `UserError` if the folder is no finished cache, a file of it is missing, or it was made for other settings.
    """

    def __init__(self, folder: pathlib.Path, config: Config):
        self.folder = folder.expanduser()
        manifest = read_manifest(self.folder)
        check_settings(manifest["settings"], config, self.folder)
        paths = [str(self.folder / shard["file"]) for shard in manifest["shards"]]
        self._empty = read_empty(self.folder) if config.data.embeddings else None
        self._sizes = _canvases(manifest, config, self.folder)
        try:
            self._records = ArrayRecordDataSource(paths)
            self._length = len(self._records)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{self.folder}: a file of the cache cannot be read ({error}): {REMEDY} again") from error
        if self._length != manifest["examples"]:
            raise UserError(
                f"{self.folder} holds {self._length} examples, but its manifest says {manifest['examples']}:"
                f" {REMEDY} again"
            )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Prepared:
        if not 0 <= index < self._length:
            raise IndexError(f"example {index} of {self._length}")
        try:
            return decode_record(self._records[index], self._empty)
        except (ValueError, KeyError, TypeError, RuntimeError, OSError, safetensors.SafetensorError) as error:
            raise UserError(f"{self.folder}: record {index} is damaged ({error}): {REMEDY} again") from error

    def sizes(self) -> Int[np.ndarray, "n 2"]:
        """Height and width of every example's canvas in pixels."""
        return self._sizes


def settings(config: Config) -> dict[str, Any]:
    """The settings a cache depends on, as JSON values: another value of any of them makes another cache."""
    data, model = config.data, config.model
    words = {}
    if data.embeddings:
        words = {f"model.{name}": getattr(model, name) for name in ("text_length", "phrase_length", "max_subjects")}
        for part in (*TEXT_ENCODERS, model.image_encoder_part):
            words |= {f"model.{part}.{name}": value for name, value in to_dict(getattr(model, part)).items()}
    return words | {
        "data.source": data.source,
        "data.split": data.split,
        "data.height": data.height,
        "data.width": data.width,
        "data.reference_size": data.reference_size,
        "data.buckets": [list(bucket) for bucket in data.buckets],
        "data.embeddings": data.embeddings,
        f"model.{config.model.image_encoder_part}.image_size": config.model.image_encoder.image_size,
        **{
            f"model.autoencoder.{name}": list(value) if isinstance(value, tuple) else value
            for name, value in to_dict(config.model.autoencoder).items()
            if name not in ("scale", "shift")  # applied when moments are read
        },
    }


def check_settings(made_for: Mapping[str, Any], config: Config, folder: pathlib.Path) -> None:
    """Raises `UserError` naming the first setting in which a cache and `config` differ."""
    for name, value in settings(config).items():
        if name not in made_for:  # a setting of another image encoder's
            raise UserError(f"{folder} was made without config.{name} = {value!r}: change the config or {REMEDY}")
        if made_for[name] != value:
            raise UserError(
                f"{folder} was made for config.{name} = {made_for[name]!r}, not {value!r}: change the config or"
                f" {REMEDY}"
            )


def check_autoencoder(folder: str | pathlib.Path, params: Mapping[str, Any]) -> None:
    """Raises `UserError` unless the cache was made with the autoencoder whose parameters are `params`."""
    if read_manifest(pathlib.Path(folder).expanduser())["autoencoder"] != checksum(params):
        raise UserError(f"{folder} was made with another autoencoder than the one in use: {REMEDY} with this one")


def check_initial_weights(config: Config) -> None:
    """Raises `UserError` unless the weights that `train.initialize_from` gives the run are those of `data.latents`."""
    check_initial_autoencoder(config)
    if config.data.embeddings:
        check_initial_encoders(config)


def check_initial_encoders(config: Config) -> None:
    """Raises `UserError` where a folder of `train.initialize_from` has text encoders, and not those of the cache."""
    made_by = read_manifest(pathlib.Path(config.data.latents).expanduser())["encoders"]
    for folder in config.train.initialize_from:
        with open_tensors(find_pretrained(folder) / WEIGHTS) as tensors:
            parts = {name.partition("/")[0] for name in tensors.entries}
        if parts & set(TEXT_ENCODERS) and fingerprint(folder) != made_by:
            raise UserError(
                f"{config.data.latents} was made with other encoders than those in {folder}: {REMEDY} with these"
            )


def check_initial_autoencoder(config: Config) -> None:
    """Raises `UserError` unless the autoencoder that `train.initialize_from` gives the run made `data.latents`."""
    for folder in reversed(config.train.initialize_from):
        _, params = load_pretrained(folder, {"autoencoder"})
        if "autoencoder" in params:
            return check_autoencoder(config.data.latents, params["autoencoder"])
    raise UserError("config.data.latents needs the autoencoder that made it: name its folder in train.initialize_from")


def checksum(params: Mapping[str, Any]) -> str:
    """SHA-256 of a tree of parameters: paths, shapes and float32 values (a dtype that holds the same values agrees)."""
    digest = hashlib.sha256()
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    for path, leaf in sorted(leaves, key=lambda item: jax.tree_util.keystr(item[0])):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape}\n".encode())
        digest.update(np.ascontiguousarray(np.asarray(leaf, np.float32)).tobytes())
    return digest.hexdigest()


def read_empty(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The features of no words; raises `UserError` where they are missing or damaged."""
    path = folder / EMPTY
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise UserError(f"{path} is too large: {REMEDY} again")
        tensors = safetensors.numpy.load(path.read_bytes())
        return {name: tensors[name] for name in ("text", "pooled")}
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} is missing or damaged ({error}): {REMEDY} again") from error


def _canvases(manifest: Mapping[str, Any], config: Config, folder: pathlib.Path) -> Int[np.ndarray, "n 2"]:
    """Height and width of every example's canvas in pixels."""
    data = config.data
    canvases = np.asarray(data.buckets or ((data.height, data.width),), np.int64)
    try:
        buckets = np.concatenate([np.asarray(shard["buckets"], np.int64) for shard in manifest["shards"]])
        if buckets.shape != (manifest["examples"],) or not ((buckets >= 0) & (buckets < len(canvases))).all():
            raise ValueError("they are not one an example")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{folder / MANIFEST} has no list of buckets ({error}): {REMEDY} again") from error
    return canvases[buckets]


def read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """The checked manifest of a finished cache.

    Its keys are "settings", "autoencoder", "encoders" (empty: none), "examples" and "shards", a list of {"file",
    "examples", "bytes", "sha256", "buckets"}. Raises `UserError` if there is none or it is malformed (files outside the
    folder or of another size included).
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise UserError(f"{path} is too large for a manifest: {REMEDY} again")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no finished cache of latents ({MANIFEST} is missing): {REMEDY}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): {REMEDY} again") from error
    expected = {"format": int, "settings": dict, "autoencoder": str, "encoders": str, "examples": int, "shards": list}
    fine = isinstance(manifest, dict) and all(isinstance(manifest.get(k), kind) for k, kind in expected.items())
    if not fine or manifest["format"] != FORMAT:
        raise UserError(f"{path} is no manifest of this version: {REMEDY} again")
    for shard in manifest["shards"]:
        name = shard.get("file") if isinstance(shard, dict) else None
        if not isinstance(name, str) or pathlib.PurePath(name).name != name or not (folder / name).is_file():
            raise UserError(f"{path} names {name!r}, which is no file of {folder}: {REMEDY} again")
        if (folder / name).stat().st_size != shard.get("bytes"):
            raise UserError(f"{folder / name} is cut or damaged (its size is not the manifest's): {REMEDY} again")
    return typing.cast(dict[str, Any], manifest)
