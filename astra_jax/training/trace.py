"""A profiler's trace of chosen steps, for xprof, TensorBoard or Perfetto."""

from __future__ import annotations

import pathlib
import re

import jax

from astra_jax.errors import UserError

FOLDER = "profile"
MOST_STEPS = 100  # traces grow by megabytes a step


def parse_steps(text: str) -> tuple[int, int]:
    """"START:STOP" as two step numbers, both included. Raises `UserError` for anything else."""
    match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)
    if match is None:
        raise UserError(f"--profile {text!r} is not START:STOP, the first and the last step to trace, such as 10:14")
    return int(match[1]), int(match[2])


class Trace:
    """Traces the steps `first` to `last` (as the log counts them) into workdir/profile; None traces nothing.

    The first process writes. Raises `UserError` for steps that a run from `done` to `steps` does not have, and for
    more than `MOST_STEPS`.
    """

    def __init__(self, workdir: pathlib.Path, chosen: tuple[int, int] | None, done: int, steps: int) -> None:
        self._folder, self._chosen, self._running = workdir / FOLDER, chosen, False
        if chosen is None:
            return
        first, last = chosen
        if last < first:
            raise UserError(f"--profile {first}:{last} ends before it starts: turn the numbers round")
        if last - first >= MOST_STEPS:
            raise UserError(f"--profile {first}:{last} are more than {MOST_STEPS} steps: a few show what all do")
        if first <= done or last > steps:
            raise UserError(
                f"--profile {first}:{last} does not lie within this run, which does steps {done + 1} to {steps}"
            )

    def starts_at(self, step: int) -> bool:
        """Whether `step` is the first one to trace."""
        return self._chosen is not None and step == self._chosen[0]

    def ends_at(self, step: int) -> bool:
        """Whether `step` is the last one to trace."""
        return self._running and self._chosen is not None and step == self._chosen[1]

    def start(self) -> None:
        """Starts the profiler; the device should have finished the steps before."""
        if jax.process_index() == 0:
            jax.profiler.start_trace(str(self._folder))
        self._running = True

    def stop(self) -> None:
        """Writes the trace, if one is running; the device should have finished the steps in it."""
        if self._running and jax.process_index() == 0:
            jax.profiler.stop_trace()
        self._running = False
