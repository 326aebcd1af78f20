"""Files that appear when they are whole."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def draft_of(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A name beside `path` to write to, which takes its place when the block ends, and goes if it fails.

    What was at `path` is there until then. Raises OSError as the block and the renaming do.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Writes a file by a draft."""
    with draft_of(path) as draft:
        draft.write_bytes(data)
