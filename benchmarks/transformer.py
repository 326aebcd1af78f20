"""How fast a velocity is, next to FLUX.1's transformer in PyTorch, in the same run.

    python -m benchmarks.transformer                  # CPU: against diffusers, float32, two threads, three sizes
    NPROC=1 python -m benchmarks.transformer --clock cpu   # the same in CPU time of one thread
    python -m benchmarks.transformer --device gpu     # GPU: full size, bfloat16 (see transformer_gpu.py)

On the CPU both have the same random weights, and what they compute is compared before anything is timed: the velocity,
and the gradients of all parameters. The sides alternate, each timed after an untimed call of its own, and figures are
medians. A sample during which other programs took more than `--others` of the machine's CPU time says little; it is
taken again, for at most `--patience` seconds a measurement, and the row tells how much others took in the samples that
counted. Where the machine is never quiet, `--clock cpu` counts the CPU time of one thread in place of the wall's (set
NPROC=1, which holds XLA to one). The last line is one JSON object: `forward_ratio` and `train_ratio`, our time over
diffusers', are the worst of the sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.cli import guard
from astra_jax.config import TransformerConfig
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.weights.flux import diffusers_naming
from astra_jax.weights.mapping import load_leaf, save_leaf
from benchmarks.flux_problem import Problem, conditions, random_inputs, random_params
from benchmarks.flux_problem import velocity as our_velocity

CLOCKS = {"wall": (time.perf_counter, 2), "cpu": (time.process_time, 1)}  # and threads
TOLERANCE = 1e-4  # of the largest value: float32 sums in other orders, through all blocks


def _size(width: int, heads: int, axes_dim: tuple[int, ...], text: int, canvas: tuple[int, int]) -> Problem:
    config = TransformerConfig(
        width=width, heads=heads, axes_dim=axes_dim, double_blocks=2, single_blocks=4,
        latent_dim=64, context_dim=256, pooled_dim=128, remat="none",
    )  # fmt: skip
    return Problem(config, text, canvas)


SIZES = {
    "small": _size(256, 4, (8, 28, 28), 56, (12, 12)),  # 200 tokens
    "medium": _size(768, 6, (16, 56, 56), 200, (20, 32)),  # 840
    "large": _size(1024, 8, (16, 56, 56), 576, (32, 32)),  # 1,600
}


def compare(name: str, problem: Problem, clock: str, rounds: int, others: float, patience: float) -> dict[str, Any]:
    """Both sides' seconds for one size; raises AssertionError where they compute different things."""
    import torch

    from benchmarks import torch_flux

    torch.set_num_threads(CLOCKS[clock][1])
    config = problem.config
    params = random_params(config, jnp.float32)
    leaves, naming = flatten(params), diffusers_naming(config)
    published: dict[str, np.ndarray] = {}
    for path, leaf in naming.items():
        published |= save_leaf(leaf, np.asarray(leaves[path]))
    module = torch_flux.build(config, diffusers=True)
    torch_flux.load(module, published)
    inputs = random_inputs(problem)
    tensors = {key: torch.from_numpy(array) for key, array in inputs.items()}
    theirs = torch_flux.velocity(module, tensors["text"], tensors["pooled"], tensors["guidance"], problem.ids())

    def their_forward() -> np.ndarray:
        with torch.no_grad():
            return theirs(tensors["x"], tensors["t"]).numpy()

    def their_training() -> None:
        module.zero_grad(set_to_none=True)
        (theirs(tensors["x"], tensors["t"]) * tensors["weights"]).sum().backward()

    bound = {key: jnp.asarray(array) for key, array in inputs.items()}
    arguments = bound["x"], bound["t"], conditions(problem, bound, jnp.float32)
    function = our_velocity(config, jnp.float32, "auto")
    forward = jax.jit(function)
    gradients = jax.jit(jax.grad(lambda params, weights, *rest: jnp.sum(function(params, *rest) * weights)))

    def our_forward() -> jax.Array:
        return jax.block_until_ready(forward(params, *arguments))

    def our_training() -> Any:
        return jax.block_until_ready(gradients(params, bound["weights"], *arguments))

    difference = {"velocity": _difference(our_forward(), their_forward())}
    their_training()
    their_gradients = {key: weight.grad.numpy() for key, weight in module.named_parameters() if weight.grad is not None}
    ours = flatten(our_training())
    difference["gradients"] = max(
        _difference(ours[path], load_leaf(leaf, their_gradients.__getitem__)) for path, leaf in naming.items()
    )
    assert max(difference.values()) < TOLERANCE, difference
    row: dict[str, Any] = {"size": name, "width": config.width, "tokens": problem.tokens, "differences": difference}
    for kind, pair in {"forward": (our_forward, their_forward), "train": (our_training, their_training)}.items():
        (mine, their), load = alternate(pair, CLOCKS[clock][0], rounds, others, patience)
        row |= {f"{kind}_ms": round(1e3 * mine, 2), f"diffusers_{kind}_ms": round(1e3 * their, 2)}
        row |= {f"{kind}_ratio": round(mine / their, 3), f"{kind}_others": load}
    return row


def hold_to(cores: int) -> None:
    """Leaves this process as many cores, before XLA makes its threads; where the system does not allow it, nothing."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _difference(ours: Any, theirs: np.ndarray) -> float:
    """The largest difference, of the largest value."""
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def alternate(
    functions: Sequence[Callable[[], Any]],
    now: Callable[[], float],
    rounds: int,
    others: float,
    patience: float,
) -> tuple[list[float], float | None]:
    """Median seconds of each function, called in turn, and the mean share of the CPU that other programs took.

    Samples of rounds in which others took more than `others` are kept for the case that `patience` seconds pass before
    there are enough of the rest: then the quietest ones count.
    """
    repeats = []
    for function in functions:
        function()
        start = now()
        function()
        repeats.append(max(1, round(0.3 / (now() - start))))  # the counters have 10 ms steps
    samples: list[tuple[float, list[float]]] = []
    end = time.monotonic() + patience
    while sum(load <= others for load, _ in samples) < rounds and (time.monotonic() < end or len(samples) < rounds):
        before, seconds = _others(), []
        whole = time.perf_counter()
        for function, count in zip(functions, repeats, strict=True):
            function()  # untimed: what the other side freed costs page faults, which a loop of one side does not have
            start = now()
            for _ in range(count):
                function()
            seconds.append((now() - start) / count)
        used = _others() - before
        samples.append((used / (time.perf_counter() - whole) / (os.cpu_count() or 1), seconds))
    samples.sort(key=lambda sample: sample[0])
    kept = samples[:rounds]
    medians = [statistics.median(column) for column in zip(*(seconds for _, seconds in kept), strict=True)]
    return medians, round(statistics.mean(load for load, _ in kept), 3) if _PROC.exists() else None


_PROC = Path("/proc/stat")


def _others() -> float:
    """CPU seconds that programs other than this one have used; 0 where the system does not tell."""
    if not _PROC.exists():
        return 0.0
    user, nice, system, _idle, _wait, *rest = (int(field) for field in _PROC.read_text().split("\n")[0].split()[1:9])
    own = os.times()
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - own.user - own.system


def run(argv: Sequence[str] | None = None) -> None:
    """Prints a row for each measurement, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="(default: %(default)s)")
    cpu = parser.add_argument_group("CPU")
    cpu.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="(default: all)")
    cpu.add_argument("--clock", choices=CLOCKS, default="wall", help="(default: %(default)s)")
    cpu.add_argument("--rounds", type=int, default=7, help="samples of each (default: %(default)s)")
    cpu.add_argument("--others", type=float, default=0.05, help="share of the CPU (default: %(default)s)")
    cpu.add_argument("--patience", type=float, default=60, help="seconds (default: %(default)s)")
    arguments, rest = parser.parse_known_args(argv)
    if arguments.device == "gpu":
        from benchmarks import transformer_gpu

        return transformer_gpu.run(rest)
    if rest:
        parser.error(f"unknown arguments on the CPU: {' '.join(rest)}")
    if arguments.rounds < 1:
        raise UserError("--rounds must be at least 1")
    if arguments.clock == "cpu" and os.environ.get("NPROC") != "1":
        raise UserError("--clock cpu counts one thread: set NPROC=1 in the environment, which holds XLA to one")
    hold_to(CLOCKS[arguments.clock][1])
    if jax.default_backend() != "cpu":
        raise UserError("this measures the CPU, but JAX has another device: set JAX_PLATFORMS=cpu, or --device gpu")
    others = 1.0 if arguments.clock == "cpu" else arguments.others  # this clock stands while others compute
    rows = []
    for name in arguments.sizes:
        rows.append(compare(name, SIZES[name], arguments.clock, arguments.rounds, others, arguments.patience))
        print(json.dumps(rows[-1]), flush=True)
    worst = {f"{kind}_ratio": max(row[f"{kind}_ratio"] for row in rows) for kind in ("forward", "train")}
    print(json.dumps(worst | {"clock": arguments.clock, "threads": CLOCKS[arguments.clock][1], "rows": rows}))


if __name__ == "__main__":
    guard(run)
