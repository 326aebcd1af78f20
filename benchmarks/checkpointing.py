"""How long saving keeps the training loop from stepping, beside the same run that saves nothing.

    python benchmarks/checkpointing.py --parameters=4000000 --steps=60 --every=20

Runs the real loop (astra_jax.training.loop) on a stack of layers with about so many trained parameters, on all
devices, in a temporary folder. A save stores four arrays of that size in float32 (parameters, average, two moments).
"blocked" is the time from asking for a save until the loop goes on: the copy off the devices, and what the save before
has left over. "slower" is the time of all steps with saves against that without, which also holds what the background
write takes from the steps, and noise. The share at the interval of the default config is blocked time over 500 steps of
one second. The last line is JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import statistics
import sys
import tempfile
import time

import grain
import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.sharding import PartitionSpec as P

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from astra_jax import cli
from astra_jax.config import Config, ModelConfig, TrainConfig
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.loop import train
from astra_jax.training.mesh import fsdp

_PARAMETERS = flags.DEFINE_integer("parameters", 4_000_000, "Trained parameters.")
_STEPS = flags.DEFINE_integer("steps", 60, "Steps of each run.")
_EVERY = flags.DEFINE_integer("every", 20, "Steps between saves.")
_BATCH = flags.DEFINE_integer("batch", 256, "Examples a step.")
_FOLDER = flags.DEFINE_string("folder", None, "On the disk to measure; a temporary folder by default.")

_LAYERS = 4


@dataclasses.dataclass(frozen=True)
class Stack:
    """Layers of tanh that learn the sine of their input."""

    width: int
    rules: tuple = ((r"kernel$", fsdp(first=1)), (r"bias$", P()))

    def init(self, rng):
        """Kernels for a scan over the layers."""
        kernel = jax.random.normal(rng, (_LAYERS, self.width, self.width)) / self.width**0.5
        return {"stack": {"kernel": kernel}}

    def loss(self, params, batch, rng):
        """Mean squared error."""
        del rng
        last, _ = jax.lax.scan(lambda x, kernel: (jnp.tanh(x @ kernel), None), batch, params["stack"]["kernel"])
        return jnp.mean(jnp.square(last - jnp.sin(batch))), {}

    def preview(self, params, batch, rng):
        """Nothing to see."""
        raise NotImplementedError


def run(every: int, folder: pathlib.Path, width: int) -> tuple[float, list[float]]:
    """Seconds of all steps but the first ones, and the seconds for which each save held the loop."""
    blocked: list[float] = []
    marks: list[float] = []

    class Timed(Checkpoints):
        def save(self, step, state, data):
            jax.block_until_ready(state)  # the step itself is not the save's
            began = time.perf_counter()
            super().save(step, state, data)
            blocked.append(time.perf_counter() - began)

    def mark(index, batch):
        marks.append(time.perf_counter())
        return batch

    def example(index):
        return np.random.default_rng(int(index)).normal(size=width).astype(np.float32)

    settings = TrainConfig(
        steps=_STEPS.value, batch_size=_BATCH.value, checkpoint_every=every, sample_every=0, log_every=10
    )
    data = grain.MapDataset.range(1024).map(example).repeat().batch(_BATCH.value, drop_remainder=True)
    dataset = data.map_with_index(mark).to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    loop = sys.modules["astra_jax.training.loop"]
    with contextlib.redirect_stdout(io.StringIO()):
        loop.Checkpoints = Timed
        try:
            folder.mkdir()
            train(Config(model=ModelConfig(dtype="float32"), train=settings), folder, Stack(width), dataset)
        finally:
            loop.Checkpoints = Checkpoints
    return marks[-1] - marks[5], blocked[:-1] if len(blocked) > 1 else []  # the last one is the end's


def main(argv) -> None:
    """Prints the figures; the last line is JSON."""
    del argv
    cli.keep_compiled_programs()
    width = round((_PARAMETERS.value / _LAYERS) ** 0.5)
    with tempfile.TemporaryDirectory(dir=_FOLDER.value) as temporary:
        folder = pathlib.Path(temporary)
        run(0, folder / "warm", width)
        without, _ = run(0, folder / "without", width)
        with_saves, blocked = run(_EVERY.value, folder / "with", width)
        size = sum(path.stat().st_size for path in (folder / "with" / "checkpoints").rglob("*") if path.is_file()) / 2
    held = statistics.median(blocked)
    figures = {
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "parameters": _LAYERS * width**2,
        "checkpoint_mb": round(size / 1e6, 1),
        "step_seconds": round(without / (_STEPS.value - 6), 4),
        "blocked_seconds": round(held, 4),
        "blocked_seconds_worst": round(max(blocked), 4),
        "every": _EVERY.value,
        "blocked_share": round(sum(blocked) / len(blocked) / (_EVERY.value * without / (_STEPS.value - 6)), 4),
        "slower_share": round(with_saves / without - 1, 4),
        "blocked_share_of_500_one_second_steps": round(held / 500, 6),
    }
    for name, value in figures.items():
        print(f"{name:40} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    cli.run(main)
