"""Where examples come from: any random-access sequence of `Example` (or of `Prepared`, from a cache of latents)."""

from __future__ import annotations

import pathlib
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format
from tensorflow_datasets.core import constants

from astra_jax.config import Config, DataConfig
from astra_jax.errors import UserError
from astra_jax.inputs.cache import LatentSource
from astra_jax.inputs.example import Example, Prepared, Subject

PUPPETS = "puppets"
PUPPETS_CONFIG = "full"  # where data.source names none


@runtime_checkable
class RandomAccess(Protocol):
    """A sequence that threads may read at the same time."""

    def __len__(self) -> int:
        """How many examples."""
        ...

    def __getitem__(self, index: int) -> Example | Prepared:
        """Example `index`, the same one every time."""
        ...


def open_source(config: Config) -> RandomAccess:
    """The source that `config.data` names: the cache `latents` where it is set, else the data set `source`.

    Raises `UserError` for an unknown name and for data that is missing, damaged or made for another config.
    """
    if config.data.latents and config.train.objective != "autoencoder":
        return LatentSource(pathlib.Path(config.data.latents), config)
    return open_pictures(config.data)


def open_pictures(data: DataConfig) -> RandomAccess:
    """The data set that `data.source` names: "puppets" or "puppets/<config>"."""
    if data.source.split("/")[0] == PUPPETS:
        return puppets_source(data)
    raise UserError(f"config.data.source {data.source!r} is unknown: '{PUPPETS}' or '{PUPPETS}/<config>' are there")


def puppets_source(data: DataConfig) -> PuppetsSource:
    """The drawn people of data/puppets as TFDS stored them, read without the code that made them.

    Raises `UserError` for data that is missing (with the command that makes it) or damaged, and for a split that the
    data does not have (TFDS' syntax, "train[:10%]").
    """
    name, _, variant = data.source.partition("/")
    variant = variant or PUPPETS_CONFIG
    folder = pathlib.Path(data.dir or constants.DATA_DIR).expanduser()
    make = f"`python -m data.puppets --out {folder} --config {variant}`"
    versions = sorted(
        (path.parent for path in (folder / name / variant).glob("*/dataset_info.json")),
        key=lambda path: [int(part) if part.isdecimal() else -1 for part in path.name.split(".")],
    )
    if not versions:
        raise UserError(f"there is no data set {name}/{variant} in {folder}: make it with {make}")
    again = f"delete it and make it again with {make}"
    try:
        builder: Any = tfds.builder_from_directory(versions[-1])
    except (OSError, ValueError, KeyError, TypeError, json_format.ParseError) as error:
        raise UserError(f"{versions[-1]} is damaged ({error}): {again}") from error
    try:
        records = builder.as_data_source(split=data.split, decoders={"masks": tfds.decode.SkipDecoding()})
    except ValueError as error:
        raise UserError(f"{versions[-1]} has no split {data.split!r}: set config.data.split ({error})") from error
    try:
        for index in (0, len(records) - 1):
            records[index]
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{versions[-1]} is damaged ({error}): {again}") from error
    return PuppetsSource(records)


class PuppetsSource:
    """Records of the TFDS set `puppets` as examples. A `RandomAccess`."""

    def __init__(self, records: Any):
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        return puppets_example(self._records[index])


def puppets_example(record: dict[str, Any]) -> Example:
    """One record of data/puppets/builder.py: all its people are the pose, each of them a subject."""
    subjects = record["subjects"]
    people = np.asarray(subjects["keypoints"], np.float32).reshape(-1, 17, 3)
    return Example(
        prompt=record["prompt"].decode(),
        subjects=tuple(
            Subject(phrase.decode(), photo, joints)
            for phrase, photo, joints in zip(subjects["phrase"], subjects["reference"], people, strict=True)
        ),
        people=people,
        size=record["image"].shape[:2],
        target=record["image"],
    )
