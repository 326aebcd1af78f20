"""What fewer evaluations cost: the errors of solvers and of the first-block cache against the true solution.

    python -m benchmarks.steps [--weights pretrained/puppets] [--cfg_scale 2 1] [--out outputs/steps]

Pictures are the first of each request of data/examples/requests.jsonl and of more scenes of the puppets' test split.
The true solution is Heun's in `--reference` steps; Euler's and DPM-Solver++'s in as many stand beside it. Errors are
means over pictures: of the final latents the root mean square relative to theirs, of the pictures the PSNR and the grey
levels (of 255) by which a pixel is off on average. `reused` is the share of evaluations that a picture took from the
first-block cache, `saved` that of those in which its whole batch did, so that only the first block was computed. `ms`
is a batch's time without encoding and decoding, shared among its pictures, `cpu` the processor's, which other programs
of the machine disturb less: medians of `--repeats` runs. `--out` gets a sheet of pictures for each guidance scale. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from PIL import Image

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.flow.guidance import classifier_free
from astra_jax.flow.sampler import initial_noise, integrate_with_memory
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.flow.solvers import evaluations
from astra_jax.inputs.requests import Request, SubjectRequest, read_requests
from astra_jax.inputs.transforms import stack
from astra_jax.models.astra import PATCH, Astra, Inputs, unpatchify
from astra_jax.models.conditions import Conditions
from astra_jax.models.first_block_cache import relative_change
from astra_jax.params import Params
from astra_jax.pipeline import AstraPipeline
from astra_jax.sampling.preparation import without_conditions
from astra_jax.sampling.settings import settings_of
from astra_jax.sampling.shapes import shape_of
from data.puppets.examples import make_example

BATCH = 4
HELD_OUT = range(50, 53)  # scenes of the test split that no built-in request is made of
STEPS = {"euler": (4, 6, 8, 12, 16, 25, 50), "heun": (2, 3, 4, 6, 8, 13), "dpmpp": (4, 6, 8, 12, 16, 25)}
THRESHOLDS = {"euler": (0.1, 0.15, 0.2, 0.3), "dpmpp": (0.1, 0.2)}  # of the first-block cache, at 25 steps
MEASURE = -1.0  # a threshold that reuses nothing and yet fills the cache


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the table."""

    solver: str
    steps: int
    threshold: float = 0.0  # of the first-block cache

    def __str__(self) -> str:
        return f"{self.solver} {self.steps}" + (f" {self.threshold:g}" if self.threshold else "")


SHEET = (
    Setting("euler", 4), Setting("heun", 2), Setting("dpmpp", 4), Setting("euler", 8), Setting("heun", 4),
    Setting("dpmpp", 8), Setting("euler", 25), Setting("euler", 25, 0.1), Setting("euler", 25, 0.3),
)  # fmt: skip


def held_out(folder: Path) -> Iterator[Request]:
    """Requests for scenes of the test split; their photos are written into `folder`."""
    for scene in HELD_OUT:
        example = make_example(0, "test", scene)
        subjects = []
        for number, subject in enumerate(example.subjects):
            path = folder / f"{scene}_{number}.png"
            Image.fromarray(subject.reference).save(path)
            subjects.append(SubjectRequest(subject.phrase, path))
        yield Request(example.prompt, tuple(subjects), seed=scene, name=f"scene {scene}")


@functools.partial(jax.jit, static_argnums=(0, 3))
def encode(model: Astra, params: Params, inputs: Inputs, canvas: tuple[int, int]) -> Conditions:
    """Conditions of a batch."""
    return model.encode(params, inputs, canvas)


@functools.partial(jax.jit, static_argnames=("model", "solver", "reuses"))
def sample(
    model: Astra,
    params: Params,
    conditions: list[Conditions],
    noise: Float[Array, "B L C"],
    times: Float[Array, " S"],
    cfg_scale: Float[Array, ""],
    threshold: Float[Array, ""],
    solver: str,
    reuses: bool,
) -> tuple[Float[Array, "B L C"], Float[Array, ""], Float[Array, ""], Float[Array, " K"]]:
    """Final latents, and what the first-block cache did.

    Args:
        model, params: of the velocity.
        conditions: those of the pictures, and for classifier-free guidance also those of pictures without any.
        noise, times, solver: as `integrate_with_memory` takes them.
        cfg_scale: of the guidance.
        threshold: of the cache.
        reuses: whether there is one.

    Returns the latents; how many velocities were reused, by a picture on average and by all of the batch, per
    evaluation of the model; and the factor by which more than the first block's residual the rest's changed, the
    largest of each of the K evaluations: the L of `models/first_block_cache.py`, where the threshold is 0.
    """

    def velocity(x: Float[Array, "B L C"], t: Float[Array, " B"], step: Int[Array, ""], memory: Any) -> Any:
        if not reuses:
            return combine([model.velocity(params, x, t, one) for one in conditions]), memory
        caches, saved, factors = memory
        both = [
            model.reusing_velocity(params, x, t, one, cache, threshold)
            for one, cache in zip(conditions, caches, strict=True)
        ]
        for (_, after), before in zip(both, caches, strict=True):
            factor = relative_change(after.rest, before.rest) / relative_change(after.first, before.first)
            factors = factors.at[step].max(jnp.where(before.filled, factor, 0.0).max())
            saved = saved + jnp.all(after.reused > before.reused) / len(caches)
        return combine([v for v, _ in both]), ([cache for _, cache in both], saved, factors)

    def combine(velocities: list[Float[Array, "B L C"]]) -> Float[Array, "B L C"]:
        return classifier_free(*velocities, cfg_scale) if len(velocities) > 1 else velocities[0]

    caches = [model.first_block_cache(*noise.shape[:2]) for _ in conditions]
    memory = (caches, jnp.float32(0), jnp.zeros(len(times) - 1))
    x, (caches, saved, factors) = integrate_with_memory(velocity, memory, noise, times, solver)
    return x, jnp.mean(jnp.stack([cache.reused.mean() for cache in caches])), saved, factors


@functools.partial(jax.jit, static_argnums=(0, 3))
def decode(model: Astra, params: Params, x: Float[Array, "B L C"], canvas: tuple[int, int]) -> UInt8[Array, "B H W 3"]:
    """Pictures of final latents."""
    return model.decode(params, unpatchify(x, *canvas))


class Sampler:
    """All pictures of some requests under one guidance scale, encoded once."""

    def __init__(self, pipe: AstraPipeline, requests: Sequence[Request], cfg_scale: float):
        config, self.model, self.params = pipe.config, pipe.model, pipe.params
        size = (config.sample.height, config.sample.width)
        self.canvas = (size[0] // self.model.downsampling, size[1] // self.model.downsampling)
        tokens = self.canvas[0] * self.canvas[1] // PATCH**2
        self.mu, self.cfg_scale = shift_of(tokens, config.sample.shift), cfg_scale
        shapes = [shape_of(request, settings_of(request, pipe.defaults, config)) for request in requests]
        most = dataclasses.replace(shapes[0], pose=True, subjects=max(shape.subjects for shape in shapes))
        ready = [pipe.prepare(request, shape=most) for request in requests]
        nothing = without_conditions(config, pipe.tokenizer, size)
        self.batches = []
        for start in range(0, len(ready), BATCH):
            chosen = ready[start : start + BATCH]
            seeds = jnp.array([one.request.seed for one in chosen], jnp.uint32)
            noise = initial_noise(seeds, 0 * seeds, tokens, self.model.config.transformer.latent_dim)
            conditions = [encode(self.model, self.params, stack([one.fields for one in chosen]), self.canvas)]
            if cfg_scale != 1:
                without = encode(self.model, self.params, stack([nothing] * len(chosen)), self.canvas)
                conditions.append(dataclasses.replace(without, guidance=conditions[0].guidance))
            self.batches.append((conditions, noise))

    def run(self, setting: Setting, repeats: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Final latents and pictures of all batches; the row's evaluations, what was reused, milliseconds a picture."""
        times = jnp.asarray(schedule(setting.steps, self.mu))
        results, reuse, factors, spent = [], [], [], []
        for turn in range(1 + repeats):  # the first compiles, and gives the results
            for conditions, noise in self.batches if turn == 0 else self.batches[:1]:
                start = np.array([time.perf_counter(), time.process_time()])
                x, reused, saved, changed = sample(
                    self.model, self.params, conditions, noise, times, jnp.float32(self.cfg_scale),
                    jnp.float32(max(setting.threshold, 0)), setting.solver, setting.threshold != 0,
                )  # fmt: skip
                x.block_until_ready()
                if turn:
                    end = np.array([time.perf_counter(), time.process_time()])
                    spent.append(1000 * (end - start) / len(noise))
                else:
                    results.append(x)
                    reuse.append((float(reused), float(saved)))
                    factors.append(np.asarray(changed)[1:])
        pictures = np.concatenate([decode(self.model, self.params, x, self.canvas) for x in results])
        asked = evaluations(setting.steps, setting.solver)
        reused, saved = np.mean(reuse, 0) / asked
        row = {"evaluations": asked, "reused": round(float(reused), 3), "saved": round(float(saved), 3)}
        row |= dict(zip(("ms", "cpu"), np.median(spent, 0).round(1).tolist(), strict=True)) if spent else {}
        if setting.threshold == MEASURE:
            changed = np.max(factors, 0)
            row |= {"factor": round(float(np.median(changed)), 3), "largest_factor": round(float(changed.max()), 3)}
        return np.concatenate(results), pictures, row


def compare(
    latents: Float[np.ndarray, "N L C"],
    pictures: UInt8[np.ndarray, "N H W 3"],
    true_latents: Float[np.ndarray, "N L C"],
    true_pictures: UInt8[np.ndarray, "N H W 3"],
) -> dict[str, float]:
    """Errors of a row, means over its pictures."""
    square = np.square(latents - true_latents).mean((1, 2)) / np.square(true_latents).mean((1, 2))
    off = pictures.astype(np.float64) - true_pictures
    decibels = 10 * np.log10(255**2 / np.maximum(np.square(off).mean((1, 2, 3)), 1e-9))
    return {
        "latents": round(float(np.sqrt(square).mean()), 5),
        "psnr": round(float(decibels.mean()), 2),
        "grey": round(float(np.abs(off).mean()), 3),
    }


def table(sampler: Sampler, reference: int, repeats: int) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Rows of all settings, told as they come, and the pictures of each."""
    true_latents, true_pictures, _ = sampler.run(Setting("heun", reference), 0)
    rows, pictures = [], {"true": true_pictures}
    settings = [Setting("euler", reference), Setting("dpmpp", reference)]
    settings += [Setting(solver, steps) for solver, counts in STEPS.items() for steps in counts]
    settings += [Setting(solver, 25, threshold) for solver, some in THRESHOLDS.items() for threshold in some]
    print(f"\nclassifier-free guidance {sampler.cfg_scale:g}, {len(true_latents)} pictures")
    print("solver steps  cache  evaluations  reused  saved  latents   psnr   grey  ms a picture    cpu", flush=True)
    for setting in settings:
        latents, pictures[str(setting)], row = sampler.run(setting, 0 if setting.steps == reference else repeats)
        row |= compare(latents, pictures[str(setting)], true_latents, true_pictures)
        rows.append(dataclasses.asdict(setting) | row)
        told = f"{row['ms']:13.1f} {row['cpu']:6.0f}" if "ms" in row else ""
        print(
            f"{setting.solver:6s} {setting.steps:5d} {setting.threshold:6.2f} {row['evaluations']:12d}"
            f" {row['reused']:7.0%} {row['saved']:6.0%} {row['latents']:8.4f} {row['psnr']:6.2f} {row['grey']:6.2f}"
            f" {told}",
            flush=True,
        )
    _, _, row = sampler.run(Setting("euler", 25, MEASURE), 0)
    print(
        f"from step to step of Euler's 25 the rest's residual changes {row['factor']} times as much as the first"
        f" block's (median), at most {row['largest_factor']} times"
    )
    rows.append(dataclasses.asdict(Setting("euler", 25)) | row)
    return rows, pictures


def run(argv: Sequence[str] | None = None) -> None:
    """Prints the tables, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("pretrained/puppets"))
    parser.add_argument("--bank", type=Path, default=Path("data/pose_library/bank"))
    parser.add_argument("--requests", type=Path, default=Path("data/examples/requests.jsonl"))
    parser.add_argument("--cfg_scale", type=float, nargs="+", help="(default: the weights' and 1)")
    parser.add_argument("--reference", type=int, default=200, help="steps of the true solution (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of a row (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a folder for sheets of pictures")
    arguments = parser.parse_args(argv)
    if min(arguments.reference, arguments.repeats) < 1:
        raise UserError("--reference and --repeats must be at least 1")
    pipe = AstraPipeline.from_pretrained(arguments.weights, arguments.bank)
    scales = arguments.cfg_scale or [pipe.config.sample.cfg_scale, 1.0]
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        requests = [*read_requests(arguments.requests), *held_out(Path(folder))]
        for wrong in (one for one in requests if isinstance(one, UserError)):
            raise wrong
        for scale in scales:
            rows, pictures = table(Sampler(pipe, requests, scale), arguments.reference, arguments.repeats)
            figures += [{"cfg_scale": scale, **row} for row in rows]
            if arguments.out:
                arguments.out.mkdir(parents=True, exist_ok=True)
                columns = [*map(str, SHEET), "true"]
                sheet = np.concatenate([np.concatenate(pictures[name], 0) for name in columns], 1)
                Image.fromarray(sheet).save(arguments.out / f"cfg_{scale:g}.png")
                print(f"{arguments.out / f'cfg_{scale:g}.png'}: columns {', '.join(columns)}")
    print(json.dumps({"device": jax.devices()[0].device_kind, "batch": BATCH, "rows": figures}))


if __name__ == "__main__":
    cli.guard(run)
