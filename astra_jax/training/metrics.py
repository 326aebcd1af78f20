"""Where a run's numbers and pictures go, and the meter that reads them from the device one step late."""

from __future__ import annotations

import json
import math
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Protocol

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tensorboardX import SummaryWriter

from astra_jax.errors import UserError


class MetricWriter(Protocol):
    """A destination of metrics; `step` counts finished steps."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes named numbers."""
        ...

    def picture(self, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Writes one picture."""
        ...

    def close(self) -> None:
        """Flushes and closes."""
        ...


class ProgressWriter:
    """One line on stdout for every report: step, loss, speed, time left."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Prints the line."""
        rest = {k: v for k, v in values.items() if k not in ("loss", "steps_per_second", "skipped")}
        parts = [f"step {step}/{self._steps}", f"loss {values['loss']:.5f}"]
        parts += [f"{name} {value:.4g}" for name, value in rest.items()]
        if values.get("skipped"):
            parts.append(f"SKIPPED {values['skipped']:.0f} steps (loss not finite)")
        if speed := values.get("steps_per_second"):
            parts.append(f"{speed:.3g} steps/s, {format_seconds((self._steps - step) / speed)} left")
        print("  ".join(parts), flush=True)

    def picture(self, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def format_seconds(seconds: float) -> str:
    """75 -> "1 min 15 s", 7260 -> "2 h 1 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class JsonlWriter:
    """One JSON object a line; a number that is not finite is null. Lines after `start` (a resumed step) are dropped."""

    def __init__(self, path: pathlib.Path, start: int) -> None:
        kept = []
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    if json.loads(line)["step"] <= start:
                        kept.append(line + "\n")
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue  # a line cut short by a killed run
        draft = path.with_suffix(".tmp")
        draft.write_text("".join(kept))
        os.replace(draft, path)
        self._file = path.open("a", buffering=1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Appends the line."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step} | finite) + "\n")

    def picture(self, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoardWriter:
    """TensorBoard events, without TensorFlow."""

    def __init__(self, folder: pathlib.Path, start: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=start + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one scalar a name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Writes the picture as "samples"."""
        self._writer.add_image("samples", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Flushes and closes."""
        self._writer.close()


class PngWriter:
    """Pictures as folder/step_<step>.png."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def picture(self, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Writes the file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step_{step:07d}.png"
        draft = path.with_suffix(".tmp")
        Image.fromarray(np.asarray(picture)).save(draft, format="PNG")
        os.replace(draft, path)

    def close(self) -> None:
        """Nothing."""


class MultiWriter:
    """Passes everything on to several writers, in order."""

    def __init__(self, *writers: MetricWriter) -> None:
        self._writers = writers

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """To all."""
        for writer in self._writers:
            writer.scalars(step, values)

    def picture(self, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """To all."""
        for writer in self._writers:
            writer.picture(step, picture)

    def close(self) -> None:
        """All."""
        for writer in self._writers:
            writer.close()


def make_writer(workdir: pathlib.Path, steps: int, start: int) -> MultiWriter:
    """Progress on stdout, metrics.jsonl, tensorboard/ and samples/ in `workdir`; nothing but in the first process."""
    if jax.process_index() != 0:
        return MultiWriter()
    return MultiWriter(
        ProgressWriter(steps),
        JsonlWriter(workdir / "metrics.jsonl", start),
        TensorBoardWriter(workdir / "tensorboard", start),
        PngWriter(workdir / "samples"),
    )


class Meter:
    """Averages metrics between reports.

    Values of a step are read when the next step has been handed to the device, so that the device never waits for the
    host. Raises `UserError` once `max_skipped` steps in a row had a loss that is not finite.
    """

    def __init__(self, writer: MetricWriter, log_every: int, max_skipped: int, start: int) -> None:
        self._writer, self._log_every, self._max_skipped = writer, log_every, max_skipped
        self._pending: tuple[int, Mapping[str, jax.Array]] | None = None
        self._skipped_in_a_row = 0
        self._first = start + 1
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps = self._skipped = 0
        self._waited, self._started = 0.0, time.monotonic()

    def waited(self, seconds: float) -> None:
        """Adds time spent waiting for data."""
        self._waited += seconds

    def push(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        """Takes the metrics of the step just dispatched, reads those of the one before."""
        self.flush()
        self._pending = (step, metrics)
        if step == self._first:  # at once: a sign of life, and compilation stays out of the speed
            self.flush()

    def flush(self) -> None:
        """Reads the last step's metrics; reports at multiples of `log_every` and after the first step."""
        if self._pending is None:
            return
        step, device_values = self._pending
        self._pending = None
        values = {name: float(value) for name, value in jax.device_get(dict(device_values)).items()}
        self._steps += 1
        if values.pop("skipped"):
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
                f"the loss was not finite in the {self._skipped_in_a_row} steps up to step {step}: nothing was learnt "
                "from them; lower train.optimizer.learning_rate or train.optimizer.clip_norm, or look at the data"
            )

    def _report(self, step: int, names: list[str]) -> None:
        good = self._steps - self._skipped
        report = {name: self._sums[name] / good if good else math.nan for name in names}
        report = {"loss": report.pop("loss")} | report | {"skipped": float(self._skipped)}
        elapsed = time.monotonic() - self._started
        if step != self._first and elapsed > 0:
            report |= {"steps_per_second": self._steps / elapsed, "data_wait": self._waited / elapsed}
        self._writer.scalars(step, report)
        self._reset()
