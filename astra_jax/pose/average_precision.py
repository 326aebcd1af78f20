"""COCO's keypoint average precision and recall (cocodataset.org/#keypoints-eval), in NumPy.

    figures = keypoint_ap([(TruePeople.drawn(people), FoundPeople(guesses, scores)), ...])

The rules are cocoapi's: guesses, best first, each take the most similar person that is free. A person who is in a
crowd, bears no labelled joint or is outside the range of areas is ignored, and so are a guess that found such a person
and one of such a size that found nobody. Precision is read at 101 recalls and averaged over ten OKS thresholds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from astra_jax.pose import skeleton
from astra_jax.pose.oks import areas, oks_matrix

MAX_GUESSES = 20  # a picture; the best count
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
RANGES = {"": (0.0, 1e10), "m": (32.0**2, 96.0**2), "l": (96.0**2, 1e10)}  # square pixels; all, medium, large


@dataclasses.dataclass(frozen=True, eq=False)
class TruePeople:
    """The annotated people of one picture, in pixels.

    `areas` are their segments', `boxes` are (x, y, width, height), `crowd` marks an annotation of many people as one.
    """

    people: Float[np.ndarray, "P 17 3"]
    areas: Float[np.ndarray, "P"]
    boxes: Float[np.ndarray, "P 4"]
    crowd: Bool[np.ndarray, "P"]

    @classmethod
    def drawn(cls, people: Float[np.ndarray, "P J 3"]) -> TruePeople:
        """People of whom only the joints are known: boxes are drawn around them, areas estimated from those."""
        corners = skeleton.boxes(people[:, : skeleton.BODY_POINTS])
        boxes = skeleton.with_sizes(corners)
        return cls(people[:, : skeleton.BODY_POINTS], areas(people), boxes, np.zeros(len(people), bool))


@dataclasses.dataclass(frozen=True, eq=False)
class FoundPeople:
    """The people that an estimator found in one picture, with a confidence each; their visibilities play no part."""

    people: Float[np.ndarray, "Q 17 3"]
    scores: Float[np.ndarray, "Q"]

    def __post_init__(self):
        if not (np.isfinite(self.people).all() and np.isfinite(self.scores).all()):
            raise ValueError("joints and scores of found people must be finite")


@dataclasses.dataclass(frozen=True, eq=False)
class _Match:
    """One picture's guesses, best first, against its people, for every OKS threshold."""

    scores: Float[np.ndarray, "Q"]
    found: Bool[np.ndarray, "T Q"]
    ignored: Bool[np.ndarray, "T Q"]
    positives: int  # people who count


Matches = Mapping[str, _Match]  # of one picture, for every range of areas


def match_picture(truth: TruePeople, found: FoundPeople) -> Matches:
    """What of a picture counts for precision and recall; raises `ValueError` for areas that `oks_matrix` refuses."""
    order = np.argsort(-found.scores, kind="stable")[:MAX_GUESSES]
    guesses, scores = found.people[order], found.scores[order]
    oks = oks_matrix(truth.people, truth.areas, guesses, truth.boxes).T
    extent = np.ptp(guesses[..., :2].astype(np.float64), axis=1).prod(axis=-1)
    uncounted = truth.crowd | ~(truth.people[..., 2] > 0).any(axis=1)
    matches = {}
    for name, (low, high) in RANGES.items():
        ignore = uncounted | (truth.areas < low) | (truth.areas > high)
        outside = (extent < low) | (extent > high)
        matches[name] = _match(oks, scores, ignore, truth.crowd, outside)
    return matches


def keypoint_ap(pictures: Iterable[tuple[TruePeople, FoundPeople]]) -> dict[str, float]:
    """AP, AP50, AP75, APm, APl and AR, AR50, AR75, ARm, ARl, each 0..1, or -1 where no person counts (as in COCO).

    Equal scores keep the order of the pictures and of the guesses in them; cocoapi goes by rising picture id. Raises
    `ValueError` as `match_picture`.
    """
    matches = [match_picture(*pair) for pair in pictures]
    precision, recall = zip(*(_curves([match[name] for match in matches]) for name in RANGES), strict=True)
    figures = {}
    for letter, curves in (("P", precision), ("R", recall)):
        figures[f"A{letter}"] = _mean(curves[0])
        figures |= {f"A{letter}{percent}": _mean(curves[0][[i]]) for percent, i in ((50, 0), (75, 5))}
        figures |= {f"A{letter}{name}": _mean(curve) for name, curve in zip(RANGES, curves, strict=True) if name}
    return figures


def matched_ap(matches: Iterable[Matches]) -> float:
    """AP alone, of pictures that are matched already: for a bootstrap, which takes the same pictures many times."""
    return _mean(_curves([match[""] for match in matches])[0])


def _match(
    oks: Float[np.ndarray, "Q P"],
    scores: Float[np.ndarray, "Q"],
    ignore: Bool[np.ndarray, "P"],
    crowd: Bool[np.ndarray, "P"],
    outside: Bool[np.ndarray, "Q"],
) -> _Match:
    thresholds, guesses, people = len(THRESHOLDS), *oks.shape
    taken = np.zeros((thresholds, people), bool)
    found = np.zeros((thresholds, guesses), bool)
    ignored = np.repeat(outside[None], thresholds, axis=0)
    every = np.arange(thresholds)
    for q in range(guesses if people else 0):
        fits = (~taken | crowd) & (oks[q] >= THRESHOLDS[:, None])
        # Ignored people are for guesses that no other person takes.
        fits &= ~(ignore & (fits & ~ignore).any(axis=1, keepdims=True))
        similarity = np.where(fits, oks[q], -1.0)
        best = people - 1 - similarity[:, ::-1].argmax(axis=1)  # the last of equals, as cocoapi's loop has it
        found[:, q] = fits[every, best]
        taken[every, best] |= found[:, q]
        ignored[:, q] = np.where(found[:, q], ignore[best], outside[q])
    return _Match(scores, found, ignored, int((~ignore).sum()))


def _curves(matches: list[_Match]) -> tuple[Float[np.ndarray, "T R"], Float[np.ndarray, "T"]]:
    """Precision at `RECALLS` and the last recall, for every threshold; -1 where there is nobody to find."""
    positives = sum(match.positives for match in matches)
    if not positives:
        return np.full((len(THRESHOLDS), len(RECALLS)), -1.0), np.full(len(THRESHOLDS), -1.0)
    order = np.argsort(-np.concatenate([match.scores for match in matches]), kind="stable")
    found, ignored = (
        np.concatenate([getattr(match, name) for match in matches], axis=1)[:, order] for name in ("found", "ignored")
    )
    hits, misses = np.cumsum(found & ~ignored, axis=1), np.cumsum(~found & ~ignored, axis=1)
    recall = hits / positives
    # The spacing and the running maximum from behind are cocoapi's.
    precision = hits / (hits + misses + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(precision, ((0, 0), (0, 1)))  # recalls that were never reached have precision 0
    places = np.stack([np.searchsorted(row, RECALLS, side="left") for row in recall])
    last = recall[:, -1] if len(order) else np.zeros(len(THRESHOLDS))
    return np.take_along_axis(padded, places, axis=1), last


def _mean(values: np.ndarray) -> float:
    counted = values[values > -1]
    return float(counted.mean()) if counted.size else -1.0
