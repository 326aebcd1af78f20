"""What a user asks for: one request a line of JSON, checked before anything is computed.

    {"prompt": "a man waving hello and a woman dancing, on the beach",
     "subjects": [{"phrase": "a man", "image": "man.png"}, {"phrase": "a woman", "image": "woman.png"}],
     "pose": "auto", "people": 2, "seed": 7, "num_images": 2, "height": 128, "width": 192, "steps": 30}

Only `prompt` is needed. `pose` is "auto" (retrieved by the prompt), "none", or a file: OpenPose or COCO keypoints
(.json, .npz) or a skeleton picture. `people` overrides the number of people read from the prompt. `image` is a start
picture, and `strength` how far the result may go away from it. File names are relative to the folder of the request
file. The keys of `OVERRIDES` stand for the flags of the same names, for one request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from astra_jax.errors import UserError

MAX_LINE = 1 << 20  # characters
MAX_PROMPT = 10_000  # characters
MAX_IMAGES = 1000  # of one request

Photo = pathlib.Path | Image.Image

# Settings of the sampler that one request may have for itself (`sampling.settings.Settings` checks the values).
OVERRIDES = {
    "height": int,
    "width": int,
    "steps": int,
    "guidance": float,
    "cfg_scale": float,
    "pose_start": float,
    "pose_end": float,
    "dsm_scale": float,
    "strength": float,
}


@dataclasses.dataclass(frozen=True)
class SubjectRequest:
    """One subject: its words in the prompt and a photo of it."""

    phrase: str
    image: Photo


@dataclasses.dataclass(frozen=True, eq=False)
class GivenPose:
    """A pose handed over in memory: people in pixels of the canvas, or a finished skeleton picture."""

    people: Float[np.ndarray, "P J 3"] | None = None
    picture: Image.Image | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """A checked request; the files it names are not opened yet. `name` tells it in messages."""

    prompt: str
    subjects: tuple[SubjectRequest, ...] = ()
    pose: str | GivenPose = "auto"  # or "none", or a file's name
    people: int | None = None
    seed: int = 0
    num_images: int = 1
    name: str = "request"
    image: Photo | None = None  # the picture to start from
    # None: as the run says.
    height: int | None = None
    width: int | None = None
    steps: int | None = None
    guidance: float | None = None
    cfg_scale: float | None = None
    pose_start: float | None = None
    pose_end: float | None = None
    dsm_scale: float | None = None
    strength: float | None = None


def parse_request(fields: Any, folder: pathlib.Path, name: str = "request") -> Request:
    """A `Request` from a decoded JSON object; file names are relative to `folder`.

    Raises `UserError` for unknown or missing keys and for values of a wrong type or out of range.
    """
    if not isinstance(fields, dict):
        raise UserError(f'{name}: must be a JSON object like {{"prompt": ...}}, not {_short(fields)}')
    known = [field.name for field in dataclasses.fields(Request) if field.name != "name"]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise UserError(f"{name}: unknown key {unknown[0]!r}; a request has {', '.join(known)}")

    def get(key: str, kind: type, default: Any) -> Any:
        value = fields.get(key, default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < 1 << 53 else math.inf
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UserError(f"{name}: {key!r} must be {_KINDS[kind]}, not {_short(value)}")
        return default if value is None else value

    pose, image = get("pose", str, "auto"), get("image", str, None)
    if pose not in ("auto", "none"):
        pose = str(_path(pose, folder, name))
    request = Request(
        prompt=get("prompt", str, "").strip(),
        subjects=tuple(_subject(subject, folder, name) for subject in get("subjects", list, [])),
        pose=pose,
        people=get("people", int, None),
        seed=get("seed", int, 0),
        num_images=get("num_images", int, 1),
        name=name,
        image=None if image is None else _path(image, folder, name),
        **{key: get(key, kind, None) for key, kind in OVERRIDES.items()},
    )
    check_request(request)
    return request


@contextlib.contextmanager
def named(request: Request) -> Iterator[None]:
    """A `UserError` of the block says whose it is."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{request.name}: {error}") from error


def check_request(request: Request) -> None:
    """Raises `UserError` for numbers out of range, an empty prompt and one of more than `MAX_PROMPT` characters."""
    name = request.name
    if not request.prompt.strip():
        raise UserError(f"{name}: 'prompt' is missing or empty")
    if len(request.prompt) > MAX_PROMPT:
        raise UserError(f"{name}: the prompt has {len(request.prompt)} characters, {MAX_PROMPT} is the most")
    if request.people is not None and request.people < 0:
        raise UserError(f"{name}: 'people' must not be negative, but is {request.people}")
    if not 0 <= request.seed < 2**32:
        raise UserError(f"{name}: 'seed' must be from 0 to {2**32 - 1}, not {request.seed}")
    if not 1 <= request.num_images <= MAX_IMAGES:
        raise UserError(f"{name}: 'num_images' must be from 1 to {MAX_IMAGES}, not {request.num_images}")
    if request.strength is not None and request.image is None:
        raise UserError(f"{name}: 'strength' needs 'image', the picture to start from")


_KINDS = {str: "a text", int: "a whole number", float: "a number", list: "a list"}


def _subject(fields: Any, folder: pathlib.Path, name: str) -> SubjectRequest:
    if not isinstance(fields, dict) or set(fields) != {"phrase", "image"}:
        raise UserError(f'{name}: a subject is {{"phrase": ..., "image": ...}}, not {_short(fields)}')
    phrase, image = fields["phrase"], fields["image"]
    if not (isinstance(phrase, str) and phrase.strip() and isinstance(image, str) and image):
        raise UserError(f"{name}: a subject's phrase and image must be texts, not {_short(fields)}")
    return SubjectRequest(phrase.strip(), _path(image, folder, name))


def _path(text: str, folder: pathlib.Path, name: str) -> pathlib.Path:
    if not text:
        raise UserError(f"{name}: a file name is empty")
    try:
        return folder / pathlib.Path(text).expanduser()
    except RuntimeError as error:  # "~nobody"
        raise UserError(f"{name}: {_short(text)}: {error}") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def read_requests(path: pathlib.Path) -> Iterator[Request | UserError]:
    """The requests of a JSONL file, one a line; a bad line gives the error that names it in place of a request.

    Raises `UserError` for a file that cannot be read. Empty lines are passed over.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                name = f"{path.name} line {number}"
                if len(line) > MAX_LINE:
                    yield UserError(f"{name}: longer than {MAX_LINE} bytes: this is no request")
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                    continue
                if line.strip():
                    yield _parse_line(line, path.parent, name)
    except OSError as error:
        raise UserError(f"--requests {path}: {error.strerror}") from error


def _parse_line(line: bytes, folder: pathlib.Path, name: str) -> Request | UserError:
    try:
        return parse_request(json.loads(line), folder, name)
    except UserError as error:
        return error
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of thousands of digits
        return UserError(f"{name}: no JSON: {error}")
