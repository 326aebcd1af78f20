"""The meter reads a step's numbers from the device one step late and averages them between reports."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import jax
from absl import logging

from astra_jax.errors import UserError
from astra_jax.training.metrics import MetricWriter


class Meter:
    """Averages metrics between reports.

    Values of a step are read when the next step has been handed to the device, so that the device never waits for the
    host. Raises `UserError` once `max_skipped` steps in a row had a loss that is not finite; such steps are told with
    the numbers of their examples, which `examples` knows for every step. `images` are those of a step and chip.
    """

    def __init__(
        self,
        writer: MetricWriter,
        log_every: int,
        max_skipped: int,
        start: int,
        images: float,
        examples: Callable[[int], list[int]] | None = None,
    ) -> None:
        self._examples = examples
        self._images = images
        self._writer, self._log_every, self._max_skipped = writer, log_every, max_skipped
        self._pending: tuple[int, Mapping[str, jax.Array], float | None] | None = None
        self._skipped_in_a_row = 0
        self._first = start + 1
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps = self._skipped = 0
        self._waited, self._started = 0.0, time.monotonic()
        self._needed = 0.0

    def waited(self, seconds: float) -> None:
        """Adds time spent waiting for data."""
        self._waited += seconds

    def push(self, step: int, metrics: Mapping[str, jax.Array], peak_seconds: float | None = None) -> None:
        """Takes the metrics of the step just dispatched, reads those of the one before.

        `peak_seconds` is what the step would take at the chip's peak rate; None where that is unknown.
        """
        self.flush()
        self._pending = (step, metrics, peak_seconds)
        if step == self._first:  # at once: a sign of life, and compilation stays out of the speed
            self.flush()

    def flush(self) -> None:
        """Reads the last step's metrics; reports at multiples of `log_every` and after the first step."""
        if self._pending is None:
            return
        step, device_values, peak_seconds = self._pending
        self._pending = None
        values = {name: float(value) for name, value in jax.device_get(dict(device_values)).items()}
        self._steps += 1
        self._needed += math.nan if peak_seconds is None else peak_seconds
        skipped, where = values.pop("skipped"), ""
        if skipped:
            where = f" (examples {', '.join(map(str, self._examples(step - 1)))})" if self._examples else ""
            if jax.process_index() == 0:
                logging.warning("step %d is skipped: its loss is not finite%s", step, where)
            self._skipped += 1
            self._skipped_in_a_row += 1
        else:
            self._skipped_in_a_row = 0
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        if step == self._first or (self._log_every and step % self._log_every == 0):
            self._report(step, list(values))
        if self._skipped_in_a_row >= self._max_skipped > 0:
            raise UserError(
                f"the loss was not finite in the {self._skipped_in_a_row} steps up to step {step}{where}: nothing was "
                "learnt from them; lower train.optimizer.learning_rate or train.optimizer.clip_norm, or look at the "
                "data"
            )

    def _report(self, step: int, names: list[str]) -> None:
        good = self._steps - self._skipped
        report = {name: self._sums[name] / good if good else math.nan for name in names}
        report = {"loss": report.pop("loss")} | report | {"skipped": float(self._skipped)}
        elapsed = time.monotonic() - self._started
        if step != self._first and elapsed > 0:
            report |= {"steps_per_second": self._steps / elapsed, "data_wait": self._waited / elapsed}
            report["images_per_second_per_chip"] = self._images * self._steps / elapsed
            if not math.isnan(self._needed):
                report["mfu"] = self._needed / elapsed  # model FLOPs utilisation
        self._writer.scalars(step, report)
        self._reset()
