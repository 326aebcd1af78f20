"""A full disk, said in one line."""

from __future__ import annotations

import contextlib
import errno
import logging
import pathlib
from collections.abc import Iterator

from astra_jax.errors import UserError
from astra_jax.training.checkpoint import newest_step

_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# TensorStore, which writes the arrays, has the system's words in the text of a ValueError.
_WORDS = ("No space left on device", "Disk quota exceeded", "File too large")


def is_full(error: OSError | ValueError) -> bool:
    """Whether `error` says that a write found no room."""
    if isinstance(error, OSError):
        return error.errno in _NUMBERS
    return any(words in str(error) for words in _WORDS)


def _is_about_something_else(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, OSError | ValueError) and is_full(error))


@contextlib.contextmanager
def full_disk_is_told(workdir: pathlib.Path) -> Iterator[None]:
    """Turns errors for want of room into a `UserError` that names the newest whole checkpoint of `workdir`.

    Orbax' threads log the same error with their tracebacks; that is left out.
    """
    logger = logging.getLogger("absl")
    logger.addFilter(_is_about_something_else)
    try:
        yield
    except (OSError, ValueError) as error:
        if not is_full(error):
            raise
        step = newest_step(workdir)
        kept = "it holds no checkpoint yet" if step is None else f"its newest checkpoint, of step {step}, is whole"
        raise UserError(
            f"there is no room left on the disk of {workdir}; {kept}: make room and give the same command again"
        ) from error
    finally:
        logger.removeFilter(_is_about_something_else)
