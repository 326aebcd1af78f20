"""Where examples come from: any random-access sequence of `Example` (or of `Prepared`, from a cache of latents)."""

from __future__ import annotations

import pathlib
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int

from astra_jax.config import Config, DataConfig
from astra_jax.errors import UserError
from astra_jax.inputs.cache import LatentSource
from astra_jax.inputs.example import Example, Prepared, Subject
from astra_jax.inputs.stored import SIZES, Stored, open_stored

PUPPETS, SUBJECTS = "puppets", "subjects"
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


@runtime_checkable
class Sized(RandomAccess, Protocol):
    """One that knows the sizes of its targets without reading them."""

    def sizes(self) -> Int[np.ndarray, "n 2"]:
        """Height and width of every target, in pixels (from a cache: of its canvas)."""
        ...


def open_source(config: Config) -> RandomAccess:
    """The source that `config.data` names: the cache `latents` where it is set, else the data set `source`.

    Raises `UserError` for an unknown name and for data that is missing, damaged or made for another config.
    """
    if config.data.latents and config.train.objective == "astra":
        return LatentSource(pathlib.Path(config.data.latents), config)
    return open_pictures(config.data)


def open_pictures(data: DataConfig) -> RandomAccess:
    """The data set that `data.source` names: "puppets", "puppets/<config>" or "subjects/<name>".

    Raises `UserError` for data that is missing (with the command that makes it) or damaged, and for a split that the
    data does not have (TFDS' syntax, "train[:10%]").
    """
    name, _, variant = data.source.partition("/")
    if name == PUPPETS:
        variant = variant or PUPPETS_CONFIG
        make = f"python -m data.puppets --out {{folder}} --config {variant}"
        return PuppetsSource(open_stored(data, f"{PUPPETS}/{variant}", make, {"masks": tfds.decode.SkipDecoding()}))
    if name == SUBJECTS and variant:
        make = f"python -m data.subjects --manifest FILE --out {{folder}} --name {variant}"
        return SubjectsSource(open_stored(data, data.source, make))
    raise UserError(
        f"config.data.source {data.source!r} is unknown: '{PUPPETS}', '{PUPPETS}/<config>' or '{SUBJECTS}/<name>'"
        " are there"
    )


class PuppetsSource:
    """Records of the TFDS set `puppets` as examples. A `Sized`."""

    def __init__(self, stored: Stored):
        self._stored = stored

    def __len__(self) -> int:
        return len(self._stored.records)

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        return puppets_example(self._stored.record(index))

    def sizes(self) -> Int[np.ndarray, "n 2"]:
        """All pictures have the first one's size."""
        return np.broadcast_to(np.asarray(self._stored.record(0)["image"].shape[:2]), (len(self), 2))


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


class SubjectsSource:
    """Records of the TFDS set `subjects` as examples. A `Sized`.

    Raises `UserError` where the data set has no list of sizes or one of another length.
    """

    def __init__(self, stored: Stored):
        self._stored = stored
        self._sizes = stored.listed(SIZES)
        if self._sizes.shape != (len(stored.records), 2) or self._sizes.min(initial=1) < 1:
            raise UserError(f"{stored.folder} is damaged (its list of sizes does not fit): {stored.remedy}")

    def __len__(self) -> int:
        return len(self._stored.records)

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        return subjects_example(self._stored.record(index))

    def sizes(self) -> Int[np.ndarray, "n 2"]:
        """Height and width of the targets."""
        return self._sizes


def subjects_example(record: dict[str, Any]) -> Example:
    """One record of data/subjects/builder.py; which of its people is which subject is not known."""
    people = np.asarray(record["people"], np.float32)
    if len(record["details"]):
        people = np.concatenate([people, np.asarray(record["details"], np.float32)], axis=1)
    subjects = record["subjects"]
    return Example(
        prompt=record["prompt"].decode(),
        subjects=tuple(
            Subject(phrase.decode(), photo)
            for phrase, photo in zip(subjects["phrase"], subjects["reference"], strict=True)
        ),
        people=people if len(people) else None,
        size=record["image"].shape[:2],
        target=record["image"],
    )
