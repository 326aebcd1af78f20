"""TFDS data sets on disk, read without the code that made them and without TensorFlow."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format
from jaxtyping import Int
from tensorflow_datasets.core import constants

from astra_jax.config import DataConfig
from astra_jax.errors import UserError
from astra_jax.pose.files import read_json

SIZES = "sizes"  # in the metadata of a data set: split -> [[height, width], ...] of its targets
METADATA = "metadata.json"
MAX_METADATA_BYTES = 256 << 20
_DAMAGED = (RuntimeError, OSError, ValueError, KeyError, IndexError)


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """An opened split. `remedy` ends the messages about damage: what to do."""

    folder: pathlib.Path
    records: Any  # a random-access sequence of dicts
    remedy: str
    parts: tuple[tuple[str, int, int], ...]  # the split as ranges: name, first, end

    def record(self, index: int) -> dict[str, Any]:
        """Record `index`; raises `UserError` where it is damaged."""
        try:
            return self.records[index]
        except _DAMAGED as error:
            raise UserError(f"{self.folder}: record {index} is damaged ({error}): {self.remedy}") from error

    def listed(self, name: str) -> Int[np.ndarray, "n k"]:
        """The split's part of a list of whole numbers that the data set's metadata keep under `name` for each split.

        Raises `UserError` where there is none.
        """
        lists = read_json(self.folder / METADATA, MAX_METADATA_BYTES)
        try:
            rows = [row for split, first, end in self.parts for row in lists[name][split][first:end]]
            return np.asarray(rows, np.int64).reshape(len(rows), -1)
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise UserError(f"{self.folder} is damaged (its {METADATA} has no {name}): {self.remedy}") from error


def open_stored(data: DataConfig, name: str, make: str, decoders: dict[str, Any] | None = None) -> Stored:
    """The newest version of the data set `name` ("set/config") in `data.dir`, its split `data.split`.

    `make` is the command that makes it, with "{folder}" for the data directory. Raises `UserError` for data that is
    missing or damaged (a file that is not there, or whose last record cannot be read), and for a split that the data
    does not have.
    """
    folder = pathlib.Path(data.dir or constants.DATA_DIR).expanduser()
    make = f"`{make.format(folder=folder)}`"
    set_name, _, variant = name.partition("/")
    if pathlib.PurePath(variant).name != variant or variant == "..":
        raise UserError(f"config.data.source {name!r}: a data set's name has no folders")
    versions = sorted(
        (path.parent for path in (folder / set_name / variant).glob("*/dataset_info.json")),
        key=lambda path: [int(part) if part.isdecimal() else -1 for part in path.name.split(".")],
    )
    if not versions:
        raise UserError(f"there is no data set {name} in {folder}: make it with {make}")
    remedy = f"delete it and make it again with {make}"
    try:
        builder: Any = tfds.builder_from_directory(versions[-1])
    except (OSError, ValueError, KeyError, TypeError, json_format.ParseError) as error:
        raise UserError(f"{versions[-1]} is damaged ({error}): {remedy}") from error
    try:
        records = builder.as_data_source(split=data.split, decoders=decoders)
        shards = builder.info.splits[data.split].file_instructions
        ranges = tfds.core.ReadInstruction.from_spec(data.split).to_absolute(builder.info.splits)
    except ValueError as error:
        raise UserError(f"{versions[-1]} has no split {data.split!r}: set config.data.split ({error})") from error
    whole = {name: split.num_examples for name, split in builder.info.splits.items()}
    parts = tuple(
        (part.splitname, part.from_ or 0, whole[part.splitname] if part.to is None else part.to) for part in ranges
    )
    stored = Stored(versions[-1], records, remedy, parts)
    _check_shards(stored, shards)
    for index in (0, len(records) - 1):
        stored.record(index)
    return stored


def _check_shards(stored: Stored, shards: Sequence[Any]) -> None:
    """Raises `UserError` for the first of the split's files (TFDS' instructions) that is missing or cut off.

    One record of each is read, not decoded: a file knows its records by its end, which is what a broken copy lacks.
    """
    end = 0
    for shard in shards:
        path = pathlib.Path(shard.filename)
        if not path.is_file():
            raise UserError(f"{stored.folder} is damaged ({path.name} is missing): {stored.remedy}")
        end += shard.take
        try:
            stored.records.data_source[end - 1]
        except _DAMAGED as error:
            raise UserError(f"{stored.folder} is damaged ({path.name}: {error}): {stored.remedy}") from error
