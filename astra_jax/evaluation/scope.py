"""How much of a benchmark was scored: all of it, or what `--limit`, and pictures that are missing, leave of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from astra_jax.evaluation.samples import Case
from astra_jax.evaluation.scoring import Scored


@dataclasses.dataclass(frozen=True)
class Scope:
    """Cases and pictures that were scored, and those that the benchmark has."""

    cases: int
    pictures: int
    of_cases: int
    of_pictures: int

    def note(self) -> str:
        """What a reader must know of it."""
        if (self.cases, self.pictures) == (self.of_cases, self.of_pictures):
            return f"all of it was scored: cases: {self.cases}, pictures: {self.pictures}"
        return (
            f"partial: {self.pictures} of {self.of_pictures} pictures were scored, of {self.cases} of {self.of_cases}"
            " cases; figures are of these alone"
        )


def scope_of(scored: Sequence[Scored], cases: Sequence[Case]) -> Scope:
    """The scope of `scored` among all `cases` of a benchmark."""
    pictures = sum(case.request.num_images for case in cases)
    return Scope(len({one.case for one in scored}), len(scored), len(cases), pictures)
