"""What an evaluation leaves behind: result.json, table.md, report.html and the pictures that the report shows."""

from __future__ import annotations

import os
import pathlib

from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation.markdown import markdown
from astra_jax.evaluation.page import MAIN, MAX_BESIDE, page
from astra_jax.evaluation.result import Result, SampleRecord, write_result
from astra_jax.evaluation.scoring import Scored
from astra_jax.inputs.photos import load_photo
from astra_jax.whole_files import draft_of, write_whole

TABLE, PAGE, BESIDE = "table.md", "report.html", "shown"


def write_report(folder: str | os.PathLike[str], result: Result, chosen: str = "") -> pathlib.Path:
    """Writes result.json, table.md and report.html, each whole; returns the report's path.

    Args:
        folder: made if it is not there; the pictures' names in `result` are relative to it.
        result: what was found.
        chosen: the figure by which the report sorts its pictures at first; the headline's first by default.

    Raises `UserError` for a folder that cannot be written to.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_result(folder, result)
        write_whole(folder / TABLE, markdown(result).encode("utf-8", "replace"))
        write_whole(folder / PAGE, page(result, folder, chosen).encode())
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose a folder you can write to") from error
    return folder / PAGE


def keep(scored: Scored, prompt: str, picture: pathlib.Path, folder: pathlib.Path) -> SampleRecord:
    """A picture's record; what is shown beside it is written to `folder`.

    A `picture` that lies elsewhere (`evaluate.py --images`) is shown by a small copy in `folder`. Raises OSError.
    """
    name = f"{scored.case}_{scored.index}"
    beside = {
        caption: _write(Image.fromarray(pixels), f"{name}_{number}", folder)
        for number, (caption, pixels) in enumerate(list(scored.scores.pictures.items())[:MAX_BESIDE])
    }
    if picture.resolve().is_relative_to(folder.resolve()):
        file = picture.resolve().relative_to(folder.resolve()).as_posix()
    else:
        file = _write(Image.fromarray(load_photo(picture)), name, folder)
    values = {figure: tuple(map(float, some)) for figure, some in scored.scores.values.items()}
    return SampleRecord(scored.case, scored.index, prompt, file, values, beside)


def _write(picture: Image.Image, name: str, folder: pathlib.Path) -> str:
    picture.thumbnail((MAIN, MAIN), Image.Resampling.LANCZOS)
    path = folder / BESIDE / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(path) as draft:
        picture.save(draft, format="PNG")
    return f"{BESIDE}/{path.name}"
