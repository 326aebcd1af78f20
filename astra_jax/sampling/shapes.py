"""Which pictures are drawn together: full batches of one shape, and few shapes, because each is compiled."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from astra_jax.flow.schedule import skipped_steps
from astra_jax.inputs.requests import GivenPose, Request
from astra_jax.pose.people_words import count_people, is_person
from astra_jax.sampling.settings import Settings

# Batches from which a shape is worth programs of its own: compiling them takes about as long as drawing so many.
OWN_PROGRAM = 8


@dataclasses.dataclass(frozen=True, order=True)
class Shape:
    """What the programs of a batch are compiled for."""

    height: int  # pixels
    width: int
    steps: int
    skipped: int  # of the steps, because a start picture takes their place
    guided: bool  # by classifier-free guidance
    pose: bool  # whether there are pose tokens
    subjects: int  # slots

    def holds(self, other: Shape) -> bool:
        """Whether pictures of shape `other` can be drawn as pictures of this one, some of its tokens masked."""
        same = dataclasses.replace(self, pose=other.pose, subjects=other.subjects) == other
        return same and self.pose >= other.pose and self.subjects >= other.subjects


def shape_of(request: Request, settings: Settings) -> Shape:
    """The smallest shape that holds a request, told without opening its files."""
    return Shape(
        *settings.size,
        steps=settings.steps,
        skipped=0 if request.image is None else skipped_steps(settings.steps, settings.strength),
        guided=settings.cfg_scale != 1,
        pose=wants_pose(request),
        subjects=len(request.subjects),
    )


def people_asked_for(request: Request) -> int | None:
    """How many people a retrieved pose must have: what the request says, else the prompt or the subjects' phrases.

    None: there are people ("a crowd"), but nobody says how many.

    A subject that is no person (a backpack) takes no skeleton; where prompt and subjects disagree, the larger number
    counts, for a prompt may name people who have no photo.
    """
    if request.people is not None:
        return request.people
    counted, subjects = count_people(request.prompt), sum(is_person(subject.phrase) for subject in request.subjects)
    return subjects or None if counted is None else max(counted, subjects)


def wants_pose(request: Request) -> bool:
    """Whether a request will have pose tokens, told from its words alone."""
    if isinstance(request.pose, GivenPose):
        return request.pose.picture is not None or request.pose.people is not None
    return bool(people_asked_for(request)) if request.pose == "auto" else request.pose != "none"


def choose_shapes(shapes: Sequence[Shape], pictures: Sequence[int], batch_size: int) -> list[Shape]:
    """The shape that each request is drawn in, so that few programs serve all.

    Args:
        shapes: of the requests, from `shape_of`.
        pictures: how many each of them asks for.
        batch_size: pictures drawn together.

    A shape with fewer than `OWN_PROGRAM` batches goes with the smallest other one that holds it, if there is one.
    """
    counts: Counter[Shape] = Counter()
    for shape, number in zip(shapes, pictures, strict=True):
        counts[shape] += number
    chosen = {shape: shape for shape in counts}
    for shape in sorted(counts):  # a larger shape comes after those that it holds
        if counts[shape] >= OWN_PROGRAM * batch_size:
            continue
        if larger := [other for other in counts if other != shape and counts[other] and other.holds(shape)]:
            home = min(larger)
            counts[home] += counts.pop(shape)
            chosen = {asked: home if given == shape else given for asked, given in chosen.items()}
    return [chosen[shape] for shape in shapes]
