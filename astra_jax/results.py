"""What a sampling run leaves behind: PNG files, a manifest line for each, and one contact sheet."""

from __future__ import annotations

import json
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from astra_jax.config import Config, to_dict
from astra_jax.errors import UserError
from astra_jax.pipeline import Ready, Result

MANIFEST, SHEET, CONFIG = "manifest.jsonl", "sheet.png", "config.json"
_GAP, _LINE = 6, 13  # pixels
_SHEET_ROWS, _SHEET_COLUMNS = 40, 8  # most requests on the contact sheet, most pictures of each


class ResultWriter:
    """Writes results into a folder one by one; what is written is whole, whenever the run ends.

    Raises `UserError` if the folder cannot be written to.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: Config,
        weights: str,
        steps: int,
        guidance: float,
        cfg_scale: float,
    ):
        self.folder = pathlib.Path(folder)
        self._run = {"weights": weights, "steps": steps, "guidance": guidance, "cfg_scale": cfg_scale}
        self._rows: list[tuple[Ready, list[np.ndarray]]] = []  # of the contact sheet
        self._current: Ready | None = None
        self._requests = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(self.folder / CONFIG, (json.dumps(to_dict(config), indent=2) + "\n").encode())
            _replace(self.folder / MANIFEST, b"")
            (self.folder / SHEET).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"--out {self.folder}: {error.strerror}: choose a folder you can write to") from error

    def add(self, result: Result) -> pathlib.Path:
        """Writes the picture, then its manifest line; returns the picture's path."""
        ready = result.ready
        if ready is not self._current:
            self._current = ready
            self._requests += 1
            if self._requests <= _SHEET_ROWS:
                self._rows.append((ready, []))
        path = self.folder / f"{self._requests - 1:04d}_{result.index}.png"
        try:
            _save_png(result.picture, path)
            with (self.folder / MANIFEST).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(json.dumps(self.describe(result, path.name), ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; the pictures before it are kept") from error
        if self._requests <= _SHEET_ROWS and len(self._rows[-1][1]) < _SHEET_COLUMNS:
            self._rows[-1][1].append(result.picture)
        return path

    def describe(self, result: Result, file: str) -> dict[str, Any]:
        """The manifest's line: what was asked for and what was found for it."""
        request, retrieved = result.ready.request, result.ready.retrieved
        pose: dict[str, Any] = {"source": request.pose}
        if retrieved is not None:
            people = np.round(retrieved.people, 2).tolist()
            pose.update(entry=retrieved.entry, action=retrieved.action, caption=retrieved.caption)
            pose.update(score=round(retrieved.score, 4), people=people)
        return {
            "file": file,
            "request": request.name,
            "prompt": request.prompt,
            "subjects": [{"phrase": s.phrase, "image": str(s.image)} for s in request.subjects],
            "pose": pose,
            "people": request.people,
            "seed": request.seed,
            "index": result.index,
            "height": result.picture.shape[0],
            "width": result.picture.shape[1],
            "config": CONFIG,
            **self._run,
            "notes": list(result.ready.notes),
        }

    def finish(self) -> pathlib.Path:
        """Writes the contact sheet (of the first requests, if there are many) and returns its path."""
        path = self.folder / SHEET
        try:
            _save_png(contact_sheet(self._rows), path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; the pictures are kept") from error
        return path


def contact_sheet(rows: Sequence[tuple[Ready, Sequence[UInt8[np.ndarray, "H W 3"]]]]) -> UInt8[np.ndarray, "h w 3"]:
    """A row for each request: its references, its skeleton, its pictures; the prompt above, the pose's action below."""
    height, width = rows[0][1][0].shape[:2]
    references = max(max(len(ready.photos) for ready, _ in rows), 1)
    pictures = max(len(drawn) for _, drawn in rows)
    cell = width + _GAP
    row_height = height + 2 * _LINE + 2 * _GAP
    page = Image.new("RGB", ((references + 1 + pictures) * cell + _GAP, len(rows) * row_height + _GAP), "white")
    pen = ImageDraw.Draw(page)
    for i, (ready, drawn) in enumerate(rows):
        top = i * row_height + _GAP
        pen.text((_GAP, top), _fit(ready.request.prompt, page.width), fill="black")
        cells: list[np.ndarray | None] = list(ready.photos)
        cells += [None] * (references - len(cells)) + [ready.skeleton, *drawn]
        for column, picture in enumerate(cells):
            if picture is not None:
                page.paste(Image.fromarray(picture), (_GAP + column * cell, top + _LINE + 2))
        below = top + _LINE + 2 + height
        for column, subject in enumerate(ready.request.subjects):
            pen.text((_GAP + column * cell, below), _fit(subject.phrase, width), fill="dimgray")
        if ready.retrieved is not None:
            label = ready.retrieved.action or ready.retrieved.entry
            pen.text((_GAP + references * cell, below), _fit(label, width), fill="dimgray")
    return np.asarray(page)


def _fit(text: str, width: int) -> str:
    """One line of `text` in at most `width` pixels of the built-in font, which knows Latin-1 only."""
    line = textwrap.shorten(text, max(int(width / 6.2), 4), placeholder="...")
    return line.encode("latin-1", "replace").decode("latin-1")


def _save_png(picture: np.ndarray, path: pathlib.Path) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    Image.fromarray(picture).save(draft, format="PNG")
    draft.replace(path)


def _replace(path: pathlib.Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(data)
    draft.replace(path)
