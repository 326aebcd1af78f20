"""What sampling runs leave behind in a folder: PNG files, a manifest line for each, and a contact sheet.

A picture's name and manifest line hold its key (`sampling.identity`), so that runs share a folder: what is there is not
drawn again, nothing is overwritten, and a run that was interrupted goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from astra_jax.config import Config, to_dict
from astra_jax.errors import UserError
from astra_jax.inputs.requests import GivenPose, Photo
from astra_jax.pipeline import Ready, Result
from astra_jax.whole_files import draft_of, write_whole

MANIFEST, SHEET = "manifest.jsonl", "sheet.png"
PNG_KEY = "astra_jax"  # of the text in a PNG that says what it was asked to be
SHEET_ROWS, SHEET_COLUMNS = 40, 8  # most requests on the contact sheet, most pictures of each
_GAP, _LINE = 6, 13  # pixels


class ResultWriter:
    """Adds pictures to a folder one by one; what is written is whole, whenever the run ends.

    Raises `UserError` if the folder cannot be written to or its manifest is none.
    """

    def __init__(self, folder: str | os.PathLike[str], config: Config, weights: str, process: int = 0):
        """`weights` tells the weights apart; `process` is this one's number where several fill one folder."""
        self.folder = pathlib.Path(folder)
        self._text = (json.dumps(to_dict(config), indent=2) + "\n").encode()
        self._config = self.folder / f"config-{hashlib.sha256(self._text).hexdigest()[:8]}.json"
        self._weights = weights
        self._manifest = self.folder / (MANIFEST if process == 0 else f"manifest.{process}.jsonl")
        self._added = False
        try:
            # What the first process makes the others use, too: it alone knows when nobody does.
            self._made = [path for path in (self.folder, self._config) if process == 0 and not path.exists()]
            self._make_folder()
            self._files = read_manifests(self.folder)
            _drop_torn_line(self._manifest)
        except OSError as error:
            raise UserError(f"--out {self.folder}: {error.strerror}: choose a folder you can write to") from error

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._config, self._text)

    def find(self, key: str) -> pathlib.Path | None:
        """The picture of that key, if it is there."""
        path = self.folder / self._files[key] if key in self._files else None
        return path if path is not None and path.is_file() else None

    def add(self, result: Result, key: str) -> pathlib.Path:
        """Writes the picture, then its manifest line; returns the picture's path."""
        path = self.folder / f"{result.number:05d}_{result.index}_{key[:8]}.png"
        line = self._describe(result, key, path.name)
        try:
            if not self._config.exists():  # another process that drew nothing has cleared up
                self._make_folder()
            save_png(result.picture, path, line)
            with self._manifest.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; the pictures before it are kept") from error
        self._files[key], self._added = path.name, True
        return path

    def _describe(self, result: Result, key: str, file: str) -> dict[str, Any]:
        """The manifest's line: what was asked for and what was found for it."""
        request, retrieved = result.ready.request, result.ready.retrieved
        pose: dict[str, Any] = {"source": "given" if isinstance(request.pose, GivenPose) else request.pose}
        if retrieved is not None:
            people = np.round(retrieved.people, 2).tolist()
            pose.update(entry=retrieved.entry, action=retrieved.action, caption=retrieved.caption)
            pose.update(score=round(retrieved.score, 4), people=people)
        return {
            "file": file,
            "key": key,
            "request": request.name,
            "prompt": request.prompt,
            "subjects": [{"phrase": s.phrase, "image": _name(s.image)} for s in request.subjects],
            "pose": pose,
            "people": request.people,
            "image": request.image and _name(request.image),
            "seed": request.seed,
            "index": result.index,
            **dataclasses.asdict(result.ready.settings),
            "config": self._config.name,
            "weights": self._weights,
            "notes": list(result.ready.notes),
        }

    def finish(self, rows: Sequence[tuple[Ready, Sequence[pathlib.Path]]]) -> pathlib.Path:
        """Writes the contact sheet of prepared requests and their pictures' files; returns its path."""
        path = self.folder / SHEET
        try:
            save_png(contact_sheet([(ready, [_read(file) for file in files]) for ready, files in rows]), path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; the pictures are kept") from error
        return path

    def join(self) -> None:
        """Puts the lines of other processes' manifests behind those of this one, when they have ended."""
        first, *others = _manifests(self.folder)
        lines = [line for path in (first, *others) for line in _whole_lines(path)]
        write_whole(first, b"".join(line + b"\n" for line in lines))
        for path in others:
            path.unlink()
        self._files = read_manifests(self.folder)

    def discard(self) -> None:
        """Takes back what the constructor made, if no picture was added, by another process either."""
        if not self._made or self._added or self._config.name in _configs(self.folder):
            return
        for path in reversed(self._made):
            if path.is_file():
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def read_manifests(folder: pathlib.Path) -> dict[str, str]:
    """Key -> file name of the pictures that the manifests of a folder name; a last line that was cut short is none.

    Raises `UserError` for a file that is no manifest of ours.
    """
    files = {}
    for path in _manifests(folder):
        for number, text in enumerate(_whole_lines(path), 1):
            try:
                line = json.loads(text)
                key, file = line["key"], line["file"]
                valid = isinstance(key, str) and isinstance(file, str) and pathlib.PurePath(file).name == file
            except (ValueError, KeyError, TypeError, RecursionError):
                valid = False
            if not valid:
                raise UserError(f"{path} line {number} is no line of sample.py's: choose another --out")
            files[key] = file
    return files


def _manifests(folder: pathlib.Path) -> list[pathlib.Path]:
    """The first process's manifest, whether it is there or not, and those of the others."""
    return [folder / MANIFEST, *sorted(folder.glob("manifest.*.jsonl"))]


def _configs(folder: pathlib.Path) -> set[str]:
    """The files that lines of manifests name as their config."""
    lines = itertools.chain.from_iterable(map(_whole_lines, _manifests(folder)))
    return {json.loads(line).get("config", "") for line in lines}


def _whole_lines(path: pathlib.Path) -> list[bytes]:
    if not path.exists():
        return []
    *whole, _ = path.read_bytes().split(b"\n")
    return [line for line in whole if line]


def _drop_torn_line(path: pathlib.Path) -> None:
    """A process that was killed while it wrote leaves half a line, which the next line must not be put behind."""
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        lines = _whole_lines(path)
        write_whole(path, b"".join(line + b"\n" for line in lines))


def contact_sheet(rows: Sequence[tuple[Ready, Sequence[UInt8[np.ndarray, "_ _ 3"]]]]) -> UInt8[np.ndarray, "h w 3"]:
    """A row for each request: its references, its skeleton, its pictures; the prompt above, the pose's action below.

    Rows are as high as their own pictures; at most `SHEET_COLUMNS` pictures of a request are shown.
    """
    rows = [(ready, drawn[:SHEET_COLUMNS]) for ready, drawn in rows]
    references = max(max(len(ready.photos) for ready, _ in rows), 1)
    cell = max(picture.shape[1] for _, drawn in rows for picture in drawn) + _GAP
    columns = references + 1 + max(len(drawn) for _, drawn in rows)
    heights = [max(picture.shape[0] for picture in drawn) + 2 * _LINE + 2 * _GAP for _, drawn in rows]
    page = Image.new("RGB", (columns * cell + _GAP, sum(heights) + _GAP), "white")
    pen = ImageDraw.Draw(page)
    top = _GAP
    for (ready, drawn), height in zip(rows, heights, strict=True):
        pen.text((_GAP, top), _fit(ready.request.prompt, page.width), fill="black")
        cells: list[np.ndarray | None] = list(ready.photos)
        cells += [None] * (references - len(cells)) + [ready.skeleton, *drawn]
        for column, picture in enumerate(cells):
            if picture is not None:
                page.paste(Image.fromarray(picture), (_GAP + column * cell, top + _LINE + 2))
        below = top + height - _LINE - 2 * _GAP + 2
        for column, subject in enumerate(ready.request.subjects):
            pen.text((_GAP + column * cell, below), _fit(subject.phrase, cell - _GAP), fill="dimgray")
        if ready.retrieved is not None:
            label = ready.retrieved.action or ready.retrieved.entry
            pen.text((_GAP + references * cell, below), _fit(label, cell - _GAP), fill="dimgray")
        top += height
    return np.asarray(page)


def _fit(text: str, width: int) -> str:
    """One line of `text` in at most `width` pixels of the built-in font, which knows Latin-1 only."""
    line = textwrap.shorten(text, max(int(width / 6.2), 4), placeholder="...")
    return line.encode("latin-1", "replace").decode("latin-1")


def _name(photo: Photo) -> str:
    return "given" if isinstance(photo, Image.Image) else str(photo)


def _read(path: pathlib.Path) -> UInt8[np.ndarray, "H W 3"]:
    with Image.open(path, formats=["PNG"]) as picture:
        return np.asarray(picture.convert("RGB"))


def read_png(path: pathlib.Path) -> tuple[UInt8[np.ndarray, "H W 3"], dict[str, Any]]:
    """A picture of ours and the line that its text chunk holds.

    Raises `UserError` for a file that is damaged or was not written by `save_png` with a line.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
            line = json.loads(picture.info[PNG_KEY])
    except (OSError, SyntaxError, ValueError, KeyError, RecursionError) as error:
        raise UserError(f"{path} is damaged or none of our pictures: delete it, and it is drawn again") from error
    return pixels, line


def save_png(picture: UInt8[np.ndarray, "H W 3"], path: pathlib.Path, line: dict[str, Any] | None = None) -> None:
    """Writes a PNG that appears when it is whole; with `line` as JSON in its text chunk `PNG_KEY`."""
    info = PngInfo()
    if line is not None:
        info.add_itxt(PNG_KEY, json.dumps(line, ensure_ascii=True))
    with draft_of(path) as draft:
        Image.fromarray(picture).save(draft, format="PNG", pnginfo=info)
