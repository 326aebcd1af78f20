"""A full disk, said in one line."""

from __future__ import annotations

import contextlib
import errno
import logging
import pathlib
import sys
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


def _is_late(error: BaseException | None) -> bool:
    """Whether TensorStore found at the end of a write that Orbax had given up and closed its event loop."""
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


@contextlib.contextmanager
def full_disk_is_told(workdir: pathlib.Path) -> Iterator[None]:
    """Turns errors for want of room into a `UserError` that names the newest whole checkpoint of `workdir`.

    Threads of Orbax and TensorStore tell of the same error with their tracebacks, which may run through other lines.
    They are left out, and after that error stay so: the last ones come when the process ends.
    """
    loggers, tell = [logging.getLogger(name) for name in ("absl", "asyncio")], sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not _is_late(unraisable.exc_value):
            tell(unraisable)

    for logger in loggers:
        logger.addFilter(_is_about_something_else)
    sys.unraisablehook = hook
    full = False
    try:
        yield
    except (OSError, ValueError) as error:
        full = is_full(error)
        if not full:
            raise
        step = newest_step(workdir)
        kept = "it holds no checkpoint yet" if step is None else f"its newest checkpoint, of step {step}, is whole"
        raise UserError(
            f"there is no room left on the disk of {workdir}; {kept}: make room and give the same command again"
        ) from error
    finally:
        if not full:
            sys.unraisablehook = tell
            for logger in loggers:
                logger.removeFilter(_is_about_something_else)
