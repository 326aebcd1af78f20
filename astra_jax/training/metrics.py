"""Where a run's numbers and pictures go."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tensorboardX import SummaryWriter

from astra_jax.whole_files import draft_of, write_whole


@runtime_checkable
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
        write_whole(path, "".join(kept).encode())
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
        with draft_of(path) as draft:
            Image.fromarray(np.asarray(picture)).save(draft, format="PNG")

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
