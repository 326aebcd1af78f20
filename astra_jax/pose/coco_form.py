"""People as COCO and COCO-WholeBody write them: annotations of one picture, or the results of an estimator.

A person is `{"keypoints": [x, y, v, ...]}` with 17 joints, and with `foot_kpts`, `face_kpts`, `lefthand_kpts` and
`righthand_kpts` (6, 68, 21 and 21 points) for a whole body; an estimator of whole bodies (DWPose, RTMPose) may put all
133 into `keypoints`, and MMPose's tools write `[[x, y], ...]` there with `keypoint_scores` beside it.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.pose.keypoint_lists import confident, flagged, read_points, read_size
from astra_jax.pose.oks import areas
from astra_jax.pose.skeleton import (
    BODY_POINTS,
    FACE,
    FEET,
    JOINTS,
    LEFT_HAND,
    RIGHT_HAND,
    WHOLE_BODY_POINTS,
    boxes,
)

_PARTS = (("foot", FEET), ("face", FACE), ("lefthand", LEFT_HAND), ("righthand", RIGHT_HAND))


def read_coco(tree: Any, path: Path) -> tuple[list[np.ndarray], tuple[int, int] | None] | None:
    """Whole bodies [133, 3] and the picture's (height, width), as far as known; None for what has no `keypoints`.

    `tree` is `{"images": [...], "annotations": [...]}`, a list of people or one person. Raises `UserError` for several
    pictures, an id that two people have, wrong numbers of points, numbers that are not finite and sizes that are none.
    """
    header: Any = {}
    if isinstance(tree, dict) and isinstance(tree.get("annotations"), list):
        images = tree.get("images")
        if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], dict):
            raise UserError(f"{path} must hold the people of one picture: its 'images' must have one element")
        header, tree = images[0], tree["annotations"]
    people = [tree] if isinstance(tree, dict) else tree
    if not isinstance(people, list) or not all(isinstance(person, dict) and "keypoints" in person for person in people):
        return None
    if len({str(person.get("image_id")) for person in people}) > 1:
        raise UserError(f"{path} holds people of several pictures: give those of one")
    ids = [str(person["id"]) for person in people if "id" in person]
    if len(set(ids)) < len(ids):
        raise UserError(f"{path} has two people with the id {max(ids, key=ids.count)}: each must have its own")
    size = read_size({**(people[0] if people else {}), **header}, "height", "width", path)
    return [_person(person, path) for person in people], size


def write_coco(people: Float[np.ndarray, "P J 3"], size: tuple[int, int]) -> dict[str, Any]:
    """The tree for people with 17 or 133 points in a picture of `size` = (height, width), with estimated areas."""
    corners = boxes(people[:, :BODY_POINTS]).astype(np.float64)
    annotations = []
    for i, (person, area) in enumerate(zip(people, areas(people), strict=True)):
        x0, y0, x1, y1 = corners[i].tolist()
        joints = person[:BODY_POINTS]
        row = {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": float(area)}
        row |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "num_keypoints": int((joints[:, 2] > 0).sum())}
        row["keypoints"] = joints.ravel().tolist()
        if len(person) == WHOLE_BODY_POINTS:
            for name, place in _PARTS:
                row[f"{name}_kpts"] = person[place].ravel().tolist()
                row[f"{name}_valid"] = bool((person[place, 2] > 0).any())
        annotations.append(row)
    return {
        "images": [{"id": 1, "height": size[0], "width": size[1]}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person", "keypoints": list(JOINTS)}],
    }


def _person(person: dict[str, Any], path: Path) -> np.ndarray:
    values, scored = person["keypoints"], "keypoint_scores" in person
    if scored:
        joints = _mmpose(values, person["keypoint_scores"], path)
    else:
        joints = flagged(read_points(values, path, (BODY_POINTS, WHOLE_BODY_POINTS)))
    points = np.zeros((WHOLE_BODY_POINTS, 3))
    points[: len(joints)] = joints
    if len(joints) == BODY_POINTS and not scored:
        for name, place in _PARTS:
            listed = person.get(f"{name}_kpts")
            if listed not in (None, []) and person.get(f"{name}_valid", True):
                part = "points of a hand" if "hand" in name else f"points of a {name}"
                points[place] = flagged(read_points(listed, path, (place.stop - place.start,), part))
    return points


def _mmpose(pairs: Any, scores: Any, path: Path) -> np.ndarray:
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise UserError(f"{path}: with keypoint_scores, keypoints must be a list of [x, y]")
    if not isinstance(scores, list) or len(scores) != len(pairs):
        raise UserError(f"{path}: keypoint_scores must have one number for each of the {len(pairs)} keypoints")
    triples = [[*pair, score] for pair, score in zip(pairs, scores, strict=True)]
    return confident(read_points(list(itertools.chain(*triples)), path, (BODY_POINTS, WHOLE_BODY_POINTS)))
