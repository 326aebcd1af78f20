"""Reads a folder of keypoint files as OpenPose writes them, one a picture, with captions beside them.

`dance/007.json`, or `dance/007_keypoints.json` as OpenPose calls it, is the picture `dance/007`. Its captions are the
lines of `dance/007.txt`. Its size is the file's `canvas_height` and `canvas_width`; where it has none (OpenPose's own
files), that of the picture beside it, `dance/007.png`, `.jpg`, `.jpeg` or `.webp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.pose.files import read_json
from astra_jax.pose.pictures import Picture
from astra_jax.pose.pose_files import MAX_BYTES, parse_people
from astra_jax.pose.skeleton import boxes

MAX_CAPTION_BYTES = 2**18
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
# EXIF: such a photo is shown, and by OpenPose read, turned by a quarter.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


def read_openpose_folder(folder: Path) -> Iterator[Picture]:
    """The pictures of a folder and the folders in it, in the order of their names.

    Raises `UserError` for a folder without such files, a file that `parse_people` refuses, a picture without a size,
    two files of one picture and a link that leads out of the folder.
    """
    files = sorted(path for path in folder.rglob("*.json") if path.is_file())
    root = folder.resolve()
    if not files:
        raise UserError(f"{folder} holds no *.json: give a folder of keypoint files")
    seen: set[str] = set()
    for path in files:
        stem = path.with_name(path.stem.removesuffix("_keypoints"))
        name = stem.relative_to(folder).as_posix()
        if name in seen:
            raise UserError(f"{folder} has two keypoint files of the picture {name}: leave one")
        seen.add(name)
        for file in (path, _beside(stem, ".txt"), *(_beside(stem, suffix) for suffix in _PICTURES)):
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise UserError(f"{file} is a link out of {folder}: put the file itself there")
        people, size = parse_people(read_json(path, MAX_BYTES), path)
        height, width = size or _picture_size(stem, path)
        x0, y0, x1, y1 = boxes(people).T
        yield Picture(
            id=name,
            height=height,
            width=width,
            people=people.astype(np.float32),
            boxes=np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).astype(np.float32),
            areas=np.zeros(len(people)),
            crowd=np.zeros(len(people), bool),
            numbers=np.full(len(people), -1),
            captions=_captions(_beside(stem, ".txt")),
        )


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)  # names may have dots


def _captions(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    try:
        if path.stat().st_size > MAX_CAPTION_BYTES:
            raise UserError(f"{path} has more than {MAX_CAPTION_BYTES >> 10} KiB: it should have one caption a line")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is no text ({error})") from error
    return tuple(" ".join(line.split()) for line in lines if line.strip())


def _picture_size(stem: Path, path: Path) -> tuple[int, int]:
    for picture in (_beside(stem, suffix) for suffix in _PICTURES):
        if picture.is_file():
            try:
                with Image.open(picture) as opened:
                    turned = opened.getexif().get(_ORIENTATION) in _TURNED
                    return (opened.width, opened.height) if turned else (opened.height, opened.width)
            except (OSError, Image.DecompressionBombError) as error:
                raise UserError(f"{picture} is no picture ({error})") from error
    raise UserError(f"{path} does not tell its picture's size: add canvas_height and canvas_width, or the picture")
