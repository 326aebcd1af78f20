"""Preemption: SIGTERM asks the loop to save and stop at a step border, the same one in every process."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

import jax
from jax.experimental import multihost_utils


class StopSignal:
    """Context manager that says at which step to stop after SIGTERM; further signals change nothing.

    With several processes jax's preemption service, which watches for SIGTERM itself, agrees on the step: the one after
    the newest that any process has begun, so that a signal to one process stops all of them at the same place. Asking
    it reads a local counter; neither the device nor the network is waited for. A process alone has no such service and
    handles the signal itself (not outside the main thread, where Python allows no handlers).
    """

    def __init__(self) -> None:
        self._requested = False
        self._previous = None

    def reached(self, step: int) -> bool:
        """Whether to stop after `step` steps; every process must ask once before every step."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._requested

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._requested = True

    def __enter__(self) -> StopSignal:
        """Installs the handler."""
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Puts the former handler back."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
