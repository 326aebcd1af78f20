"""One run a workdir."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import socket
from types import TracebackType

import jax
from absl import logging

from astra_jax.errors import UserError

FILE = "lock"


class WorkdirLock:
    """Holds `workdir` for this run alone; with several processes the first one holds it;
    a context manager that gives it back.

    The kernel's lock (flock) ends with the process that holds it, whatever kills it, and knows no clock: a file that is
    left behind blocks nothing. Raises `UserError` where another run is at work. A file system without locks gets a
    warning.
    """

    def __init__(self, workdir: str | os.PathLike[str]) -> None:
        self._path = pathlib.Path(workdir) / FILE
        self._file = self._take() if jax.process_index() == 0 else None

    def _take(self) -> int | None:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}: choose a --workdir you can write to") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip() or "a process"
            os.close(file)
            raise UserError(
                f"{self._path.parent} is in use by another run ({holder}): let it end, stop it, or choose another "
                "--workdir"
            ) from error
        except OSError as error:
            os.close(file)
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            logging.warning("%s cannot be locked here: start no second run in this folder", self._path.parent)
            return None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return file

    def __enter__(self) -> WorkdirLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives it back; the file stays, as removing it would let two runs lock two files of this name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
