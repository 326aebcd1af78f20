"""Reads COCO person keypoints and captions: the official JSON files, or keypoints as an npz with one row a person."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from astra_jax.errors import UserError
from astra_jax.pose.files import read_arrays, read_json
from astra_jax.pose.skeleton import MAX_SIDE

MAX_BYTES = 2**30  # person_keypoints_train2017.json has a quarter of it


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """The annotated people of one picture, labelled or not; coordinates in pixels.

    `boxes` are (x, y, width, height); `crowd` marks annotations of a crowd as a whole.
    """

    id: int
    height: int
    width: int
    people: Float[np.ndarray, "P 17 3"]
    boxes: Float[np.ndarray, "P 4"]
    crowd: Bool[np.ndarray, "P"]


def read_keypoints(path: Path) -> list[Picture]:
    """Pictures by id from `person_keypoints_*.json` or an npz.

    The npz has `image_id [R]`, `image_wh [R 2]`, `bbox_xywh [R 4]` and `keypoints [R 17 3]`, one row a person; it knows
    no crowds. Raises `UserError`, naming the annotation, for anything that is not so.
    """
    if path.suffix == ".npz":
        return _pictures(path, *_npz_rows(path))
    return _pictures(path, *_json_rows(path))


def read_captions(path: Path) -> dict[int, list[str]]:
    """Captions by picture id from `captions_*.json`; empty ones are left out.

    Raises `UserError` for a file without COCO captions.
    """
    tree = read_json(path, MAX_BYTES)
    captions = collections.defaultdict(list)
    for annotation in _list(tree, "annotations", path):
        if not isinstance(annotation, dict) or not isinstance(annotation.get("caption"), str):
            raise UserError(f"{path} has an annotation without a caption: give COCO's captions_*.json")
        if not isinstance(annotation.get("image_id"), int):
            raise UserError(f"{path} has a caption without a whole-numbered image_id")
        if text := " ".join(annotation["caption"].split()):
            captions[annotation["image_id"]].append(text)
    return dict(captions)


def _npz_rows(path: Path) -> tuple[np.ndarray, ...]:
    names = ("image_id", "image_wh", "bbox_xywh", "keypoints")
    ids, sizes, boxes, joints = read_arrays(path, names, MAX_BYTES)
    rows = len(ids) if ids.ndim == 1 else -1
    for name, array, tail in (("image_wh", sizes, (2,)), ("bbox_xywh", boxes, (4,)), ("keypoints", joints, (17, 3))):
        if array.shape != (rows, *tail) or array.dtype.kind not in "iuf":
            raise UserError(f"{path}: its array {name} has shape {array.shape}, expected one row of {tail} a person")
    return ids, sizes.astype(np.int64), boxes, joints, np.zeros(rows, bool)


def _json_rows(path: Path) -> tuple[np.ndarray, ...]:
    tree = read_json(path, MAX_BYTES)
    sizes: dict[int, tuple[int, int]] = {}
    for image in _list(tree, "images", path):
        try:
            if image["id"] in sizes:
                raise UserError(f"{path} has the image {image['id']} twice")
            sizes[image["id"]] = (int(image["width"]), int(image["height"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} has an image without id, width or height") from error
    ids, wh, boxes, joints, crowd = [], [], [], [], []
    for annotation in _list(tree, "annotations", path):
        name = annotation.get("id") if isinstance(annotation, dict) else None
        try:
            points, box, image = annotation["keypoints"], annotation["bbox"], annotation["image_id"]
            if len(points) != 51:
                raise UserError(f"{path}: annotation {name} has {len(points) / 3:g} joints, expected 17")
            if image not in sizes:
                raise UserError(f"{path}: annotation {name} is of an image {image} that is not listed")
            joints.append(np.array(points, np.float64).reshape(17, 3))
            boxes.append(np.array(box, np.float64).reshape(4))
            crowd.append(bool(annotation.get("iscrowd", 0)))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: annotation {name} has no proper keypoints, bbox and image_id") from error
        ids.append(image)
        wh.append(sizes[image])
    if not ids:
        raise UserError(f"{path} has no annotations: give COCO's person_keypoints_*.json")
    return np.array(ids), np.array(wh), np.stack(boxes), np.stack(joints), np.array(crowd)


def _pictures(
    path: Path, ids: np.ndarray, sizes: np.ndarray, boxes: np.ndarray, joints: np.ndarray, crowd: np.ndarray
) -> list[Picture]:
    joints, boxes = joints.astype(np.float32), boxes.astype(np.float32)
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order[:1]] - 1)) if len(ids) else []
    pictures = []
    for rows in np.split(order, starts[1:]) if len(ids) else []:
        (width, height), name = sizes[rows[0]].tolist(), int(ids[rows[0]])
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise UserError(f"{path}: image {name} has the size {width} x {height}: it must be positive")
        if not (np.isfinite(joints[rows]).all() and np.isfinite(boxes[rows]).all()):
            raise UserError(f"{path}: image {name} has a joint or box that is not finite")
        if not np.isin(joints[rows][..., 2], (0, 1, 2)).all():
            raise UserError(f"{path}: image {name} has a joint whose visibility is none of 0, 1, 2")
        pictures.append(Picture(name, height, width, joints[rows], boxes[rows], crowd[rows]))
    return pictures


def _list(tree: Any, name: str, path: Path) -> list[Any]:
    if not isinstance(tree, dict) or not isinstance(tree.get(name), list):
        raise UserError(f"{path} has no list {name!r}: it is no COCO file")
    return tree[name]
