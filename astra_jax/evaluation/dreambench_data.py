"""DreamBench's files: the DreamBooth data set's photos, classes and prompts, and UNO's lists over them.

<folder>/prompts_and_classes.txt
<folder>/<subject>/00.jpg, 01.jpg, ...        30 subjects of 4 to 6 photos (arXiv 2208.12242)
dreambench_singleip.json, dreambench_multiip.json     [{"prompt": ..., "image_paths": [...]}, ...] (arXiv 2504.02160)
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from astra_jax.errors import UserError
from astra_jax.inputs.placement import find_phrases
from astra_jax.inputs.requests import MAX_PROMPT
from astra_jax.pose.files import read_json

PHOTOS = "the folder 'dataset' of github.com/google/dreambooth, with prompts_and_classes.txt and a folder a subject"
LISTS = "datasets/ of github.com/bytedance/UNO has dreambench_singleip.json and dreambench_multiip.json"
TABLE = "prompts_and_classes.txt"
LIVE = frozenset({"cat", "dog"})  # classes with the prompts for live subjects
SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_TABLE, MAX_LIST = 1 << 20, 1 << 24  # bytes
MOST_PHOTOS, MOST_SUBJECTS, MOST_ENTRIES = 100, 1000, 100_000

_ROW = re.compile(r"([\w-]+),([\w][\w -]*)")
_PROMPT = re.compile(r"\s*'([^'\\]*)'\.format\(")
_TABLE_HEAD = "subject_name,class"


@dataclasses.dataclass(frozen=True)
class Subject:
    """One subject: the name of its folder, its class ("backpack") and its photos by name."""

    name: str
    kind: str
    photos: tuple[Path, ...]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A prompt and the references that are given with it: subjects' names, one photo each, and their words in it."""

    prompt: str
    subjects: tuple[str, ...]
    photos: tuple[Path, ...]
    phrases: tuple[str, ...]


def read_subjects(folder: Path) -> dict[str, Subject]:
    """All subjects, in the order of the table of classes.

    Raises `UserError` for a folder of another layout, naming the source and what is missing.
    """
    subjects = {}
    head, _, rows = _table(folder).partition("Prompts")[0].partition(_TABLE_HEAD)
    for name, kind in _ROW.findall(rows)[:MOST_SUBJECTS]:
        place = folder / name
        photos = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES) if place.is_dir() else []
        if not 1 <= len(photos) <= MOST_PHOTOS:
            raise UserError(f"{place} has {len(photos)} photos ({', '.join(SUFFIXES)}): get {PHOTOS}")
        subjects[name] = Subject(name, kind.strip(), tuple(photos))
    if not subjects:
        raise UserError(f"{folder / TABLE} has no table '{_TABLE_HEAD}' before its prompts: get {PHOTOS}")
    return subjects


def dreambooth_entries(folder: Path, subjects: Mapping[str, Subject]) -> list[Entry]:
    """Every subject with all 25 prompts of its kind, without DreamBooth's rare token; its first photo is given.

    Raises `UserError` for a file without prompts.
    """
    prompts = _table(folder).partition("Prompts")[2].partition("Live Subject")
    objects, live = _PROMPT.findall(prompts[0]), _PROMPT.findall(prompts[2])
    if not objects or not live:
        raise UserError(f"{folder / TABLE} has no prompts for objects or for live subjects: get {PHOTOS}")
    entries = []
    for subject in subjects.values():
        for text in live if subject.kind in LIVE else objects:
            prompt = " ".join(text.replace("{0}", "").replace("{1}", subject.kind).split())
            entries.append(_entry(prompt, [subject], [subject.photos[0]], f"{folder / TABLE}"))
    return entries


def uno_entries(listed: Path, subjects: Mapping[str, Subject], references: int) -> list[Entry]:
    """The entries of one of UNO's lists; of its paths the last two parts count, a subject and a photo of it.

    Raises `UserError` for a list that is missing or damaged, for photos that are not there and for an entry with
    another number of subjects than `references`.
    """
    if not listed.is_file():
        raise UserError(f"{listed} is not there: {LISTS}")
    items = read_json(listed, MAX_LIST)
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_ENTRIES:
        raise UserError(f"{listed} must be a list of 1 to {MOST_ENTRIES} entries: {LISTS}")
    return [_item(item, subjects, references, f"{listed.name} entry {number}") for number, item in enumerate(items)]


def _table(folder: Path) -> str:
    path = folder / TABLE
    try:
        if path.stat().st_size > MAX_TABLE:
            raise UserError(f"{path} has more than {MAX_TABLE >> 20} MiB: get {PHOTOS}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): get {PHOTOS}") from error
    except ValueError as error:
        raise UserError(f"{path} is no text: get {PHOTOS}") from error


def _item(item: Any, subjects: Mapping[str, Subject], references: int, name: str) -> Entry:
    if not isinstance(item, dict):
        raise UserError(f"{name}: must be an object with 'prompt' and 'image_paths'")
    prompt, paths = item.get("prompt"), item.get("image_paths")
    if not isinstance(prompt, str) or not 0 < len(prompt.strip()) <= MAX_PROMPT:
        raise UserError(f"{name}: 'prompt' must be a text of 1 to {MAX_PROMPT} characters")
    if not isinstance(paths, list):
        raise UserError(f"{name}: 'image_paths' must be a list of file names")
    if len(paths) != references:
        raise UserError(f"{name} has {len(paths)} photos in 'image_paths', not {references}, one a subject: {LISTS}")
    chosen, photos = [], []
    for path in paths:
        file = PurePosixPath(path if isinstance(path, str) else "")
        subject = subjects.get(file.parent.name)
        photo = next((p for p in subject.photos if p.name == file.name), None) if subject else None
        if subject is None or photo is None:
            raise UserError(f"{name}: there is no photo {str(path)[:80]!r}: get {PHOTOS}")
        chosen.append(subject)
        photos.append(photo)
    return _entry(prompt.strip(), chosen, photos, name)


def _entry(prompt: str, subjects: Sequence[Subject], photos: Sequence[Path], name: str) -> Entry:
    phrases: list[str] = []
    for number, subject in enumerate(subjects):
        same = sum(other.kind == subject.kind for other in subjects[:number])
        phrases.append(_phrase(prompt, subject.kind, same))
    try:
        find_phrases(prompt, phrases)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    return Entry(prompt, tuple(subject.name for subject in subjects), tuple(photos), tuple(phrases))


def _phrase(prompt: str, kind: str, number: int) -> str:
    """The words of the subject of a class that is named as its `number`-th, from 0: "a cube shaped backpack"."""
    found = re.findall(rf"\ban? (?:[\w-]+ ){{0,2}}?{re.escape(kind)}\b", prompt)
    return found[number] if number < len(found) else kind
