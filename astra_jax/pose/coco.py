"""Reads COCO person keypoints and captions: the official JSON files, or keypoints as an npz with one row a person."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from astra_jax.errors import UserError
from astra_jax.pose.files import read_arrays, read_json
from astra_jax.pose.pictures import Picture
from astra_jax.pose.skeleton import MAX_COORDINATE, MAX_SIDE

MAX_BYTES = 2**30  # person_keypoints_train2017.json has a quarter of it


def read_keypoints(path: Path) -> list[Picture]:
    """Pictures by id from `person_keypoints_*.json` or an npz.

    The npz has `image_id [R]`, `image_wh [R 2]`, `bbox_xywh [R 4]` and `keypoints [R 17 3]`, one row a person; it knows
    no crowds and no segments. The JSON tells segments' areas, and address and licence of each photo. Raises
    `UserError`, naming the annotation, for anything that is not so.
    """
    if path.suffix == ".npz":
        return _pictures(path, _npz_rows(path), {})
    tree = read_json(path, MAX_BYTES)
    return _pictures(path, _json_rows(tree, path), _photos(tree))


def join_captions(pictures: Iterable[Picture], path: Path) -> list[Picture]:
    """The pictures with the captions of `captions_*.json` added to theirs, and its photos' addresses and licences.

    Empty captions are left out. Raises `UserError` for a file without COCO captions.
    """
    tree = read_json(path, MAX_BYTES)
    captions = collections.defaultdict(list)
    for annotation, text in _captions(tree, path):
        captions[str(annotation["image_id"])].append(text)
    photos = _photos(tree)
    joined = []
    for picture in pictures:
        source, licence = photos.get(picture.id, ("", ""))
        joined.append(
            dataclasses.replace(
                picture,
                captions=(*picture.captions, *captions.get(picture.id, ())),
                source=picture.source or source,
                licence=picture.licence or licence,
            )
        )
    return joined


def read_captions(path: Path) -> dict[int, tuple[str, str]]:
    """Caption's id -> (picture's id, text) from `captions_*.json`, in the file's order.

    Raises `UserError` for a file without COCO captions and for a caption without an id of its own.
    """
    captions: dict[int, tuple[str, str]] = {}
    for annotation, text in _captions(read_json(path, MAX_BYTES), path):
        name = annotation.get("id")
        if isinstance(name, bool) or not isinstance(name, int) or name in captions:
            raise UserError(f"{path} has a caption without an id of its own")
        captions[name] = str(annotation["image_id"]), text
    return captions


def _captions(tree: Any, path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The annotations of captions with their texts, those without a word left out."""
    for annotation in _list(tree, "annotations", path):
        if not isinstance(annotation, dict) or not isinstance(annotation.get("caption"), str):
            raise UserError(f"{path} has an annotation without a caption: give COCO's captions_*.json")
        if not isinstance(annotation.get("image_id"), (int, str)):
            raise UserError(f"{path} has a caption without an image_id")
        if text := " ".join(annotation["caption"].split()):
            yield annotation, text


class _Rows(NamedTuple):
    """One row a person."""

    images: np.ndarray
    numbers: np.ndarray
    sizes: np.ndarray  # width, height
    boxes: np.ndarray
    areas: np.ndarray
    joints: np.ndarray
    crowd: np.ndarray


def _npz_rows(path: Path) -> _Rows:
    names = ("image_id", "image_wh", "bbox_xywh", "keypoints")
    ids, sizes, boxes, joints = read_arrays(path, names, MAX_BYTES)
    rows = len(ids) if ids.ndim == 1 and ids.dtype.kind in "iu" else -1
    for name, array, tail in (("image_wh", sizes, (2,)), ("bbox_xywh", boxes, (4,)), ("keypoints", joints, (17, 3))):
        if array.shape != (rows, *tail) or array.dtype.kind not in "iuf":
            raise UserError(f"{path}: its array {name} has shape {array.shape}, expected one row of {tail} a person")
    return _Rows(ids, np.arange(rows), sizes.astype(np.int64), boxes, np.zeros(rows), joints, np.zeros(rows, bool))


def _json_rows(tree: Any, path: Path) -> _Rows:
    sizes: dict[int, tuple[int, int]] = {}
    for image in _list(tree, "images", path):
        try:
            if isinstance(image["id"], bool) or not isinstance(image["id"], int):
                raise UserError(f"{path} has an image whose id is no whole number")
            if image["id"] in sizes:
                raise UserError(f"{path} has the image {image['id']} twice")
            sizes[image["id"]] = (int(image["width"]), int(image["height"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path} has an image without id, width or height") from error
    ids, numbers, wh, boxes, areas, joints, crowd = [], [], [], [], [], [], []
    seen: set[int] = set()
    for annotation in _list(tree, "annotations", path):
        name = annotation.get("id") if isinstance(annotation, dict) else None
        try:
            points, box, image = annotation["keypoints"], annotation["bbox"], annotation["image_id"]
            number = int(annotation.get("id", -1))
            if len(points) != 51:
                raise UserError(f"{path}: annotation {name} has {len(points) / 3:g} joints, expected 17")
            if image not in sizes:
                raise UserError(f"{path}: annotation {name} is of an image {image} that is not listed")
            joints.append(np.array(points, np.float64).reshape(17, 3))
            boxes.append(np.array(box, np.float64).reshape(4))
            areas.append(float(annotation.get("area", 0)))
            crowd.append(bool(annotation.get("iscrowd", 0)))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: annotation {name} has no proper keypoints, bbox, area and image_id") from error
        if number >= 0 and number in seen:
            raise UserError(f"{path} has the annotation {number} twice: ids must be unique")
        seen.add(number)
        ids.append(image)
        numbers.append(number)
        wh.append(sizes[image])
    if not ids:
        raise UserError(f"{path} has no annotations: give COCO's person_keypoints_*.json")
    try:
        named, sized = np.array(ids, np.int64), np.array(wh, np.int64)
        told = np.array(numbers, np.int64), sized, np.stack(boxes), np.array(areas), np.stack(joints), np.array(crowd)
        return _Rows(named, *told)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{path}: an id or a size is no whole number ({error})") from error


def _pictures(path: Path, people: _Rows, photos: dict[str, tuple[str, str]]) -> list[Picture]:
    ids, numbers, sizes, boxes, areas, joints, crowd = people
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told below
        joints, boxes = joints.astype(np.float32), boxes.astype(np.float32)
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order[:1]] - 1)) if len(ids) else []
    pictures = []
    for rows in np.split(order, starts[1:]) if len(ids) else []:
        (width, height), name = sizes[rows[0]].tolist(), str(ids[rows[0]])
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise UserError(f"{path}: image {name} has the size {width} x {height}: it must be positive")
        if not (np.isfinite(joints[rows]).all() and np.isfinite(boxes[rows]).all()):
            raise UserError(f"{path}: image {name} has a joint or box that is not finite")
        if np.abs(boxes[rows]).max() > MAX_COORDINATE:
            raise UserError(f"{path}: image {name} has a box that lies outside of any picture")
        if (boxes[rows, 2:] < 0).any():
            raise UserError(f"{path}: image {name} has a box of negative width or height")
        if not ((areas[rows] >= 0) & (areas[rows] <= MAX_COORDINATE**2)).all():
            raise UserError(f"{path}: image {name} has a segment whose area is no number of pixels")
        if not np.isin(joints[rows][..., 2], (0, 1, 2)).all():
            raise UserError(f"{path}: image {name} has a joint whose visibility is none of 0, 1, 2")
        source, licence = photos.get(name, ("", ""))
        pictures.append(
            Picture(
                id=name,
                height=height,
                width=width,
                people=joints[rows],
                boxes=boxes[rows],
                areas=areas[rows],
                crowd=crowd[rows],
                numbers=numbers[rows],
                source=source,
                licence=licence,
            )
        )
    return pictures


def _photos(tree: Any) -> dict[str, tuple[str, str]]:
    """Picture id -> (address, licence's name), as far as a COCO file tells them."""
    licences = {}
    for licence in _rows(tree, "licenses"):
        if isinstance(licence, dict) and isinstance(licence.get("name"), str):
            licences[str(licence.get("id"))] = licence["name"]
    photos = {}
    for image in _rows(tree, "images"):
        if isinstance(image, dict) and "id" in image:
            addresses = [image.get(name) for name in ("coco_url", "flickr_url")]
            address = next((text for text in addresses if isinstance(text, str) and text), "")
            photos[str(image["id"])] = (address, licences.get(str(image.get("license")), ""))
    return photos


def _rows(tree: dict[str, Any], name: str) -> list[Any]:
    """A list that need not be there."""
    return tree[name] if isinstance(tree.get(name), list) else []


def _list(tree: Any, name: str, path: Path) -> list[Any]:
    if not isinstance(tree, dict) or not isinstance(tree.get(name), list):
        raise UserError(f"{path} has no list {name!r}: it is no COCO file")
    return tree[name]
