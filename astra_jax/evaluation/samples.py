"""What a benchmark is made of: cases with a request each, pictures of them, and the scores of a picture."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.evaluation.figures import Figure
from astra_jax.inputs.requests import Request
from astra_jax.pose.average_precision import FoundPeople, TruePeople

# What a picture is drawn with beside words and references: the true poses, those retrieved by the prompt, or none.
Track = Literal["oracle", "rag", "none"]
TRACKS: tuple[Track, ...] = get_args(Track)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One request of a benchmark, and how often it is drawn (`request.num_images`).

    `id` names its pictures (`{id}_{index}.png`); it is made of letters, digits and hyphens, or `ValueError` is
    raised. What the benchmark knows of a case beyond that, it keeps under the id.
    """

    id: str
    request: Request

    def __post_init__(self):
        if not _ID.fullmatch(self.id):
            raise ValueError(f"a case's id is made of letters, digits and hyphens, not {self.id!r}")


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One picture of a case; `index` counts the pictures of the case.

    `given` are the people of the skeleton that it was drawn with, in pixels of the picture, where that is known.
    """

    case: Case
    index: int
    picture: UInt8[np.ndarray, "H W 3"]
    given: Float[np.ndarray, "P J 3"] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """What one picture scores.

    Attributes:
      values: figure's name -> its values in this picture: one of the whole, or one a person, or none where the figure
        says nothing about it. The figure of the benchmark is the mean of all values of all pictures.
      people: for average precision, the people that ought to be there and those that were found, where both are known.
      pictures: what a report shows beside the picture, by a caption (references, skeletons, what was found).
    """

    values: Mapping[str, Sequence[float]]
    people: tuple[TruePeople, FoundPeople] | None = None
    pictures: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = dataclasses.field(default_factory=dict)


@runtime_checkable
class Benchmark(Protocol):
    """Data and protocol of one benchmark. `score` is a function of its arguments alone."""

    @property
    def name(self) -> str:
        """The benchmark and its track."""
        ...

    @property
    def headline(self) -> tuple[str, ...]:
        """The figures of the last printed line, in their order."""
        ...

    def cases(self) -> Sequence[Case]:
        """All cases, always in the same order."""
        ...

    def score(self, samples: Sequence[Sample]) -> list[Scores]:
        """The scores of each picture; `samples` are a batch, of any size, of cases of this benchmark."""
        ...

    def controls(self, cases: Sequence[Case]) -> Mapping[str, Sequence[Sample]]:
        """Pictures of the same cases that tell what scores mean: "ceiling", of a perfect generator, and "floor", of one
        that does not listen (each where the data have them)."""
        ...

    def calibration(self, cases: Sequence[Case]) -> Mapping[str, Figure]:
        """What figures of the same cases can be without any picture, and what the estimators themselves reach on
        pictures whose truth is known; empty where neither is at hand."""
        ...

    def notes(self) -> Sequence[str]:
        """What a reader must know to read the figures right: stand-ins, data that were missing."""
        ...
