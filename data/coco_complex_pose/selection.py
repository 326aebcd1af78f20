"""Which pictures of COCO val2017 make COCO-ComplexPose, and which caption is the prompt. All rules are our decision.

COCO's annotations are to be had in several forms: the official file has crowds, people without joints and segments'
areas, others have boxes and joints alone. The rules use what all of them have, so that the list is the same: people are
those with a labelled joint, and areas are those of the boxes times `BOX_FILL`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from astra_jax.pose.action_text import action_text
from astra_jax.pose.complexity import complexity
from astra_jax.pose.mentions import mentions, tokenise
from astra_jax.pose.oks import BOX_FILL
from astra_jax.pose.people_words import count_people
from astra_jax.pose.pictures import Picture, labelled
from astra_jax.pose.skeleton import JOINTS
from astra_jax.pose.word_lists import BREAKS

MAX_PEOPLE = 3
MIN_JOINTS = 10
MIN_AREA = 96.0**2  # square pixels of a segment: what COCO calls large
TRUNK = [JOINTS.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
CASES = 500


@dataclasses.dataclass(frozen=True)
class Choice:
    """A picture's id, the id of the caption that is its prompt, and how complex its poses are."""

    image: int
    caption: int
    complexity: float


def select(pictures: Iterable[Picture], captions: Mapping[int, tuple[str, str]], cases: int = CASES) -> list[Choice]:
    """The `cases` pictures of the most complex poses (`pose.complexity`), equal ones by id.

    A picture fits if it shows 1 to 3 people, each with at least 10 labelled joints, both shoulders and both hips among
    them, and a segment of at least 96^2 pixels, and if a caption speaks of exactly so many people. `captions` are what
    `coco.read_captions` gave.
    """
    said: dict[str, list[tuple[int, str]]] = {}
    for number, (image, text) in captions.items():
        said.setdefault(image, []).append((number, text))
    choices = []
    for picture in map(labelled, pictures):
        if not _fits(picture):
            continue
        caption = best_caption(said.get(picture.id, ()), len(picture.people))
        if caption is not None:
            # Rounded: the last digits of boxes differ between the forms of the annotations.
            choices.append(Choice(int(picture.id), caption, round(complexity(picture.people, picture.boxes), 3)))
    return sorted(choices, key=lambda choice: (-choice.complexity, choice.image))[:cases]


def best_caption(captions: Sequence[tuple[int, str]], people: int) -> int | None:
    """The id of the caption that tells most of what `people` people do; None where none counts so many.

    One that names an action goes before one that does not; then the more people have words of their own ("a man and a
    woman", not "two people"), which identities can be bound to; then the lower id.
    """
    ranked = []
    for number, text in captions:
        if count_people(text) != people:
            continue
        alone = sum(mention.count == 1 for mention in mentions(tokenise(text)))
        action = set(action_text(text).split()) - BREAKS - {"person", "people"}
        ranked.append((not action, -min(alone, people), number))
    return min(ranked)[-1] if ranked else None


def _fits(picture: Picture) -> bool:
    there = picture.people[..., 2] > 0
    return bool(
        1 <= len(there) <= MAX_PEOPLE
        and there.sum(axis=1).min() >= MIN_JOINTS
        and there[:, TRUNK].all()
        and BOX_FILL * picture.boxes[:, 2:].astype(float).prod(axis=1).min() >= MIN_AREA
    )
