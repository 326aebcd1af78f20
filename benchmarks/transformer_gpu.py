"""FLUX.1's transformer at full size on one GPU, next to PyTorch on the same GPU, in bfloat16 with random weights.

    python -m benchmarks.transformer --device gpu [--attention auto plain cudnn] [--torch compiled eager]
    python -m benchmarks.transformer --device gpu --small     # the same at a tiny size, on any machine

A picture of 512 x 512 pixels with its pose and two references of 320 x 320: 512 text, 1,024 canvas, 1,024 pose and
2 x 400 reference tokens. Every row comes from a process of its own, which makes its weights on the device: seconds of a
forward pass (median; each waits for the one before), seconds of sampling from noise, the memory of the device at its
peak, the rate of a large bfloat16 product in the same process and the share of it that the forward pass reaches, by the
products it needs (astra_jax/costs). PyTorch's module is diffusers' where it is installed, else the same with
`scaled_dot_product_attention`. The first row says how far the two sides' velocities are apart at full width and one
block of each kind, with the same weights. The last line is one JSON object: `forward_ratio` and `sampling_ratio` are
our best time over PyTorch's best.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from astra_jax.config import AutoencoderConfig, ClipTextConfig, ModelConfig, T5Config, TransformerConfig
from astra_jax.costs.tally import Tally
from astra_jax.costs.transformer import transformer
from astra_jax.errors import UserError
from astra_jax.flow.sampler import integrate
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.params import flatten
from astra_jax.weights.flux import diffusers_naming
from astra_jax.weights.mapping import save_leaf
from benchmarks.flux_problem import Problem, conditions, random_inputs, random_params, velocity
from benchmarks.full_step import PRODUCT, product_rate

FULL = Problem(TransformerConfig(), 512, (32, 32), (32, 32), ((20, 20), (20, 20)))
SMALL = Problem(
    TransformerConfig(
        width=64, heads=2, axes_dim=(8, 12, 12), double_blocks=2, single_blocks=3,
        latent_dim=16, context_dim=48, pooled_dim=24, remat="none",
    ),
    6, (4, 4), (4, 4), ((2, 2), (2, 2)),
)  # fmt: skip
_ROW = "ROW "


def forward_flops(problem: Problem) -> float:
    """FLOPs of the products of one velocity, without identity offsets."""
    sizes = problem.config
    config = ModelConfig(
        transformer=sizes,
        t5=T5Config(width=sizes.context_dim),
        clip_text=ClipTextConfig(width=sizes.pooled_dim),
        autoencoder=AutoencoderConfig(latent_channels=sizes.latent_dim // 4),
        text_length=problem.text,
        max_subjects=0,
    )
    tally = Tally(())
    transformer(tally, config, problem.canvas_tokens, [(1, problem.image_tokens - problem.canvas_tokens)], False)
    return sum(product.forward for product in tally.products)


def _times(steps: int, problem: Problem) -> np.ndarray:
    return schedule(steps, shift_of(problem.canvas_tokens))


def _median(call: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a call that waits for its result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _timings(forward: Callable[[], Any], sample: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Both calls' seconds; `compile_seconds` is the first call of the forward pass."""
    compiling = _median(forward, 1)
    row = {"compile_seconds": round(compiling, 1), "forward_seconds": round(_median(forward, repeats), 5)}
    sample()
    return row | {"sampling_seconds": round(_median(sample, max(1, repeats // 5)), 4)}


def measure_ours(problem: Problem, attention: str, steps: int, repeats: int, size: int) -> dict[str, Any]:
    """Our row."""
    device, dtype = jax.devices()[0], jnp.bfloat16
    function = velocity(problem.config, dtype, attention)
    params = random_params(problem.config, dtype)
    inputs = {name: jnp.asarray(array) for name, array in random_inputs(problem).items()}
    steering = conditions(problem, inputs, dtype)
    leaves, structure = jax.tree.flatten(steering)

    def sampling(params: Any, noise: jax.Array, leaves: list[jax.Array]) -> jax.Array:
        steering = jax.tree.unflatten(structure, leaves)
        return integrate(lambda x, t: function(params, x, t, steering), noise, _times(steps, problem))

    forward = jax.jit(function)
    compiled = jax.jit(sampling).lower(params, inputs["x"], leaves).compile()
    row = _timings(
        lambda: forward(params, inputs["x"], inputs["t"], steering).block_until_ready(),
        lambda: compiled(params, inputs["x"], leaves).block_until_ready(),
        repeats,
    )
    finite = bool(jnp.isfinite(compiled(params, inputs["x"], leaves)).all())
    planned, used = compiled.memory_analysis(), (device.memory_stats() or {}).get("peak_bytes_in_use")
    planned = planned.argument_size_in_bytes + planned.output_size_in_bytes + planned.temp_size_in_bytes
    memory = {
        "peak_gib": _gib(used),
        "planned_gib": _gib(planned),
    }  # the compiler's sum, which has no making of weights
    return {"device": device.device_kind, "finite": finite} | row | memory | {"product": product_rate(size, 5)}


def _gib(amount: float | None) -> float | None:
    return None if amount is None else round(amount / 2**30, 2)


def measure_torch(problem: Problem, compiled: bool, steps: int, repeats: int, size: int) -> dict[str, Any]:
    """PyTorch's row."""
    import torch

    from benchmarks import torch_flux

    cuda = torch.cuda.is_available()
    device, wait = ("cuda", torch.cuda.synchronize) if cuda else ("cpu", lambda: None)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        module = torch_flux.build(problem.config).eval()
    torch_flux.randomize(module)
    kind = type(module).__name__
    if compiled:
        module = torch.compile(module)
    arrays = random_inputs(problem)
    low = {key: torch.from_numpy(array).to(device, torch.bfloat16) for key, array in arrays.items()}
    guidance = torch.from_numpy(arrays["guidance"]).to(device)
    function = torch_flux.velocity(module, low["text"], low["pooled"], guidance, problem.ids())
    times = torch.tensor(_times(steps, problem), dtype=torch.float32, device=device)
    noise, count = torch.from_numpy(arrays["x"]).to(device), problem.canvas_tokens

    @torch.no_grad()
    def predict(x: Any, t: Any) -> Any:
        return function(torch.cat([x.bfloat16(), low["images"]], 1), t)[:, :count]

    def forward() -> None:
        predict(noise, times[:1])
        wait()

    def sample() -> Any:
        x = noise
        for i in range(steps):
            x = x + (times[i + 1] - times[i]) * predict(x, times[i : i + 1]).float()
        wait()
        return x

    if cuda:
        torch.cuda.reset_peak_memory_stats()
    row = _timings(forward, sample, repeats) | {"finite": bool(sample().isfinite().all()), "module": kind}
    row["peak_gib"] = _gib(torch.cuda.max_memory_allocated() if cuda else None)
    square = torch.ones(size, size, dtype=torch.bfloat16, device=device)

    def multiply() -> None:
        square @ square
        wait()

    multiply()
    name = torch.cuda.get_device_name() if cuda else "cpu"
    return {"device": name} | row | {"product": 2 * size**3 / _median(multiply, 5)}


def difference(problem: Problem) -> dict[str, Any]:
    """Both velocities with the same weights and one block of each kind, in bfloat16: relative, in norm."""
    import torch

    from benchmarks import torch_flux

    config = replace(problem.config, double_blocks=1, single_blocks=1)
    problem = replace(problem, config=config)
    params, leaves = random_params(config, jnp.float32), {}
    for path, leaf in diffusers_naming(config).items():
        leaves |= save_leaf(leaf, np.asarray(flatten(params)[path]))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = torch_flux.build(config)
    torch_flux.load(module, leaves)
    module = module.to(device, torch.bfloat16)
    arrays = random_inputs(problem)
    low = {key: torch.from_numpy(array).to(device, torch.bfloat16) for key, array in arrays.items()}
    t, guidance = (torch.from_numpy(arrays[key]).to(device) for key in ("t", "guidance"))
    with torch.no_grad():
        function = torch_flux.velocity(module, low["text"], low["pooled"], guidance, problem.ids())
        theirs = function(torch.cat([low["x"], low["images"]], 1), t)[:, : problem.canvas_tokens].float().cpu().numpy()
    inputs = {name: jnp.asarray(array) for name, array in arrays.items()}
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    ours = jax.jit(velocity(config, jnp.bfloat16, "auto"))(
        params, inputs["x"].astype(jnp.bfloat16), inputs["t"], conditions(problem, inputs, jnp.bfloat16)
    )
    return {"difference": float(np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs))}


def run(argv: Sequence[str] | None = None) -> None:
    """Prints a row for each process, then all as one JSON object."""
    parser = argparse.ArgumentParser(
        "benchmarks.transformer --device gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--small", action="store_true", help="a tiny size, on any machine")
    parser.add_argument("--attention", nargs="*", default=["auto", "plain", "cudnn"], help="(default: %(default)s)")
    parser.add_argument(
        "--torch", nargs="*", choices=("compiled", "eager"), default=["compiled", "eager"], help="(default: both)"
    )
    parser.add_argument("--steps", type=int, default=25, help="of sampling (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=20, help="timed forward passes (default: %(default)s)")
    parser.add_argument("--product", type=int, default=PRODUCT, help="side of the product (default: %(default)s)")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a row, in a process of its own
    arguments = parser.parse_args(argv)
    if min(arguments.steps, arguments.repeats, arguments.product) < 1:
        raise UserError("--steps, --repeats and --product must be at least 1")
    problem = SMALL if arguments.small else FULL
    if arguments.one:
        print(_ROW + json.dumps(_one(arguments.one, problem, arguments)))
        return
    names = ["difference", *arguments.attention, *(f"torch-{how}" for how in arguments.torch)]
    rows = {name: _in_a_process(name, arguments) for name in names}
    best = [
        {key: min((row[key] for row in group if key in row), default=None) for key in _TIMES}
        for group in (
            [rows[name] for name in arguments.attention],
            [rows[f"torch-{how}"] for how in arguments.torch],
        )
    ]
    ratios = {
        f"{key.removesuffix('_seconds')}_ratio": round(best[0][key] / best[1][key], 3)
        for key in _TIMES
        if best[0][key] and best[1][key]
    }
    print(json.dumps(ratios | {"tokens": problem.tokens, "steps": arguments.steps, "rows": rows}))


_TIMES = ("forward_seconds", "sampling_seconds")


def _one(name: str, problem: Problem, arguments: argparse.Namespace) -> dict[str, Any]:
    """The row `name`."""
    if name == "difference":
        return difference(problem)
    rest = (problem, name.removeprefix("torch-"), arguments.steps, arguments.repeats, arguments.product)
    if name.startswith("torch-"):
        row = measure_torch(rest[0], rest[1] == "compiled", *rest[2:])
    else:
        if not arguments.small and jax.default_backend() != "gpu":
            raise UserError("no GPU is here: add --small to try this at a tiny size")
        row = measure_ours(*rest)
    rate = row.pop("product")
    share = forward_flops(problem) / row["forward_seconds"] / rate
    return row | {"product_tflops": round(rate / 1e12, 2), "share_of_product_rate": round(share, 4)}


def _in_a_process(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.transformer", "--device", "gpu", "--one", name]
    for option in ("steps", "repeats", "product"):
        command += [f"--{option}", str(getattr(arguments, option))]
    # Two frameworks share the device in the comparison; memory is asked of each as it is needed.
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    done = subprocess.run(
        command + ["--small"] * arguments.small, capture_output=True, text=True, check=False, env=environment
    )
    lines = [line.removeprefix(_ROW) for line in done.stdout.splitlines() if line.startswith(_ROW)]
    if done.returncode == 0 and lines:
        row = json.loads(lines[-1])
    else:
        memory = "RESOURCE_EXHAUSTED" in done.stderr or "OutOfMemoryError" in done.stderr
        row = {"failed": "out of memory" if memory else (done.stderr.strip() or "killed")[-300:]}
    print(json.dumps({"row": name} | row), flush=True)
    return row
