"""Poses a user brings along: OpenPose JSON, COCO keypoint JSON, or a finished skeleton picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.pose.drawing import OPENPOSE_FROM_COCO, fit
from astra_jax.pose.files import read_json
from astra_jax.pose.skeleton import MAX_COORDINATE, check_people, left_to_right

MAX_BYTES = 16 * 2**20
MAX_PEOPLE = 64
MIN_CONFIDENCE = 0.3  # a detector's joint below it is absent (controlnet_aux's DWPose threshold)

# OpenPose point of each COCO joint, in its two layouts.
_COCO_FROM_BODY_18 = tuple(OPENPOSE_FROM_COCO.index(joint) for joint in range(17))
_COCO_FROM_BODY_25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)


def load_people(path: str | Path, canvas: tuple[int, int]) -> Float[np.ndarray, "P 17 3"]:
    """The people of a keypoint file, fitted to a canvas of (height, width) pixels, ordered from left to right.

    Read are OpenPose's `{"people": [{"pose_keypoints_2d": ...}]}` with 18 or 25 points (also as the one-element list
    ControlNet tools write) and COCO's `[{"keypoints": ...}]`, `{"keypoints": ...}` or
    `{"images": [...], "annotations": [...]}` of one picture. The source picture's size is taken from
    `canvas_width`/`canvas_height` or `width`/`height`; a file without them holds pixels of the canvas itself. Sizes
    with coordinates that are all within 0..1 mean fractions of the picture.

    Raises `UserError` for a file that is missing, too large, no such JSON, with another number of joints, with numbers
    that are not finite, without people, or with all its joints off the canvas.
    """
    path = Path(path)
    tree = read_json(path, MAX_BYTES)
    rows, size = _openpose(tree, path) or _coco(tree, path) or ([], None)
    if not rows:
        raise UserError(f"{path} holds no people: expected OpenPose's 'people' or COCO's 'keypoints'")
    if len(rows) > MAX_PEOPLE:
        raise UserError(f"{path} holds {len(rows)} people: {MAX_PEOPLE} is the most")
    people = np.stack(rows)
    if size is not None and np.abs(people[..., :2]).max(initial=0) <= 1:
        people[..., :2] *= [size[1], size[0]]
    people = check_people(people, str(path))
    if size is not None:
        people = fit(people, size, canvas)
    x, y, v = np.moveaxis(people, -1, 0)
    if not ((v > 0) & (x >= 0) & (y >= 0) & (x < canvas[1]) & (y < canvas[0])).any():
        raise UserError(f"no joint of {path} falls on the canvas: give its canvas_width and canvas_height")
    return people[left_to_right(people)]


def letterbox(picture: UInt8[np.ndarray, "H W 3"], canvas: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """A skeleton picture the user drew, as large as fits on a black canvas of (height, width) pixels, centred.

    Only for pictures that come without joints: skeletons we draw are drawn at the canvas's own size.
    """
    height, width = picture.shape[:2]
    scale = min(canvas[0] / height, canvas[1] / width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
    page = Image.new("RGB", (canvas[1], canvas[0]))
    page.paste(resized, ((canvas[1] - size[0]) // 2, (canvas[0] - size[1]) // 2))
    return np.asarray(page)


def _openpose(tree: Any, path: Path) -> tuple[list[np.ndarray], tuple[int, int] | None] | None:
    if isinstance(tree, list) and len(tree) == 1:
        tree = tree[0]
    if not isinstance(tree, dict) or not isinstance(tree.get("people"), list):
        return None
    rows = []
    for person in tree["people"]:
        if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
            raise UserError(f"{path}: a person has no pose_keypoints_2d")
        points = _points(person["pose_keypoints_2d"], path, (18, 25))
        joints = points[list(_COCO_FROM_BODY_18 if len(points) == 18 else _COCO_FROM_BODY_25)]
        joints[:, 2] = np.where(joints[:, 2] >= MIN_CONFIDENCE, 2, 0)
        rows.append(_absent_at_origin(joints))
    return rows, _size(tree, "canvas_height", "canvas_width", path)


def _coco(tree: Any, path: Path) -> tuple[list[np.ndarray], tuple[int, int] | None] | None:
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
    rows = []
    for person in people:
        joints = _points(person["keypoints"], path, (17,))
        v = joints[:, 2]
        # Annotations have v in {0, 1, 2}; detectors write a confidence there.
        joints[:, 2] = np.where(np.isin(v, (0, 1, 2)), v, np.where(v >= MIN_CONFIDENCE, 2, 0))
        rows.append(_absent_at_origin(joints))
    return rows, _size({**(people[0] if people else {}), **header}, "height", "width", path)


def _points(values: Any, path: Path, counts: tuple[int, ...]) -> Float[np.ndarray, "n 3"]:
    if not isinstance(values, list) or len(values) not in [3 * n for n in counts]:
        length = len(values) / 3 if isinstance(values, list) else 0
        expected = " or ".join(map(str, counts))
        raise UserError(f"{path}: a person has {length:g} joints of (x, y, v), expected {expected}")
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and abs(n) <= MAX_COORDINATE for n in values):
        raise UserError(f"{path}: a joint is not made of finite numbers of pixels")
    return np.array(values, np.float64).reshape(-1, 3)


def _absent_at_origin(joints: Float[np.ndarray, "17 3"]) -> Float[np.ndarray, "17 3"]:
    return np.where(joints[:, 2:] > 0, joints, 0.0)


def _size(tree: dict[str, Any], height: str, width: str, path: Path) -> tuple[int, int] | None:
    if height not in tree or width not in tree:
        return None
    size = tree[height], tree[width]
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= 65_536 for n in size):
        raise UserError(f"{path}: {height} and {width} must be whole numbers of pixels from 1 to 65536")
    return size
