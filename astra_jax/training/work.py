"""What the chips do in a step, for the rates in the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from astra_jax.config import Config
from astra_jax.costs.chips import peak_flops
from astra_jax.costs.step import step_flops


class StepWork:
    """The work of one chip in one step.

    Args:
        config: of the run.
        devices: all that it trains on.
        trained: paths of the trained parameters.
    """

    def __init__(self, config: Config, devices: Sequence[Any], trained: Iterable[str]) -> None:
        self.images = config.train.batch_size / len(devices)
        self._config, self._trained = config, tuple(trained)
        self._device, self._peak = devices[0], peak_flops(devices[0].device_kind)
        self._seconds: dict[tuple[int, int] | None, float] = {}

    def peak_seconds(self, batch: Any) -> float | None:
        """Seconds that the needed FLOPs of a step (see `costs.step`) take at the chip's peak; None: a chip unknown.

        With `data.buckets` the batch's own canvas counts.
        """
        if self._peak is None:
            return None
        canvas = self._canvas(batch) if self._config.data.buckets else None
        if canvas not in self._seconds:
            flops = self.images * step_flops(self._config, self._trained, canvas)
            self._seconds[canvas] = flops / self._peak
        return self._seconds[canvas]

    def why_no_mfu(self) -> str | None:
        """Why the log has no MFU; None where it has one, and on CPUs, where nobody expects it."""
        if self._peak is not None or self._device.platform == "cpu":
            return None
        return (
            f"mfu is not logged: the peak rate of {self._device.device_kind!r} is unknown (astra_jax/costs/chips.py has"
            " those that are known)"
        )

    def _canvas(self, batch: Any) -> tuple[int, int]:
        """Height and width of a batch's pictures in pixels."""
        scale = self._config.model.autoencoder.downsampling if self._config.data.latents else 1
        height, width = batch.target.shape[1:3]
        return height * scale, width * scale
