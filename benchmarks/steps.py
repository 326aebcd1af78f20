"""What fewer steps cost: the error of each solver against the true solution, its evaluations and its time.

    python -m benchmarks.steps [--weights pretrained/puppets] [--cfg_scale 2 1] [--out outputs/steps]

Pictures are those of data/examples/requests.jsonl and of more scenes of the puppets' test split. The true solution is
Heun's in `--reference` steps, beside which the table has Euler's and DPM-Solver++'s in as many. Errors are means over
pictures: of the final latents the root mean square relative to theirs, of the pictures the PSNR and the grey levels (of
255) by which a pixel is off on average. A picture's time is a batch's, without its encoding and decoding, shared among
its pictures: the median of `--repeats` runs. `--out` gets a sheet of pictures for each guidance scale. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.flow.guidance import classifier_free
from astra_jax.flow.sampler import initial_noise, integrate
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.flow.solvers import evaluations
from astra_jax.inputs.example import Example
from astra_jax.inputs.requests import Request, SubjectRequest, read_requests
from astra_jax.inputs.transforms import DROP_ALL, arrays, prepare, stack
from astra_jax.models.astra import PATCH, Astra, Inputs, unpatchify
from astra_jax.models.conditions import Conditions
from astra_jax.params import Params
from astra_jax.pipeline import AstraPipeline
from data.puppets.examples import make_example

BATCH = 4
HELD_OUT = range(50, 56)  # scenes of the test split that no built-in request is made of
STEPS = {"euler": (2, 4, 6, 8, 12, 16, 25, 50), "heun": (2, 3, 4, 6, 8, 13, 25), "dpmpp": (2, 4, 6, 8, 12, 16, 25, 50)}
SHEET = (("euler", 4), ("heun", 2), ("dpmpp", 4), ("euler", 8), ("heun", 4), ("dpmpp", 8), ("euler", 25))


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the table."""

    solver: str
    steps: int

    def __str__(self) -> str:
        return f"{self.solver} {self.steps}"


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


@functools.partial(jax.jit, static_argnames=("model", "solver", "guided"))
def sample(
    model: Astra,
    params: Params,
    conditions: Conditions,
    noise: Float[Array, "B L C"],
    times: Float[Array, " S"],
    cfg_scale: Float[Array, ""],
    solver: str,
    guided: bool,
) -> Float[Array, "B L C"]:
    """Final latents; `conditions` are of twice the batch where it is `guided`."""

    def velocity(x: Float[Array, "B L C"], t: Float[Array, " B"]) -> Float[Array, "B L C"]:
        return model.velocity(params, x, t, conditions)

    return integrate(classifier_free(velocity, cfg_scale) if guided else velocity, noise, times, solver)


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
        self.mu, self.cfg_scale, self.guided = shift_of(tokens, config.sample.shift), cfg_scale, cfg_scale != 1
        ready = [(pipe.prepare(request), index) for request in requests for index in range(request.num_images)]
        ready = ready[: len(ready) // BATCH * BATCH]
        nothing, _ = arrays(prepare(Example("", (), None, size), config, size), config, pipe.tokenizer, 0.0, DROP_ALL)
        self.batches = []
        for start in range(0, len(ready), BATCH):
            chosen = ready[start : start + BATCH]
            without = [nothing | {"guidance": one.fields["guidance"]} for one, _ in chosen] if self.guided else []
            inputs = stack([one.fields for one, _ in chosen] + without)
            seeds = jnp.array([one.request.seed for one, _ in chosen], jnp.uint32)
            indices = jnp.array([index for _, index in chosen], jnp.uint32)
            noise = initial_noise(seeds, indices, tokens, self.model.config.transformer.latent_dim)
            self.batches.append((encode(self.model, self.params, inputs, self.canvas), noise))

    def run(self, setting: Setting, repeats: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Final latents and pictures of all batches, and seconds a picture."""
        times, results, seconds = jnp.asarray(schedule(setting.steps, self.mu)), [], []
        for turn in range(1 + repeats):  # the first compiles, and gives the results
            for conditions, noise in self.batches if turn == 0 else self.batches[:1]:
                start = time.perf_counter()
                x = sample(
                    self.model, self.params, conditions, noise, times, jnp.float32(self.cfg_scale),
                    solver=setting.solver, guided=self.guided,
                ).block_until_ready()  # fmt: skip
                if turn:
                    seconds.append((time.perf_counter() - start) / BATCH)
                else:
                    results.append(x)
        pictures = np.concatenate([decode(self.model, self.params, x, self.canvas) for x in results])
        return np.concatenate(results), pictures, statistics.median(seconds) if seconds else float("nan")


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
    settings = [Setting(solver, steps) for solver, counts in STEPS.items() for steps in counts]
    print(f"\nclassifier-free guidance {sampler.cfg_scale:g}, {len(true_latents)} pictures")
    print("solver steps  evaluations  latents    psnr   grey  ms a picture", flush=True)
    for setting in [Setting("euler", reference), Setting("dpmpp", reference), *settings]:
        latents, pictures[str(setting)], seconds = sampler.run(setting, 0 if setting.steps == reference else repeats)
        asked = evaluations(setting.steps, setting.solver)
        row = {"solver": setting.solver, "steps": setting.steps, "evaluations": asked}
        row |= compare(latents, pictures[str(setting)], true_latents, true_pictures)
        row["ms"] = None if np.isnan(seconds) else round(1000 * seconds, 1)
        rows.append(row)
        told = "-" if row["ms"] is None else f"{row['ms']:.1f}"
        print(
            f"{setting.solver:6s} {setting.steps:5d} {asked:12d} {row['latents']:8.4f} {row['psnr']:7.2f}"
            f" {row['grey']:6.2f} {told:>13s}",
            flush=True,
        )
    return rows, pictures


def run(argv: Sequence[str] | None = None) -> None:
    """Prints the tables, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("pretrained/puppets"))
    parser.add_argument("--bank", type=Path, default=Path("data/pose_library/bank"))
    parser.add_argument("--requests", type=Path, default=Path("data/examples/requests.jsonl"))
    parser.add_argument("--cfg_scale", type=float, nargs="+", help="(default: the weights' and 1)")
    parser.add_argument("--reference", type=int, default=200, help="steps of the true solution (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of a row (default: %(default)s)")
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
                columns = [*(f"{solver} {steps}" for solver, steps in SHEET), "true"]
                sheet = np.concatenate([np.concatenate(pictures[name][::2], 0) for name in columns], 1)
                Image.fromarray(sheet).save(arguments.out / f"cfg_{scale:g}.png")
                print(f"{arguments.out / f'cfg_{scale:g}.png'}: columns {', '.join(columns)}")
    print(json.dumps({"device": jax.devices()[0].device_kind, "batch": BATCH, "rows": figures}))


if __name__ == "__main__":
    cli.guard(run)
