"""Reads pictures with people, one JSON object a line: poses of any origin with captions.

    {"id": "dance-7", "height": 512, "width": 512, "captions": ["two people dancing a tango"],
     "people": [{"keypoints": [x, y, v, ...]}, {"keypoints": [...]}],
     "action": "tango", "source": "https://...", "licence": "CC0-1.0"}

`id`, `height`, `width` and `people` are needed. People are written as COCO, COCO-WholeBody or OpenPose write them
(`coco_form`, `openpose_form`); a `bbox` (x, y, width, height) counts where there is one, else the box of the joints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from astra_jax.errors import UserError
from astra_jax.pose.keypoint_lists import read_size
from astra_jax.pose.pictures import Picture
from astra_jax.pose.pose_files import parse_people
from astra_jax.pose.skeleton import MAX_COORDINATE, boxes

MAX_LINE_BYTES = 4 * 2**20
_TEXTS = ("action", "source", "licence")


def read_jsonl(path: Path) -> Iterator[Picture]:
    """The pictures line by line; empty lines are skipped.

    Raises `UserError`, naming the line, for anything that is not so, and for an id that comes twice.
    """
    seen: set[str] = set()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
                if len(line) > MAX_LINE_BYTES:
                    raise UserError(f"{path}, line {number} has more than {MAX_LINE_BYTES >> 20} MiB")
                if not line.strip():
                    continue
                picture = _picture(line, Path(f"{path}, line {number}"))
                if picture.id in seen:
                    raise UserError(f"{path}, line {number}: the id {picture.id[:80]!r} is there twice")
                seen.add(picture.id)
                yield picture
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _picture(line: bytes, where: Path) -> Picture:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is no JSON ({error})") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("people"), list):
        raise UserError(f"{where} has no list 'people'")
    name = tree.get("id")
    if isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name):
        raise UserError(f"{where} has no id")
    captions, listed = tree.get("captions", []), tree["people"]
    texts = [tree.get(key, "") for key in _TEXTS]
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in (*captions, *texts)):
        raise UserError(f"{where}: captions must be a list of texts, and {', '.join(_TEXTS)} texts")
    openpose = any(isinstance(person, dict) and "pose_keypoints_2d" in person for person in listed)
    size = read_size(tree, "height", "width", where)
    if size is None:
        raise UserError(f"{where} has no height and width")
    if openpose or not listed:
        form = {"people": listed, "canvas_height": size[0], "canvas_width": size[1]}
    else:
        form = {"images": [{"height": size[0], "width": size[1]}], "annotations": listed}
    people, _ = parse_people(form, where)
    action, source, licence = (" ".join(text.split()) for text in texts)
    return Picture(
        id=str(name),
        height=size[0],
        width=size[1],
        people=people.astype(np.float32),
        boxes=_boxes(listed, people, where),
        areas=np.zeros(len(people)),
        crowd=np.array([isinstance(person, dict) and bool(person.get("iscrowd")) for person in listed], bool),
        numbers=np.full(len(people), -1),
        captions=tuple(" ".join(text.split()) for text in captions if text.strip()),
        action=action,
        source=source,
        licence=licence,
    )


def _boxes(listed: list[Any], people: np.ndarray, where: Path) -> np.ndarray:
    x0, y0, x1, y1 = boxes(people).T
    found = np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).astype(np.float32)
    for i, person in enumerate(listed):
        if isinstance(person, dict) and "bbox" in person:
            try:
                box = np.array(person["bbox"], np.float64).reshape(4)
            except (ValueError, TypeError) as error:
                raise UserError(f"{where}: a bbox is not x, y, width and height") from error
            if not (np.abs(box) <= MAX_COORDINATE).all() or (box[2:] < 0).any():
                raise UserError(f"{where}: a bbox is negative or not finite")
            found[i] = box
    return found
