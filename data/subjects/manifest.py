"""What a manifest says: one training example a line of JSON, or one of UNO's two lists.

    {"target": "out/1.jpg", "prompt": "a man and his dog on a beach", "references": ["bob.jpg", "rex.jpg"],
     "phrases": ["a man", "his dog"], "keypoints": [[[x, y, v], ...], ...]}

`references`, `phrases` and `keypoints` may be absent. A phrase is the subject's words as they stand in the prompt; ""
means that none are known: the photo is then seen as a picture, but carries no words. Keypoints are COCO's 17 joints or
COCO-WholeBody's 133 points of every person in pixels of the upright target, as [x, y, v] or flat as COCO stores them.

UNO's training list (github.com/bytedance/UNO, uno/dataset/uno.py) is a JSON list of {"prompt", "image_paths" (or
"image_path"), "image_tgt_path"}. UNO-1M's labels (its data card) are a JSON list of {"img_path1": the reference,
"img_path2": the target, "caption": {"img_path2": the prompt, "subject": [words]}, "vlm_filter_cot": {"score_final"}};
their paths start below `images`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.inputs.placement import find_phrases
from astra_jax.pose.files import read_json
from astra_jax.pose.skeleton import BODY_POINTS, WHOLE_BODY_POINTS, check_people

MAX_LINE = 1 << 20  # bytes
MAX_LIST = 2 << 30  # bytes of one of UNO's lists; all of UNO-1M has less
MAX_PROMPT = 10_000  # characters
MAX_REFERENCES, MAX_PEOPLE = 16, 64
KEYS = ("target", "prompt", "references", "phrases", "keypoints")


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A checked line; its files are inside the folder, and not opened yet."""

    name: str  # for messages: "manifest.jsonl line 7"
    target: Path
    prompt: str
    references: tuple[Path, ...] = ()
    phrases: tuple[str, ...] = ()
    people: Float[np.ndarray, "P J 3"] | None = None


def read_manifest(path: Path, folder: Path, min_score: float = -math.inf) -> Iterator[Entry | UserError]:
    """The entries of a manifest; a bad line gives the error that names it in place of an entry.

    Args:
        path: lines of JSON, or a JSON list in one of UNO's layouts.
        folder: where relative paths start; no path may lead out of it.
        min_score: UNO-1M's pairs with a lower `score_final` are passed over.

    Raises `UserError` for a file that cannot be read. Empty lines are passed over.
    """
    for name, fields in _objects(path):
        if isinstance(fields, UserError):
            yield fields
            continue
        try:
            if _is_uno_1m(fields) and _score(fields, name) < min_score:
                continue
            yield _entry(_ours(fields, name), folder, name)
        except UserError as error:
            yield error


def _objects(path: Path) -> Iterator[tuple[str, Any]]:
    """Names and decoded JSON values of a file's lines or of a list's items."""
    try:
        with path.open("rb") as file:
            if re.match(rb"\s*\[\s*\{", file.read(4096)):
                items = read_json(path, MAX_LIST)
                yield from ((f"{path.name} item {number}", item) for number, item in enumerate(items, 1))
                return
            file.seek(0)
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                name = f"{path.name} line {number}"
                if len(line) > MAX_LINE:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                    yield name, UserError(f"{name}: longer than {MAX_LINE} bytes: this is no example")
                elif line.strip():
                    yield name, _decoded(line, name)
    except OSError as error:
        raise UserError(f"--manifest {path}: {error.strerror}") from error


def _decoded(line: bytes, name: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of thousands of digits
        return UserError(f"{name}: no JSON: {error}")


def _is_uno_1m(fields: Any) -> bool:
    return isinstance(fields, dict) and "img_path1" in fields and "img_path2" in fields


def _score(fields: dict[str, Any], name: str) -> float:
    """UNO-1M's consistency of a pair, 0 to 4; -inf where it was not judged."""
    judged = fields.get("vlm_filter_cot")
    score = judged.get("score_final") if isinstance(judged, dict) else None
    if score is None:
        return -math.inf
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 4:
        raise UserError(f"{name}: 'score_final' must be from 0 to 4, not {_short(score)}")
    return float(score)


def _ours(fields: Any, name: str) -> dict[str, Any]:
    """An object of any of the layouts in the layout of ours."""
    if not isinstance(fields, dict):
        raise UserError(f"{name}: must be a JSON object, not {_short(fields)}")
    if _is_uno_1m(fields):
        caption = fields.get("caption")
        if not isinstance(caption, dict):
            raise UserError(f"{name}: 'caption' must be an object, not {_short(caption)}")
        ours = {"target": fields["img_path2"], "prompt": caption.get("img_path2"), "references": [fields["img_path1"]]}
        return ours | {"phrases": [_subject_words(caption)]}
    if "image_paths" in fields or "image_path" in fields:
        if "image_tgt_path" not in fields:
            raise UserError(f"{name}: there is no 'image_tgt_path': a list for evaluation has nothing to train on")
        references = fields["image_paths"] if "image_paths" in fields else [fields["image_path"]]
        return {"target": fields["image_tgt_path"], "prompt": fields.get("prompt"), "references": references}
    unknown = sorted(set(fields) - set(KEYS))
    if unknown:
        raise UserError(f"{name}: unknown key {_short(unknown[0])}; an example has {', '.join(KEYS)}")
    return fields


def _subject_words(caption: dict[str, Any]) -> str:
    """The first of the subject's words that stand in the prompt; "" if none do (other words may have been chosen)."""
    words, prompt = caption.get("subject"), caption.get("img_path2")
    for phrase in words if isinstance(words, list) else ():
        if isinstance(phrase, str) and isinstance(prompt, str):
            try:
                find_phrases(prompt, [phrase])
            except UserError:
                continue
            return phrase
    return ""


def _entry(fields: dict[str, Any], folder: Path, name: str) -> Entry:
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise UserError(f"{name}: 'prompt' must be a text, not {_short(prompt)}")
    if len(prompt) > MAX_PROMPT:
        raise UserError(f"{name}: the prompt has {len(prompt)} characters, {MAX_PROMPT} is the most")
    references = _list(fields.get("references"), "references", name)
    if len(references) > MAX_REFERENCES:
        raise UserError(f"{name}: {len(references)} references are more than {MAX_REFERENCES}")
    phrases = _list(fields.get("phrases"), "phrases", name) or [""] * len(references)
    if len(phrases) != len(references) or not all(isinstance(phrase, str) for phrase in phrases):
        raise UserError(f"{name}: 'phrases' must be {len(references)} texts, one a reference, not {_short(phrases)}")
    phrases = [phrase.strip() for phrase in phrases]
    try:
        find_phrases(prompt, [phrase for phrase in phrases if phrase])
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    return Entry(
        name=name,
        target=_inside(fields.get("target"), folder, name),
        prompt=prompt,
        references=tuple(_inside(reference, folder, name) for reference in references),
        phrases=tuple(phrases),
        people=_people(fields.get("keypoints"), name),
    )


def _list(value: Any, key: str, name: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise UserError(f"{name}: {key!r} must be a list, not {_short(value)}")
    return value or []


def _inside(text: Any, folder: Path, name: str) -> Path:
    """The path of a file that lies in `folder`, links followed; whether it is a picture shows when it is opened."""
    if not isinstance(text, str) or not text:
        raise UserError(f"{name}: a file name must be a text, not {_short(text)}")
    try:
        path = (folder / text).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a name too long, links in a circle
        raise UserError(f"{name}: {_short(text)} is no file name ({error})") from error
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{name}: {_short(text)} leads out of {folder}: keep all pictures in it")
    return path


def _people(value: Any, name: str) -> Float[np.ndarray, "P J 3"] | None:
    people = _list(value, "keypoints", name)
    if not people:
        return None
    if len(people) > MAX_PEOPLE:
        raise UserError(f"{name}: {len(people)} people are more than {MAX_PEOPLE}")
    try:
        with np.errstate(over="ignore"):  # what is no number of pixels is refused below
            joints = np.asarray(people, np.float64).astype(np.float32).reshape(len(people), -1, 3)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(
            f"{name}: 'keypoints' must be {BODY_POINTS} or {WHOLE_BODY_POINTS} points (x, y, v) of every person"
        ) from error
    return check_people(joints, f"{name}: keypoints", (BODY_POINTS, WHOLE_BODY_POINTS))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
