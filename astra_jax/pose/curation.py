"""Which real pictures make a pose bank: rules that need no model, and a report of what each of them dropped."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from astra_jax.pose.coco import Picture
from astra_jax.pose.database import MAX_CAPTIONS, MAX_TEXT, PoseEntry
from astra_jax.pose.skeleton import LEFT_SHOULDER, MAX_COORDINATE, RIGHT_SHOULDER

MAX_PEOPLE = 4
MIN_JOINTS = 10
MIN_BOX = 0.03  # of the picture's area

# A picture is dropped by the first rule that holds. That the data base is curated is the paper's; the rules are ours.
_RULES: dict[str, Callable[[Picture, Sequence[str]], bool]] = {
    "shows a crowd": lambda picture, captions: bool(picture.crowd.any()),
    "has no caption": lambda picture, captions: not captions,
    f"does not show 1 to {MAX_PEOPLE} people": lambda picture, captions: not 1 <= len(picture.people) <= MAX_PEOPLE,
    f"someone has fewer than {MIN_JOINTS} labelled joints": lambda picture, captions: _joints(picture) < MIN_JOINTS,
    "someone lacks a shoulder": lambda picture, captions: not _shoulders(picture),
    f"someone's box is below {MIN_BOX:.0%} of the picture": lambda picture, captions: _smallest(picture) < MIN_BOX,
    "someone lies outside of any picture": lambda picture, captions: bool(
        np.abs(picture.people).max(initial=0) > MAX_COORDINATE
    ),
}


@dataclasses.dataclass(frozen=True)
class Report:
    """How many pictures came, how many were kept, and how many each rule dropped."""

    seen: int
    kept: int
    dropped: Mapping[str, int]

    def __str__(self) -> str:
        lines = [f"{count:8d} dropped: {rule}" for rule, count in self.dropped.items()]
        return "\n".join([f"{self.seen:8d} pictures", *lines, f"{self.kept:8d} kept"])


def curate(
    pictures: Iterable[Picture], captions: Mapping[int, Sequence[str]], source: str, licence: str
) -> tuple[list[PoseEntry], Report]:
    """Entries of the pictures that no rule drops, in their order, and the report.

    Every annotated person counts, labelled or not: a picture whose third person has no joints is dropped, since its
    skeletons would not show what its captions tell.
    """
    slug = "-".join(source.lower().split())
    entries, dropped, seen = [], collections.Counter(dict.fromkeys(_RULES, 0)), 0
    for picture in pictures:
        seen += 1
        texts = [text for text in captions.get(picture.id, ()) if len(text) <= MAX_TEXT][:MAX_CAPTIONS]
        rule = next((name for name, drops in _RULES.items() if drops(picture, texts)), None)
        if rule is not None:
            dropped[rule] += 1
            continue
        entries.append(
            PoseEntry(
                id=f"{slug}-{picture.id}",
                people=picture.people,
                height=picture.height,
                width=picture.width,
                captions=tuple(texts),
                quality=quality(picture),
                source=f"{source} {picture.id}",
                licence=licence,
            )
        )
    return entries, Report(seen, len(entries), dropped)


def quality(picture: Picture) -> float:
    """0 to 1: the mean over all joints of 1 for a visible, 0.5 for a hidden and 0 for an absent one (our decision)."""
    return float(picture.people[..., 2].mean() / 2)


def _joints(picture: Picture) -> int:
    return int((picture.people[..., 2] > 0).sum(axis=1).min())


def _shoulders(picture: Picture) -> bool:
    return bool((picture.people[:, [LEFT_SHOULDER, RIGHT_SHOULDER], 2] > 0).all())


def _smallest(picture: Picture) -> float:
    return float((picture.boxes[:, 2] * picture.boxes[:, 3]).min() / (picture.height * picture.width))
