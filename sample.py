"""Draws pictures of several subjects, each with its own identity, each in its own pose.

    python sample.py                                         # the built-in examples with the built-in weights
    python sample.py --prompt "a man waving hello, on the beach" --subject "a man=photo.png" --seed 7
    python sample.py --requests requests.jsonl --out outputs/many
    python sample.py --config configs/flux.py --weights FLUX.1-dev --prompt "a man waving hello" --pose none

Each run leaves PNG files, sheet.png (references, skeleton, pictures) and manifest.jsonl in --out.
"""

from __future__ import annotations

import math
import pathlib
import sys
import time
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request, parse_request, read_requests
from astra_jax.pipeline import AstraPipeline, Ready
from astra_jax.pose.embedders import BUILT_IN
from astra_jax.results import ResultWriter

_HERE = pathlib.Path(__file__).resolve().parent
_EXAMPLES = _HERE / "data" / "examples" / "requests.jsonl"

_PROMPT = flags.DEFINE_string("prompt", None, "What to draw; without it and --requests: the built-in examples.")
_SUBJECT = flags.DEFINE_multi_string("subject", [], "'PHRASE=PHOTO': the phrase stands in the prompt. Repeatable.")
_POSE = flags.DEFINE_string("pose", "auto", "'auto' (retrieved), 'none', keypoints (.json, .npz) or skeleton picture.")
_PEOPLE = flags.DEFINE_integer("people", None, "People a retrieved pose must have; read from the prompt by default.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same picture, whatever else is drawn with it.")
_IMAGES = flags.DEFINE_integer("num_images", 1, "Pictures of the prompt.")
_REQUESTS = flags.DEFINE_string("requests", None, "A JSONL file of requests (astra_jax/inputs/requests.py).")
_STEPS = flags.DEFINE_integer("steps", None, "Sampler steps; the model's default where not given.")
_GUIDANCE = flags.DEFINE_float("guidance", None, "Guidance of a guidance-distilled model such as FLUX.1-dev.")
_CFG_SCALE = flags.DEFINE_float(
    "cfg_scale",
    None,
    "Classifier-free guidance: above 1 follows words, photos and pose more closely, at twice the cost.",
)
_HEIGHT = flags.DEFINE_integer("height", None, "Pixels; the model's default where not given.")
_WIDTH = flags.DEFINE_integer("width", None, "Pixels; the model's default where not given.")
_BATCH = flags.DEFINE_integer("batch_size", 4, "Pictures drawn together.")
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", str(_HERE / "pretrained" / "puppets"), "A folder of pretrained weights or a training run's workdir."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "In place of --checkpoint: a folder with FLUX.1 in its published layout; needs --config."
)
_CONFIG = config_flags.DEFINE_config_file("config", None, "The model of --weights: a file of configs/.")
_LORA = flags.DEFINE_string("lora", None, "A LoRA for --weights: a file or its folder, UNO's, diffusers' or ours.")
_DSM = flags.DEFINE_string("dsm", None, "An identity adapter for --weights: a file or its folder, XVerse's or ours.")
_BANK = flags.DEFINE_string("pose_bank", str(_HERE / "data" / "pose_library" / "bank"), "A folder with a pose bank.")
_EMBEDDER = flags.DEFINE_string(
    "pose_embedder", BUILT_IN, "'tfidf', or the folder of the text encoder that the pose bank was built with."
)
_OUT = flags.DEFINE_string("out", "outputs", "The folder for the results.")


def main(argv: Sequence[str]) -> None:
    """Reads requests, prepares all of them, then draws those that are right."""
    del argv
    start = time.monotonic()
    # 1. What is asked for. A wrong line of a file costs no other line.
    asked = _asked()
    if _BATCH.value < 1:
        raise UserError(f"--batch_size must be at least 1, not {_BATCH.value}")

    # 2. Weights and bank; compiled programs are kept between runs.
    cli.keep_compiled_programs()
    needs_bank = any(isinstance(item, Request) and item.pose == "auto" for item in asked)
    pipe = _pipeline(_BANK.value if needs_bank else None)
    guidance = _guidance(pipe)
    if pipe.bank is not None:
        print(f"pose bank: {pipe.bank.describe()}")

    # 3. Photos, poses, tokens: everything that can be wrong with a request.
    sample = pipe.config.sample
    height = sample.height if _HEIGHT.value is None else _HEIGHT.value
    size = (height, sample.width if _WIDTH.value is None else _WIDTH.value)
    steps = sample.steps if _STEPS.value is None else _STEPS.value
    ready: list[Ready] = []
    wrong = 0
    for item in asked:
        try:
            if isinstance(item, UserError):
                raise item
            ready.append(pipe.prepare(item, size, guidance))
        except UserError as error:
            if len(asked) == 1:
                raise
            wrong += 1
            print(f"error: {error}", file=sys.stderr, flush=True)
    for one in ready:
        for note in one.notes:
            print(f"{one.request.name}: {note}")

    # 4. Pictures, each on disk as soon as it is drawn.
    if ready:
        _draw(pipe, ready, steps, guidance, sample.cfg_scale if _CFG_SCALE.value is None else _CFG_SCALE.value)
        print(f"{time.monotonic() - start:.1f} s in all")
    if wrong:
        print(f"{wrong} of {len(asked)} requests are wrong and were left out", file=sys.stderr)
        sys.exit(2)


def _pipeline(bank: str | None) -> AstraPipeline:
    """The model of --checkpoint, or of --weights with its adapters."""
    if not _WEIGHTS.value:
        if given := [f"--{flag.name}" for flag in (_CONFIG, _LORA, _DSM) if flag.value is not None]:
            raise UserError(f"{given[0]} needs --weights: a folder with FLUX.1 in its published layout")
        return AstraPipeline.from_pretrained(_CHECKPOINT.value, bank, _EMBEDDER.value)
    if _CHECKPOINT.present:
        raise UserError("--checkpoint and --weights exclude each other: leave one out")
    adapters = {part: flag.value for part, flag in (("lora", _LORA), ("dsm", _DSM)) if flag.value}
    config = cli.read_config(_CONFIG.value)
    return AstraPipeline.from_published(config, _WEIGHTS.value, bank, adapters, _EMBEDDER.value)


def _draw(pipe: AstraPipeline, ready: list[Ready], steps: int, guidance: float, cfg_scale: float) -> None:
    if steps < 1:
        raise UserError(f"--steps must be at least 1, not {steps}")
    if not 0 < cfg_scale < math.inf:
        raise UserError(f"--cfg_scale must be a positive number (1: no classifier-free guidance), not {cfg_scale}")
    writer = ResultWriter(_OUT.value, pipe.config, pipe.weights, steps, guidance, cfg_scale)
    total = sum(one.request.num_images for one in ready)
    before = time.monotonic()
    for number, result in enumerate(pipe.draw(ready, steps, _BATCH.value, cfg_scale), 1):
        path = writer.add(result)
        print(f"{path}  {number}/{total}  {(time.monotonic() - before) / number:.1f} s a picture", flush=True)
    print(writer.finish())


def _asked() -> list[Request | UserError]:
    """The requests of the flags, of --requests, or the built-in ones."""
    if _REQUESTS.value and _PROMPT.value:
        raise UserError("--prompt and --requests exclude each other: put the prompt into the file")
    if _PROMPT.value is None:
        single = [f"--{flag.name}" for flag in (_SUBJECT, _POSE, _PEOPLE, _SEED, _IMAGES) if flag.present]
        if single:
            raise UserError(f"{single[0]} needs --prompt; in a --requests file it is a key of each line")
        asked = list(read_requests(pathlib.Path(_REQUESTS.value) if _REQUESTS.value else _EXAMPLES))
        if not asked:
            raise UserError(f"--requests {_REQUESTS.value} has no lines")
        return asked
    subjects = [_subject(text) for text in _SUBJECT.value]
    fields = {"prompt": _PROMPT.value, "pose": _POSE.value, "people": _PEOPLE.value, "seed": _SEED.value}
    fields |= {"num_images": _IMAGES.value, "subjects": subjects}
    return [parse_request(fields, pathlib.Path.cwd(), "the request")]


def _subject(text: str) -> dict[str, str]:
    phrase, separator, image = text.partition("=")
    if not (separator and phrase.strip() and image):
        raise UserError(f"--subject {text!r} must be 'PHRASE=PHOTO', as in --subject \"a man=man.png\"")
    return {"phrase": phrase, "image": image}


def _guidance(pipe: AstraPipeline) -> float:
    if _GUIDANCE.value is None:
        return pipe.config.sample.guidance
    if not pipe.config.model.transformer.guidance_embed:
        raise UserError("--guidance: these weights have no guidance input (guidance_embed is off): leave the flag out")
    return _GUIDANCE.value


if __name__ == "__main__":
    cli.run(main)
