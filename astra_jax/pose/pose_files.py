"""Poses a user brings along or takes away: keypoint files in several forms, or a finished skeleton picture."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.pose.coco_form import read_coco, write_coco
from astra_jax.pose.drawing import fit
from astra_jax.pose.files import read_arrays, read_json
from astra_jax.pose.keypoint_lists import flagged
from astra_jax.pose.openpose_form import read_openpose, write_openpose
from astra_jax.pose.skeleton import (
    BODY_POINTS,
    MAX_COORDINATE,
    MAX_SIDE,
    WHOLE_BODY_POINTS,
    check_people,
    left_to_right,
)
from astra_jax.whole_files import write_whole

MAX_BYTES = 16 * 2**20
MAX_PEOPLE = 64
SUFFIXES = (".json", ".npz")  # of keypoint files
FORMS = ("openpose", "coco", "npz")
_EXPECTED = ": expected OpenPose's 'people' or COCO's 'keypoints'"
_NPZ_ARRAYS = ("keypoints", "scores", "size")


def load_people(path: str | Path, canvas: tuple[int, int]) -> Float[np.ndarray, "P J 3"]:
    """The people of a keypoint file, fitted to a canvas of (height, width) pixels, ordered from left to right.

    A file that does not tell its picture's size holds pixels of the canvas itself. Raises `UserError` as `read_people`,
    and for people with all their joints off the canvas.
    """
    people, size = read_people(path)
    if size is not None:
        people = fit(people, size, canvas)
    x, y, v = np.moveaxis(people, -1, 0)
    if not ((v > 0) & (x >= 0) & (y >= 0) & (x < canvas[1]) & (y < canvas[0])).any():
        raise UserError(f"no joint of {path} falls on the canvas: give its canvas_width and canvas_height")
    return people[left_to_right(people)]


def read_people(path: str | Path) -> tuple[Float[np.ndarray, "P J 3"], tuple[int, int] | None]:
    """The people of a keypoint file in its own pixels and order, and its picture's (height, width) where it tells them.

    People have 133 points if the file has any point of feet, faces or hands, else the 17 of the body. Read are

    * OpenPose's `{"people": [{"pose_keypoints_2d": ...}]}` with faces and hands (`openpose_form`), also as the
      one-element list that ControlNet tools write; size in `canvas_height`, `canvas_width`;
    * COCO's and COCO-WholeBody's `[{"keypoints": ...}]`, `{"keypoints": ...}` or `{"images": [...], "annotations":
      [...]}` of one picture (`coco_form`); size in `height`, `width`;
    * npz: `keypoints [P J 2]` and `scores [P J]` for 17 or 133 points, as DWPose's detector gives them, and the
      picture's `size [2]` (height, width).

    Points below a confidence of 0.3 are absent. A size with coordinates that are all within 0..1 means fractions of the
    picture.

    Raises `UserError` for a file that is missing, too large, in no such form, with another number of points, with
    numbers that are not finite, sizes that are none, people with one id, or without people.
    """
    path = Path(path)
    people, size = _read_npz(path) if path.suffix.lower() == ".npz" else parse_people(read_json(path, MAX_BYTES), path)
    if len(people) == 0:
        raise UserError(f"{path} holds no people{_EXPECTED}")
    if len(people) > MAX_PEOPLE:
        raise UserError(f"{path} holds {len(people)} people: {MAX_PEOPLE} is the most")
    return check_people(people, str(path), (BODY_POINTS, WHOLE_BODY_POINTS)), size


def parse_people(tree: Any, path: Path) -> tuple[Float[np.ndarray, "P J 3"], tuple[int, int] | None]:
    """The people in the JSON of a keypoint file, as `read_people`; there may be none, or some without a joint."""
    found = read_openpose(tree, path) or read_coco(tree, path)
    if found is None:
        raise UserError(f"{path} holds no people{_EXPECTED}")
    rows, size = found
    return _trimmed(np.array(rows).reshape(-1, WHOLE_BODY_POINTS, 3), size, path), size


def save_people(path: str | Path, people: Float[np.ndarray, "P J 3"], size: tuple[int, int], form: str) -> None:
    """Writes people with 17 or 133 points in pixels of a picture of `size` = (height, width), as `read_people` reads.

    `form` is one of `FORMS`. OpenPose's tells no hidden points (v = 1); they come back as seen. Nothing is left half
    written. Raises `UserError` for people that `check_people` refuses, a suffix that is not the form's and a file that
    cannot be written.
    """
    path = Path(path)
    people = check_people(people, str(path), (BODY_POINTS, WHOLE_BODY_POINTS))
    suffix = ".npz" if form == "npz" else ".json"
    if path.suffix.lower() != suffix:
        raise UserError(f"{path}: a file in the form {form} is named *{suffix}")
    if form == "npz":
        buffer = io.BytesIO()
        np.savez(buffer, keypoints=people[..., :2], scores=people[..., 2], size=np.array(size))
        content = buffer.getvalue()
    else:
        write = {"openpose": write_openpose, "coco": write_coco}[form]
        content = json.dumps(write(people, size)).encode()
    try:
        write_whole(path, content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


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


def _read_npz(path: Path) -> tuple[Float[np.ndarray, "P J 3"], tuple[int, int]]:
    arrays = read_arrays(path, _NPZ_ARRAYS, MAX_BYTES)
    for name, array in zip(_NPZ_ARRAYS, arrays, strict=True):
        if array.dtype.kind not in "iuf":
            raise UserError(f"{path}: its array {name} is not made of numbers")
    keypoints, scores, sides = arrays
    points = keypoints.shape[1] if keypoints.ndim == 3 else 0
    if points not in (BODY_POINTS, WHOLE_BODY_POINTS) or keypoints.shape[2] != 2 or scores.shape != keypoints.shape[:2]:
        shapes = f"{keypoints.shape} and {scores.shape}"
        raise UserError(f"{path}: keypoints and scores must be [P 17 2] and [P 17], or 133 for 17, not {shapes}")
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or not ((sides > 0) & (sides <= MAX_SIDE)).all():
        raise UserError(f"{path}: size must be the picture's height and width, whole numbers from 1 to {MAX_SIDE}")
    people = np.concatenate([keypoints, scores[..., None]], axis=-1).astype(np.float64)
    if not (np.abs(people) <= MAX_COORDINATE).all():
        raise UserError(f"{path}: a joint is not made of finite numbers of pixels")
    size = int(sides[0]), int(sides[1])
    return _trimmed(flagged(people), size, path), size


def _trimmed(people: np.ndarray, size: tuple[int, int] | None, path: Path) -> np.ndarray:
    """In pixels, and with no more points than there are."""
    if size is not None and np.abs(people[..., :2]).max(initial=0) <= 1:
        people[..., :2] *= [size[1], size[0]]
    return people if people[:, BODY_POINTS:, 2].any() else people[:, :BODY_POINTS]
