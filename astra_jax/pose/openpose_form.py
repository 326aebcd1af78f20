"""People as OpenPose writes them: `{"people": [{"pose_keypoints_2d": [x, y, confidence, ...], ...}]}`.

Bodies have 18 points (COCO's model, which ControlNet tools write) or 25, with feet. `hand_left_keypoints_2d`,
`hand_right_keypoints_2d` and `face_keypoints_2d` have 21, 21 and 70 points, the last two of a face its pupils; DWPose's
tools leave those out. Facts: openpose/doc/02_output.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.pose.drawing import OPENPOSE_FROM_COCO
from astra_jax.pose.keypoint_lists import confident, read_points, read_size
from astra_jax.pose.skeleton import BODY_POINTS, FACE, FEET, LEFT_HAND, RIGHT_HAND, WHOLE_BODY_POINTS, neck

# OpenPose point of each COCO joint, in its two layouts; the longer one has neck, middle of the hips and feet besides.
_COCO_FROM_BODY_18 = tuple(OPENPOSE_FROM_COCO.index(joint) for joint in range(BODY_POINTS))
_COCO_FROM_BODY_25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
_NECK, _MIDDLE_HIP, _FEET_25 = 1, 8, slice(19, 25)
_LEFT_HIP, _RIGHT_HIP = 11, 12  # COCO's
_DETAILS = (
    ("face_keypoints_2d", "points of a face", FACE, (68, 70)),
    ("hand_left_keypoints_2d", "points of a hand", LEFT_HAND, (21,)),
    ("hand_right_keypoints_2d", "points of a hand", RIGHT_HAND, (21,)),
)


def read_openpose(tree: Any, path: Path) -> tuple[list[np.ndarray], tuple[int, int] | None] | None:
    """Whole bodies [133, 3] and the picture's (height, width), as far as known; None for what has no list `people`.

    Raises `UserError` for wrong numbers of points, numbers that are not finite, and sizes that are none.
    """
    if isinstance(tree, list) and len(tree) == 1:
        tree = tree[0]
    if not isinstance(tree, dict) or not isinstance(tree.get("people"), list):
        return None
    return [_person(person, path) for person in tree["people"]], read_size(tree, "canvas_height", "canvas_width", path)


def write_openpose(people: Float[np.ndarray, "P J 3"], size: tuple[int, int]) -> dict[str, Any]:
    """The tree for people with 17 or 133 points in a picture of `size` = (height, width).

    Bodies get 25 points if anybody has feet, else 18. OpenPose tells no hidden points: those have confidence 1 too.
    """
    joints = people[:, :BODY_POINTS]
    feet = people[:, FEET] if people.shape[1] == WHOLE_BODY_POINTS else np.zeros((len(people), 6, 3))
    if (feet[..., 2] > 0).any():
        bodies = np.zeros((len(people), 25, 3))
        bodies[:, _COCO_FROM_BODY_25], bodies[:, _NECK], bodies[:, _FEET_25] = joints, neck(joints), feet
        hips = joints[:, [_LEFT_HIP, _RIGHT_HIP]]
        bodies[:, _MIDDLE_HIP] = np.where((hips[..., 2] > 0).all(axis=1, keepdims=True), hips.mean(axis=1), 0)
    else:
        bodies = np.concatenate([joints, neck(joints)[:, None]], axis=1)[:, OPENPOSE_FROM_COCO]
    rows = []
    for person, body in zip(people, bodies, strict=True):
        row = {"pose_keypoints_2d": _flat(body)}
        if people.shape[1] == WHOLE_BODY_POINTS:
            for name, _, place, _ in _DETAILS:
                row[name] = _flat(person[place]) if (person[place, 2] > 0).any() else []
        rows.append(row)
    return {"version": 1.3, "canvas_height": size[0], "canvas_width": size[1], "people": rows}


def _person(person: Any, path: Path) -> np.ndarray:
    if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
        raise UserError(f"{path}: a person has no pose_keypoints_2d")
    body = confident(read_points(person["pose_keypoints_2d"], path, (18, 25)))
    points = np.zeros((WHOLE_BODY_POINTS, 3))
    points[:BODY_POINTS] = body[list(_COCO_FROM_BODY_18 if len(body) == 18 else _COCO_FROM_BODY_25)]
    if len(body) == 25:
        points[FEET] = body[_FEET_25]
    for name, part, place, counts in _DETAILS:
        if person.get(name) not in (None, []):
            detail = confident(read_points(person[name], path, counts, part))
            points[place] = detail[: place.stop - place.start]
    return points


def _flat(points: np.ndarray) -> list[float]:
    present = points[:, 2:] > 0
    return np.where(present, np.concatenate([points[:, :2], present], axis=1), 0.0).ravel().tolist()
