"""From pictures to figures: every picture is scored, then figures are taken over all of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from astra_jax.evaluation.figures import Figure, mean_figure
from astra_jax.evaluation.pose_scores import precision_figure
from astra_jax.evaluation.samples import Benchmark, Sample, Scores


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """A picture's scores, without the picture."""

    case: str
    index: int
    scores: Scores


def score_samples(benchmark: Benchmark, samples: Iterable[Sample], batch: int = 16) -> Iterator[Scored]:
    """Scores pictures, `batch` of them at a time."""
    samples = iter(samples)
    while some := list(itertools.islice(samples, batch)):
        for sample, scores in zip(some, benchmark.score(some), strict=True):
            yield Scored(sample.case.id, sample.index, scores)


def figures_of(scored: Sequence[Scored]) -> dict[str, Figure]:
    """All figures: means of what `Scores.values` hold, and where people are known the average precision, `ap`.

    The bootstrap draws cases, so pictures of one case stay together. A figure that no picture has a value of is absent.
    """
    cases: dict[str, list[Scores]] = {}
    for one in scored:
        cases.setdefault(one.case, []).append(one.scores)
    names = dict.fromkeys(name for one in scored for name in one.scores.values)
    figures = {}
    for name in names:
        groups = [[value for scores in some for value in scores.values.get(name, ())] for some in cases.values()]
        if any(groups):
            figures[name] = mean_figure(groups)
    pairs = [[scores.people for scores in some if scores.people is not None] for some in cases.values()]
    if pairs := [some for some in pairs if some]:
        figures["ap"] = precision_figure(pairs)
    return figures
