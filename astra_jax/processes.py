"""Programs of ours as child processes that end with this one, each with its share of the cores and a log."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from astra_jax.errors import UserError

PATIENCE = 30  # seconds between asking a process to end and ending it


class Processes:
    """The children of a program; a context manager that leaves none behind.

    SIGTERM ends the program as Ctrl-C does, in the main thread; children then get SIGTERM, upon which train.py saves.
    """

    def __init__(self):
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, command: Sequence[str], log: pathlib.Path, name: str, cores: int) -> None:
        """Runs a program of ours to its end, with `cores` threads a pool (XLA reads NPROC) and what it prints in `log`.

        Raises `UserError` with the program's own line where it refuses (exit code 2), RuntimeError where it fails
        otherwise.
        """
        begin = time.monotonic()
        environment = os.environ | {"NPROC": str(cores), "PYTHONUNBUFFERED": "1"}
        print(f"{name}: begins", flush=True)
        with log.open("ab") as file:
            offset = file.tell()
            with self._lock:
                if self._stopped:
                    raise InterruptedError(f"{name}: stopped")
                child = subprocess.Popen(
                    command, stdout=file, stderr=subprocess.STDOUT, env=environment, stdin=subprocess.DEVNULL
                )
                self._running.add(child)
            code = child.wait()
            with self._lock:
                self._running.discard(child)
        if self._stopped:
            raise InterruptedError(f"{name}: stopped")
        if code:
            lines = log.read_bytes()[offset:].decode(errors="replace").splitlines() or [""]
            refused = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
            if code == 2 and refused:
                raise UserError(f"{name}: {refused[-1]}")
            raise RuntimeError(f"{name}: exit code {code}, {lines[-1]!r}; all of it is in {log}")
        print(f"{name}: done in {time.monotonic() - begin:.0f} s", flush=True)

    def stop(self) -> None:
        """Ends all children, waits for them, and lets no further one begin."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for child in running:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        for child in running:
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def __enter__(self) -> Processes:
        self._signals = contextlib.ExitStack()
        self._signals.enter_context(_sigterm_interrupts())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._signals.close()


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        del frame
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
