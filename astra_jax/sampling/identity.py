"""A picture's key: a hash of all that determines it, so that a run knows which of its pictures are there already."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import Any

from PIL import Image

from astra_jax.errors import UserError
from astra_jax.inputs.requests import GivenPose, Photo, Request
from astra_jax.sampling.settings import Settings

DIGITS = 16  # of a key, hexadecimal


def picture_key(request: Request, index: int, settings: Settings, weights: str, bank: str) -> str:
    """The key of the `index`-th picture of a request.

    Args:
        request: files it names are told by their content, so that renaming them changes nothing and a new photo under
            an old name does.
        index: of the picture among the request's.
        settings: as `settings_of` resolves them.
        weights, bank: fingerprints of what draws it; the bank counts where a pose is retrieved.

    Raises `UserError` for a file that cannot be read.
    """
    whole = {
        "prompt": request.prompt,
        "subjects": [(subject.phrase, _content(subject.image)) for subject in request.subjects],
        "pose": _pose(request),
        "people": request.people,
        "seed": request.seed,
        "index": index,
        "image": None if request.image is None else _content(request.image),
        "settings": dataclasses.asdict(settings),
        "weights": weights,
        "bank": bank if request.pose == "auto" else "",
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:DIGITS]


def _pose(request: Request) -> Any:
    pose = request.pose
    if isinstance(pose, GivenPose):
        return [None if pose.people is None else pose.people.tolist(), pose.picture and _content(pose.picture)]
    return pose if pose in ("auto", "none") else _content(pathlib.Path(pose))


def _content(photo: Photo) -> str:
    if isinstance(photo, Image.Image):
        return hashlib.sha256(f"{photo.mode} {photo.size} ".encode() + photo.tobytes()).hexdigest()
    try:
        stat = photo.stat()
        return _digest(photo, stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError as error:
        raise UserError(f"{photo}: there is no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{str(photo)!r}: {reason}") from error


@functools.lru_cache(maxsize=4096)
def _digest(path: pathlib.Path, size: int, changed: int) -> str:
    """Many requests share few photos; size and time of change tell whether one is still the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
