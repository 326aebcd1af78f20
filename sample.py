"""Draws pictures of several subjects, each with its own identity, each in its own pose.

    python sample.py                                         # the built-in examples with the built-in weights
    python sample.py --prompt "a man waving hello, on the beach" --subject "a man=photo.png" --seed 7
    python sample.py --requests requests.jsonl --out outputs/many
    python sample.py --config configs/flux.py --weights FLUX.1-dev --prompt "a man waving hello" --pose none

Each run leaves PNG files, sheet.png (references, skeleton, pictures) and manifest.jsonl in --out. What is there already
is not drawn again: a run that was interrupted goes on with the same command.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import config_flags

from astra_jax import cli, hosts
from astra_jax.config import SOLVERS, MeshConfig
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request, named, parse_request, read_requests
from astra_jax.pipeline import AstraPipeline, Ready
from astra_jax.pose.embedders import BUILT_IN
from astra_jax.results import SHEET_COLUMNS, SHEET_ROWS, ResultWriter
from astra_jax.sampling.identity import picture_key
from astra_jax.sampling.settings import Settings, check, settings_of
from astra_jax.training.mesh import make_mesh

_HERE = pathlib.Path(__file__).resolve().parent
_EXAMPLES = _HERE / "data" / "examples" / "requests.jsonl"

_PROMPT = flags.DEFINE_string("prompt", None, "What to draw; without it and --requests: the built-in examples.")
_SUBJECT = flags.DEFINE_multi_string("subject", [], "'PHRASE=PHOTO': the phrase stands in the prompt. Repeatable.")
_POSE = flags.DEFINE_string("pose", "auto", "'auto' (retrieved), 'none', keypoints (.json, .npz) or skeleton picture.")
_PEOPLE = flags.DEFINE_integer("people", None, "People a retrieved pose must have; read from the prompt by default.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same picture, whatever else is drawn with it.")
_IMAGES = flags.DEFINE_integer("num_images", 1, "Pictures of the prompt.")
_IMAGE = flags.DEFINE_string("image", None, "A picture to start from (image-to-image).")
_REQUESTS = flags.DEFINE_string("requests", None, "A JSONL file of requests (astra_jax/inputs/requests.py).")
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", str(_HERE / "pretrained" / "puppets"), "A folder of pretrained weights or a training run's workdir."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "In place of --checkpoint: a folder with FLUX.1 in its published layout; needs --config."
)
_CONFIG = config_flags.DEFINE_config_file("config", None, "The model of --weights: a file of configs/.")
_LORA = flags.DEFINE_string("lora", None, "A LoRA for --weights: a file or its folder, UNO's, diffusers' or ours.")
_LORA_SCALE = flags.DEFINE_float("lora_scale", 1.0, "Strength of the LoRA.")
_DSM = flags.DEFINE_string("dsm", None, "An identity adapter for --weights: a file or its folder, XVerse's or ours.")
_BANK = flags.DEFINE_string("pose_bank", str(_HERE / "data" / "pose_library" / "bank"), "A folder with a pose bank.")
_EMBEDDER = flags.DEFINE_string(
    "pose_embedder", BUILT_IN, "'tfidf', or the folder of the text encoder that the pose bank was built with."
)
_BATCH = flags.DEFINE_integer("batch_size", 4, "Pictures drawn together; rounded up to what the devices divide.")
_OUT = flags.DEFINE_string("out", "outputs", "The folder for the results; what is there already is not drawn again.")

# How pictures are sampled, where a request does not say it itself; None: as the model's config says.
_SETTINGS = {
    flag.name: flag
    for flag in (
        flags.DEFINE_integer("height", None, "Pixels."),
        flags.DEFINE_integer("width", None, "Pixels."),
        flags.DEFINE_integer("steps", None, "Sampler steps."),
        flags.DEFINE_enum("solver", None, SOLVERS, "Rule of the sampler: order 1, 2 (twice the cost a step), 2."),
        flags.DEFINE_float(
            "cache_threshold", None, "Reuse the blocks behind the first while that changes less; 0: off."
        ),
        flags.DEFINE_float("guidance", None, "Guidance of a guidance-distilled model such as FLUX.1-dev."),
        flags.DEFINE_float(
            "cfg_scale",
            None,
            "Classifier-free guidance: above 1 follows words, photos and pose more closely, at a higher cost.",
        ),
        flags.DEFINE_float("pose_start", None, "Fraction of the schedule from which on the pose is seen."),
        flags.DEFINE_float("pose_end", None, "Fraction of the schedule until which the pose is seen."),
        flags.DEFINE_float("dsm_scale", None, "Strength of the identity adapter."),
        flags.DEFINE_float("strength", None, "With a start picture: the share of the schedule it goes through."),
    )
}
_MESH = {
    axis: flags.DEFINE_integer(f"mesh_{axis}", 1, f"Devices that share the {what} of a picture.")
    for axis, what in (("fsdp", "weights"), ("context", "tokens"), ("tensor", "heads"))
}
hosts.define_flags()


def main(argv: Sequence[str]) -> None:
    """Joins the run's other processes, where there are some, and does this one's part."""
    del argv
    hosts.connect_by_flags()
    draw()


def draw() -> None:
    """Reads requests, then draws those that are right and not there yet."""
    start = time.monotonic()
    # 1. What is asked for. A wrong line of a file costs no other line.
    asked = _asked()
    if _BATCH.value < 1:
        raise UserError(f"--batch_size must be at least 1, not {_BATCH.value}")
    mesh = _mesh()

    # 2. Weights and bank; programs are kept between runs.
    programs = cli.keep_compiled_programs()
    needs_bank = any(isinstance(item, Request) and item.pose == "auto" for item in asked)
    pipe = _pipeline(_BANK.value if needs_bank else None, mesh=mesh, lora_scale=_LORA_SCALE.value, programs=programs)
    run = _run_settings(pipe)
    if pipe.bank is not None:
        print(f"pose bank: {pipe.bank.describe()}")

    # 3. What is there, and what is left for this process: requests are dealt out, so that no process waits for another.
    writer = ResultWriter(_OUT.value, pipe.config, pipe.weights, jax.process_index())
    job = _Job(pipe, run, writer, alone=len(asked) == 1)
    try:
        job.choose(asked)
        drawn = job.draw()
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("pictures")
        if jax.process_index() == 0:
            if jax.process_count() > 1:
                writer.join()
            if sheet := job.sheet():
                print(sheet)
    finally:
        writer.discard()
    if drawn:
        print(f"{time.monotonic() - start:.1f} s in all")
    if job.wrong:
        print(f"{job.wrong} of {len(asked)} requests are wrong and were left out", file=sys.stderr)
        sys.exit(2)


@dataclasses.dataclass
class _Job:
    """The requests of a run: which of their pictures are there, and what is done about the others."""

    pipe: AstraPipeline
    run: Settings
    writer: ResultWriter
    alone: bool  # a single request's mistake is the run's
    wrong: int = 0

    def choose(self, asked: Sequence[Request | UserError]) -> None:
        """Finds the pictures that are left to draw."""
        self.requests: list[Request] = []
        self.keys: list[list[str]] = []
        left: set[str] = set()
        self.indices: list[list[int]] = []
        for number, item in enumerate(asked):
            mine = number % jax.process_count() == jax.process_index()
            try:
                if isinstance(item, UserError):
                    raise item
                keys = self._keys(item)
            except UserError as error:
                if mine:
                    self._refuse(error)
                continue
            # The same picture asked for twice is drawn once.
            new = [index for index, key in enumerate(keys) if mine and key not in left and not self.writer.find(key)]
            left.update(keys[index] for index in new)
            self.requests.append(item)
            self.keys.append(keys)
            self.indices.append(new)
        there = sum(self.writer.find(key) is not None for keys in self.keys for key in keys)
        if there:
            print(f"{there} of {sum(map(len, self.keys))} pictures are there already")

    def _keys(self, request: Request) -> list[str]:
        settings, pipe = settings_of(request, self.run, self.pipe.config), self.pipe
        with named(request):
            return [
                picture_key(request, index, settings, pipe.weights, pipe.bank_fingerprint)
                for index in range(request.num_images)
            ]

    def _refuse(self, error: UserError) -> None:
        if self.alone:
            raise error
        self.wrong += 1
        print(f"error: {error}", file=sys.stderr, flush=True)

    def draw(self) -> int:
        """Draws what is left, each picture on disk as soon as it is there; returns how many."""
        total = sum(map(len, self.indices))
        if not total:
            return 0
        before, noted = time.monotonic(), set()
        results = self.pipe.draw(
            self.requests, self.run, _BATCH.value, self.indices, lambda number, error: self._refuse(error)
        )
        done = 0
        for done, result in enumerate(results, 1):
            name = result.ready.request.name
            if result.number not in noted:
                noted.add(result.number)
                for note in result.ready.notes:
                    print(f"{name}: {note}")
            path = self.writer.add(result, self.keys[result.number][result.index])
            seconds = (time.monotonic() - before) / done
            left = f", {_duration(seconds * (total - done))} left" if done < total else ""
            print(f"{path}  {done}/{total}  {seconds:.2g} s a picture{left}", flush=True)
        programs = self.pipe.executables
        print(f"{programs.count} compiled programs, {programs.loaded} of them traced by an earlier run")
        return done

    def sheet(self) -> pathlib.Path | None:
        """Shows the pictures of the first requests, whichever run drew them."""
        rows: list[tuple[Ready, list[pathlib.Path]]] = []
        for request, keys in zip(self.requests, self.keys, strict=True):
            files = [path for key in keys[:SHEET_COLUMNS] if (path := self.writer.find(key))]
            if files and len(rows) < SHEET_ROWS:
                rows.append((self.pipe.prepare(request, self.run), files))
        return self.writer.finish(rows) if rows else None


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def _mesh() -> Mesh | None:
    """All devices of this process; None for a single one."""
    devices = jax.local_devices()
    sizes = {axis: flag.value for axis, flag in _MESH.items()}
    return (
        None if len(devices) == 1 and set(sizes.values()) == {1} else make_mesh(MeshConfig(data=-1, **sizes), devices)
    )


def _pipeline(bank: str | None, **options: Any) -> AstraPipeline:
    """The model of --checkpoint, or of --weights with its adapters."""
    if not _WEIGHTS.value:
        if given := [f"--{flag.name}" for flag in (_CONFIG, _LORA, _DSM) if flag.value is not None]:
            raise UserError(f"{given[0]} needs --weights: a folder with FLUX.1 in its published layout")
        return AstraPipeline.from_pretrained(_CHECKPOINT.value, bank, _EMBEDDER.value, **options)
    if _CHECKPOINT.present:
        raise UserError("--checkpoint and --weights exclude each other: leave one out")
    adapters = {part: flag.value for part, flag in (("lora", _LORA), ("dsm", _DSM)) if flag.value}
    config = cli.read_config(_CONFIG.value)
    return AstraPipeline.from_published(config, _WEIGHTS.value, bank, adapters, _EMBEDDER.value, **options)


def _run_settings(pipe: AstraPipeline) -> Settings:
    given = {name: flag.value for name, flag in _SETTINGS.items() if flag.value is not None}
    if "guidance" in given and not pipe.config.model.transformer.guidance_embed:
        raise UserError("--guidance: these weights have no guidance input (guidance_embed is off): leave the flag out")
    run = dataclasses.replace(pipe.defaults, **given)
    check(run, pipe.config)
    return run


def _asked() -> list[Request | UserError]:
    """The requests of the flags, of --requests, or the built-in ones."""
    if _REQUESTS.value and _PROMPT.value:
        raise UserError("--prompt and --requests exclude each other: put the prompt into the file")
    if _PROMPT.value is None:
        single = [f"--{flag.name}" for flag in (_SUBJECT, _POSE, _PEOPLE, _SEED, _IMAGES, _IMAGE) if flag.present]
        if single:
            raise UserError(f"{single[0]} needs --prompt; in a --requests file it is a key of each line")
        asked = list(read_requests(pathlib.Path(_REQUESTS.value) if _REQUESTS.value else _EXAMPLES))
        if not asked:
            raise UserError(f"--requests {_REQUESTS.value} has no lines")
        return asked
    subjects = [_subject(text) for text in _SUBJECT.value]
    fields = {"prompt": _PROMPT.value, "pose": _POSE.value, "people": _PEOPLE.value, "seed": _SEED.value}
    fields |= {"num_images": _IMAGES.value, "subjects": subjects, "image": _IMAGE.value}
    return [parse_request(fields, pathlib.Path.cwd(), "the request")]


def _subject(text: str) -> dict[str, str]:
    phrase, separator, image = text.partition("=")
    if not (separator and phrase.strip() and image):
        raise UserError(f"--subject {text!r} must be 'PHRASE=PHOTO', as in --subject \"a man=man.png\"")
    return {"phrase": phrase, "image": image}


if __name__ == "__main__":
    cli.run(main)
