"""People of several scenes side by side on one canvas: alike in height, on one ground, no two of them in one place.

For prompts whose people each do something of their own, where no scene of the bank shows all of it. All rules are our
decision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from astra_jax.pose.skeleton import WHOLE_BODY_POINTS, boxes, left_to_right, with_details

# Lengths as a fraction of the height of a standing person (Drillis and Contini, 1966, in Winter, "Biomechanics and
# Motor Control of Human Movement"): shoulder to hip, hip to knee, knee to ankle, shoulder to elbow, elbow to wrist.
_BONES = (
    *((5 + side, 11 + side, 0.288) for side in (0, 1)),
    *((11 + side, 13 + side, 0.245) for side in (0, 1)),
    *((13 + side, 15 + side, 0.246) for side in (0, 1)),
    *((5 + side, 7 + side, 0.186) for side in (0, 1)),
    *((7 + side, 9 + side, 0.146) for side in (0, 1)),
)
_SHOULDER_HEIGHT = 0.818  # of a standing person, by the same source
_ANKLES, _SHOULDERS = [15, 16], [5, 6]
GAP = 0.1  # between two groups, of a person's height, where the canvas has room
MAX_OVERLAP = 0.2  # of the narrower of two groups' boxes, where it has not
MARGIN = 0.06  # on every side, of the composition
_LEAST = 1e-3  # extent of a composition, of a person's height: people whose joints are all in one place have none


def height_standing(person: Float[np.ndarray, "J 3"]) -> float:
    """Estimated height of a person if upright, in pixels: the largest that a bone with both joints present implies.

    Bones look shorter where they point at the camera, never longer. Without a bone, the height of the joints' box
    (at least 1).
    """
    heights = [
        float(np.hypot(*(person[i, :2] - person[j, :2]))) / share
        for i, j, share in _BONES
        if person[i, 2] > 0 and person[j, 2] > 0
    ]
    _, top, _, bottom = boxes(person[None])[0]
    return max([*heights, 1.0] if heights else [float(bottom - top), 1.0])


def compose(groups: Sequence[Float[np.ndarray, "_ _ 3"]], canvas: tuple[int, int]) -> Float[np.ndarray, "Q J 3"]:
    """All people of `groups` on a canvas of (height, width) pixels, the groups from left to right in their order.

    Each group is scaled as a whole, so that its mean `height_standing` is that of the others, and stands on the common
    ground by its lowest ankle (by where its feet would be, if no ankle is present). Boxes of neighbouring groups are
    `GAP` apart; if that makes the composition wider than the canvas, they move together, by at most `MAX_OVERLAP` of
    the narrower one. The whole is fitted into the canvas, centred. People come from left to right by neck. They have 17
    joints, or 133 points if any group has: those of the others are absent.
    """
    if any(group.shape[1] == WHOLE_BODY_POINTS for group in groups):
        groups = [with_details(group) for group in groups]
    placed = [_standing(np.asarray(group, np.float64)) for group in groups]
    spans = [_box(group) for group in placed]
    widths = np.array([right - left for left, _, right, _ in spans])
    tall = max(bottom for *_, bottom in spans) - min(top for _, top, *_ in spans)
    gaps = _gaps(widths, tall * canvas[1] / canvas[0])
    starts = np.concatenate([[0.0], np.cumsum(widths[:-1] + gaps)])
    for group, start, (left, *_) in zip(placed, starts, spans, strict=True):
        group[..., 0] += start - left
    people = np.concatenate(placed)
    left, top, right, bottom = _box(people)
    wide, high = right - left, bottom - top
    edges = 2 * MARGIN * max(wide, high, _LEAST)
    scale = min(canvas[1] / (wide + edges), canvas[0] / (high + edges))
    middle = np.array([left + right, top + bottom]) / 2
    people[..., :2] = (people[..., :2] - middle) * scale + np.array([canvas[1], canvas[0]]) / 2
    people = people.astype(np.float32)
    return people[left_to_right(people)]


def _standing(group: Float[np.ndarray, "P J 3"]) -> Float[np.ndarray, "P J 3"]:
    """The group with a mean height of 1 and the ground at y = 0."""
    height = np.mean([height_standing(person) for person in group])
    ankles, shoulders = group[:, _ANKLES], group[:, _SHOULDERS]
    if (ankles[..., 2] > 0).any():
        ground = ankles[..., 1][ankles[..., 2] > 0].max()
    elif (shoulders[..., 2] > 0).any():
        ground = shoulders[..., 1][shoulders[..., 2] > 0].mean() + _SHOULDER_HEIGHT * height
    else:
        ground = _box(group)[3]
    return (group - np.array([0.0, ground, 0.0])) * np.array([1 / height, 1 / height, 1.0])


def _gaps(widths: Float[np.ndarray, "G"], room: float) -> Float[np.ndarray, "N"]:
    """Distances between neighbours: `GAP` if the sum fits into `room`, else as much less as it takes and may be."""
    widest = np.full(len(widths) - 1, GAP)
    narrowest = -MAX_OVERLAP * np.minimum(widths[:-1], widths[1:])
    over = widths.sum() + widest.sum() - room
    give = (widest - narrowest).sum()
    return widest - np.clip(over / give, 0.0, 1.0) * (widest - narrowest) if len(widest) else widest


def _box(people: Float[np.ndarray, "P J 3"]) -> tuple[float, float, float, float]:
    each = boxes(people)
    return float(each[:, 0].min()), float(each[:, 1].min()), float(each[:, 2].max()), float(each[:, 3].max())
