"""People as COCO joints: names, layout of a whole body, order and boxes. NumPy only.

People are an array `[P, 17, 3]`, or `[P, 133, 3]` with feet, face and hands: x, y in pixels of the picture (x to the
right, y down) and the COCO visibility v (0 absent, 1 labelled but hidden, 2 visible). The 133 points are
COCO-WholeBody's; its first 17 are COCO's joints, so whatever reads those takes either.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from astra_jax.errors import UserError

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
LEFT_SHOULDER, RIGHT_SHOULDER = JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")
BODY_POINTS, WHOLE_BODY_POINTS = 17, 133
# COCO-WholeBody's parts (arXiv 2007.11858): toes and heel of the left foot, then of the right; the 68 points of iBUG's
# face; of each hand the wrist, then four points a finger from thumb to little finger, from root to tip.
FEET, FACE = slice(17, 23), slice(23, 91)
LEFT_HAND, RIGHT_HAND = slice(91, 112), slice(112, 133)
# Coordinates beyond this are no picture's; it keeps every later product far from overflow.
MAX_COORDINATE = 1e6
MAX_SIDE = 65_536  # pixels of a picture


def check_people(people: np.ndarray, what: str, points: tuple[int, ...] = (BODY_POINTS,)) -> Float[np.ndarray, "P J 3"]:
    """Validated people as float32.

    Raises `UserError`, its text starting with `what`, unless there is at least one person, each with one of the numbers
    of `points` of finite (x, y, v), v in {0, 1, 2} and at least one of them present.
    """
    people = np.asarray(people)
    if people.ndim != 3 or people.shape[1] not in points or people.shape[2] != 3:
        expected = " or ".join(map(str, points))
        raise UserError(
            f"{what}: people must have {expected} COCO joints of (x, y, v), not an array of shape {people.shape}"
        )
    if len(people) == 0:
        raise UserError(f"{what}: there is no person in it")
    people = people.astype(np.float32)
    if not np.isfinite(people).all() or np.abs(people).max() > MAX_COORDINATE:
        raise UserError(f"{what}: a joint's coordinate is not a finite number of pixels")
    if not np.isin(people[..., 2], (0, 1, 2)).all():
        raise UserError(f"{what}: a joint's visibility is none of 0 (absent), 1 (hidden), 2 (visible)")
    if not (people[..., 2] > 0).any(axis=1).all():
        raise UserError(f"{what}: a person has no joint with visibility above 0")
    return people


def with_details(people: Float[np.ndarray, "P J 3"]) -> Float[np.ndarray, "P 133 3"]:
    """People with 133 points each; the feet, faces and hands of those with 17 are absent (zeros)."""
    return np.pad(people, ((0, 0), (0, WHOLE_BODY_POINTS - people.shape[1]), (0, 0)))


def neck(people: Float[np.ndarray, "P J 3"]) -> Float[np.ndarray, "P 3"]:
    """The OpenPose neck: the middle of the shoulders. v is the smaller of theirs, so 0 unless both are present."""
    shoulders = people[:, [LEFT_SHOULDER, RIGHT_SHOULDER]]
    point = shoulders.mean(axis=1)
    point[:, 2] = shoulders[..., 2].min(axis=1)
    return point


def places(people: Float[np.ndarray, "P J 3"]) -> Float[np.ndarray, "P"]:
    """Where people stand: the x of their necks; without a neck the mean x of the joints present."""
    necks, present = neck(people), people[..., 2] > 0
    middle = (people[..., 0] * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return np.where(necks[:, 2] > 0, necks[:, 0], middle)


def left_to_right(people: Float[np.ndarray, "P J 3"]) -> Int[np.ndarray, "P"]:
    """The order that sorts people by `places`."""
    return np.argsort(places(people), kind="stable")


def visible(people: Float[np.ndarray, "P J _"]) -> Float[np.ndarray, "P J 3"]:
    """People with every joint visible: for those whose third number is no visibility, as an estimator's confidences."""
    return np.concatenate([people[..., :2], np.full((*people.shape[:2], 1), 2.0)], axis=-1)


def with_sizes(corners: Float[np.ndarray, "P 4"]) -> Float[np.ndarray, "P 4"]:
    """Boxes (x0, y0, x1, y1) as (x, y, width, height)."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def boxes(people: Float[np.ndarray, "P J 3"]) -> Float[np.ndarray, "P 4"]:
    """(x0, y0, x1, y1) in pixels around all points present; zeros for a person without any."""
    present = (people[..., 2] > 0)[..., None]
    low = np.where(present, people[..., :2], np.inf).min(axis=1)
    high = np.where(present, people[..., :2], -np.inf).max(axis=1)
    return np.where(present.any(axis=1), np.concatenate([low, high], axis=1), 0.0).astype(people.dtype)
