"""Which real pictures make a pose bank: rules that need no model, and a report of what each of them dropped."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from astra_jax.pose.complexity import complexity
from astra_jax.pose.database import MAX_CAPTIONS, MAX_TEXT, PoseEntry
from astra_jax.pose.near_duplicates import near_duplicates
from astra_jax.pose.pictures import Picture
from astra_jax.pose.skeleton import BODY_POINTS, LEFT_SHOULDER, MAX_COORDINATE, RIGHT_SHOULDER

MAX_PEOPLE = 4
MIN_JOINTS = 10
MIN_BOX = 0.03  # of the picture's area
# Pixels of the box's longer side: annotations are whole pixels, and at 48 one is 2 % of the person.
MIN_SIDE = 48

# A picture is dropped by the first rule that holds. That the data base is curated is the paper's; the rules are ours.
_RULES: dict[str, Callable[[Picture], bool]] = {
    "shows a crowd": lambda picture: bool(picture.crowd.any()),
    "has no caption": lambda picture: not _captions(picture),
    f"does not show 1 to {MAX_PEOPLE} people": lambda picture: not 1 <= len(picture.people) <= MAX_PEOPLE,
    f"someone has fewer than {MIN_JOINTS} labelled joints": lambda picture: _joints(picture) < MIN_JOINTS,
    "someone lacks a shoulder": lambda picture: not _shoulders(picture),
    f"someone's box is below {MIN_BOX:.0%} of the picture": lambda picture: _smallest(picture) < MIN_BOX,
    f"someone's box is below {MIN_SIDE} pixels": lambda picture: picture.boxes[:, 2:].max(axis=1).min() < MIN_SIDE,
    "someone lies outside of any picture": lambda picture: bool(np.abs(picture.people).max(initial=0) > MAX_COORDINATE),
}
_HELD_OUT, _DUPLICATE = "is held out", "shows the poses of a better one"


@dataclasses.dataclass(frozen=True)
class Report:
    """How many pictures came, how many were kept, and how many each rule dropped."""

    seen: int
    kept: int
    dropped: Mapping[str, int]
    verbs: int = 0  # pictures with a caption of verbs, among those that came
    unknown: int = 0  # ids to be held out that no picture has

    def __str__(self) -> str:
        lines = [f"{self.seen:8d} pictures"]
        lines += [f"{self.verbs:8d} of them with verbs"] if self.verbs else []
        lines += [f"{count:8d} dropped: {rule}" for rule, count in self.dropped.items()]
        lines += [f"{self.unknown:8d} ids to be held out are of no picture here"] if self.unknown else []
        return "\n".join([*lines, f"{self.kept:8d} kept"])


def curate(
    pictures: Iterable[Picture],
    source: str,
    licence: str,
    held_out: Collection[str] = (),
    known: Sequence[PoseEntry] = (),
) -> tuple[list[PoseEntry], Report]:
    """Entries of the pictures that no rule drops, in their order, and the report.

    Every annotated person counts, labelled or not: a picture whose third person has no joints is dropped, since its
    skeletons would not show what its captions tell. Of near-duplicates (`near_duplicates`) the one of the best quality
    stays.

    Args:
      pictures: in the order the entries shall have.
      source: name of the data; an entry's id begins with it.
      licence: of the annotations.
      held_out: ids of pictures that must not be in the bank.
      known: entries that are in the bank already; what is a near-duplicate of them is dropped.
    """
    slug = "-".join(source.lower().split())
    entries, dropped = [], collections.Counter(dict.fromkeys([_HELD_OUT, *_RULES, _DUPLICATE], 0))
    seen, verbs, unknown = 0, 0, set(held_out)
    for picture in pictures:
        seen += 1
        verbs += bool(picture.verbs)
        unknown.discard(picture.id)
        rule = next((name for name, drops in _RULES.items() if drops(picture)), None)
        if picture.id in held_out:
            rule = _HELD_OUT
        if rule is not None:
            dropped[rule] += 1
            continue
        entries.append(
            PoseEntry(
                id=f"{slug}-{picture.id}",
                people=picture.people,
                height=picture.height,
                width=picture.width,
                captions=_captions(picture),
                action=picture.action[:MAX_TEXT],
                quality=quality(picture),
                complexity=complexity(picture.people, picture.boxes),
                source=" ".join([source, picture.id, picture.source]).strip()[:MAX_TEXT],
                licence=f"{licence}; photo: {picture.licence}"[:MAX_TEXT] if picture.licence else licence,
            )
        )
    better = [2.0] * len(known) + [entry.quality for entry in entries]
    same = near_duplicates([entry.people for entry in (*known, *entries)], better)[len(known) :]
    dropped[_DUPLICATE] = int(same.sum())
    entries = [entry for entry, drop in zip(entries, same, strict=True) if not drop]
    return entries, Report(seen, len(entries), dropped, verbs, len(unknown))


def quality(picture: Picture) -> float:
    """0 to 1: the mean over all joints of 1 for a visible, 0.5 for a hidden and 0 for an absent one (our decision)."""
    return float(picture.people[:, :BODY_POINTS, 2].mean() / 2)


def _captions(picture: Picture) -> tuple[str, ...]:
    more = (picture.verbs,) if 0 < len(picture.verbs) <= MAX_TEXT else ()
    texts = [text for text in picture.captions if len(text) <= MAX_TEXT]
    return (*texts[: MAX_CAPTIONS - len(more)], *more)


def _joints(picture: Picture) -> int:
    return int((picture.people[:, :BODY_POINTS, 2] > 0).sum(axis=1).min())


def _shoulders(picture: Picture) -> bool:
    return bool((picture.people[:, [LEFT_SHOULDER, RIGHT_SHOULDER], 2] > 0).all())


def _smallest(picture: Picture) -> float:
    return float((picture.boxes[:, 2] * picture.boxes[:, 3]).min() / (picture.height * picture.width))
