"""How fast one accelerator trains, at the true size, with random weights: the step that train.py runs.

    python -m benchmarks.full_step --batch 1 4 8 --remat full dots --attention auto plain
    python -m benchmarks.full_step --config configs/puppets.py --batch 8   # the same on any machine

Every combination runs in a process of its own, whose memory is its alone; one that does not fit is told and costs no
other. Times are medians of steps that wait for the one before. MFU counts needed work only (`astra_jax/costs`) against
the chip's published peak where its kind is known, and against the rate of a large bfloat16 product in the same process.
The last line is one JSON object with all rows, the fastest first.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from astra_jax import cli
from astra_jax.config import Config
from astra_jax.costs.chips import peak_flops
from astra_jax.costs.step import step_flops
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.planning.abstract import abstract_batch
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.initialize import initialize
from astra_jax.training.mesh import make_mesh
from astra_jax.training.objectives import make_objective
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.step import compile_step, make_step

PRODUCT = 8192  # rows and columns of the matrices whose product gives the rate
_ROW = "ROW "


def read(name: str) -> Config:
    """The config of a file of configs/, "FILE" or "FILE:ARGUMENT"."""
    path, _, argument = name.partition(":")
    try:
        get_config = runpy.run_path(path)["get_config"]
    except OSError as error:
        raise UserError(f"--config {path} cannot be read: name a file of configs/") from error
    return cli.read_config(get_config(argument) if argument else get_config())


def with_options(config: Config, batch: int, remat: str, attention: str) -> Config:
    """`config` on one device, from random weights, with these options."""
    transformer = dataclasses.replace(config.model.transformer, remat=remat)
    model = dataclasses.replace(config.model, transformer=transformer, attention=attention)
    train = dataclasses.replace(config.train, batch_size=batch, initialize_from=())
    mesh = dataclasses.replace(config.mesh, data=1, fsdp=1, context=1, tensor=1)
    return dataclasses.replace(config, model=model, train=train, mesh=mesh)


def product_rate(size: int, repeats: int) -> float:
    """FLOP/s of a bfloat16 product of square matrices."""
    a = jnp.ones((size, size), jnp.bfloat16)
    multiply = jax.jit(lambda a: a @ a)
    multiply(a).block_until_ready()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        multiply(a).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds)


def measure(config: Config, steps: int, size: int) -> dict[str, Any]:
    """Seconds, images, MFU and memory of the step of `config` on the first device."""
    device = jax.devices()[0]
    rate = product_rate(size, 5)
    mesh = make_mesh(config.mesh, [device])
    objective, settings = make_objective(config), config.train
    with tempfile.TemporaryDirectory() as folder, jax.set_mesh(mesh):
        checkpoints = Checkpoints(Path(folder), config, [])
        state, frozen, _ = initialize(config, objective, mesh, checkpoints)
        checkpoints.close()
        trained = list(flatten(state.params))
        step = make_step(
            objective, make_optimizer(settings.optimizer, settings.steps), settings.optimizer, settings.steps
        )
        batch = jax.tree.map(_array, abstract_batch(config, mesh))
        start = time.perf_counter()
        compiled: Any = compile_step(step, state, frozen, mesh)
        compiled = compiled.lower(state, frozen, batch).compile()
        compiling = time.perf_counter() - start
        seconds = []
        for _ in range(steps + 1):
            start = time.perf_counter()
            state, metrics = compiled(state, frozen, batch)
            jax.block_until_ready(metrics)
            seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[1:])
    flops = settings.batch_size * step_flops(config, trained) / median
    peak = peak_flops(device.device_kind)
    memory = (device.memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "device": device.device_kind,
        "step_seconds": round(median, 4),
        "images_per_second": round(settings.batch_size / median, 3),
        "mfu": round(flops / peak, 4) if peak else None,
        "share_of_product_rate": round(flops / rate, 4),
        "product_tflops": round(rate / 1e12, 1),
        "peak_gib": round(memory / 2**30, 2) if memory else None,
        "compile_seconds": round(compiling, 1),
        "loss_finite": bool(np.isfinite(float(metrics["loss"]))),
    }


def _array(shape: jax.ShapeDtypeStruct) -> jax.Array:
    """Flags are set, pictures grey, token ids small: every part of the model has something to do."""
    fill = {"b": True, "u": 128, "i": 1, "f": 1.0}[np.dtype(shape.dtype).kind]
    return jax.device_put(np.full(shape.shape, fill, shape.dtype), shape.sharding)


def run(argv: Sequence[str] | None = None) -> None:
    """Measures all combinations; raises `UserError` for settings that do not go together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/flux.py", help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8], help="(default: %(default)s)")
    parser.add_argument("--remat", nargs="+", default=["full", "dots"], help="(default: %(default)s)")
    parser.add_argument("--attention", nargs="+", default=["auto"], help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="timed steps (default: %(default)s)")
    parser.add_argument("--product", type=int, default=PRODUCT, help="side of the product (default: %(default)s)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args(argv)
    if min(*arguments.batch, arguments.steps, arguments.product) < 1:
        raise UserError("--batch, --steps and --product must be at least 1")
    combinations = list(itertools.product(arguments.batch, arguments.remat, arguments.attention))
    config = read(arguments.config)
    configs = [with_options(config, *combination) for combination in combinations]  # all refused before one is run
    if arguments.one:
        print(_ROW + json.dumps(measure(configs[0], arguments.steps, arguments.product)))
        return
    rows = []
    for batch, remat, attention in combinations:
        options = {"batch": batch, "remat": remat, "attention": attention}
        command = [sys.executable, "-m", "benchmarks.full_step", "--one", "--config", arguments.config]
        command += itertools.chain.from_iterable((f"--{name}", str(value)) for name, value in options.items())
        command += ["--steps", str(arguments.steps), "--product", str(arguments.product)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line.removeprefix(_ROW) for line in done.stdout.splitlines() if line.startswith(_ROW)]
        if done.returncode == 0 and lines:
            rows.append(options | json.loads(lines[-1]))
        else:
            what = "out of memory" if "RESOURCE_EXHAUSTED" in done.stderr else (done.stderr.strip() or "killed")[-300:]
            rows.append(options | {"failed": what})
        print(json.dumps(rows[-1]), flush=True)
    rows.sort(key=lambda row: -row.get("images_per_second", 0))
    print(json.dumps({"config": arguments.config, "rows": rows}))


if __name__ == "__main__":
    cli.guard(run)
