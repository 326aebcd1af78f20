"""Preemption: SIGTERM asks the loop to save and stop at the next step border."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class StopSignal:
    """Context manager whose `requested` turns true on SIGTERM; further signals change nothing.

    Outside the main thread, where Python allows no signal handlers, it never turns true.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __enter__(self) -> StopSignal:
        """Installs the handler."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Puts the former handler back."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
