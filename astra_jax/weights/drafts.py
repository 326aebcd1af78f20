"""Folders that appear when they are complete."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Container, Iterator

from astra_jax.errors import UserError
from astra_jax.weights.sources import PathLike


@contextlib.contextmanager
def draft_of(folder: PathLike, replaced: Container[str] = ()) -> Iterator[pathlib.Path]:
    """A new folder beside `folder` to write to, which takes its place when the block ends, and goes if it fails.

    Args:
        folder: does not exist, is empty, or holds nothing but what `replaced` names, which is lost then.
        replaced: names of files.

    Raises `UserError` where `folder` holds other files or is no folder, and in place of an OSError of the block.
    """
    target = pathlib.Path(folder).absolute()
    if target.exists() and (not target.is_dir() or any(file.name not in replaced for file in target.iterdir())):
        raise UserError(f"{target} holds other files: choose a new or empty folder")
    draft, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        yield draft
        if target.exists():
            os.rename(target, old)
            os.rename(draft, target)
            shutil.rmtree(old)
        else:
            os.rename(draft, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}: choose another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
