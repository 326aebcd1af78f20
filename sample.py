"""Draws pictures of several subjects, each with its own identity, each in its own pose.

    python sample.py                                         # the built-in examples with the built-in weights
    python sample.py --prompt "a man waving hello, on the beach" --subject "a man=photo.png" --seed 7
    python sample.py --requests requests.jsonl --out outputs/many
    python sample.py --config configs/flux.py --weights FLUX.1-dev --prompt "a man waving hello" --pose none

Each run leaves PNG files, sheet.png (references, skeleton, pictures) and manifest.jsonl in --out. What is there already
is not drawn again: a run that was interrupted goes on with the same command.
"""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Sequence

import jax
from absl import flags

from astra_jax import cli, hosts
from astra_jax.drawing_run import DrawingRun
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request, parse_request, read_requests
from astra_jax.model_flags import ModelFlags
from astra_jax.results import ResultWriter

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
_MODEL = ModelFlags(_HERE / "pretrained" / "puppets", _HERE / "data" / "pose_library" / "bank")
_OUT = flags.DEFINE_string("out", "outputs", "The folder for the results; what is there already is not drawn again.")
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
    batch_size, mesh = _MODEL.batch_size, _MODEL.mesh()

    # 2. Weights and bank; programs are kept between runs.
    programs = cli.keep_compiled_programs()
    needs_bank = any(isinstance(item, Request) and item.pose == "auto" for item in asked)
    pipe = _MODEL.pipeline(needs_bank, mesh, programs)
    run = _MODEL.run_settings(pipe)
    if pipe.bank is not None:
        print(f"pose bank: {pipe.bank.describe()}")

    # 3. What is there, and what is left for this process: requests are dealt out, so that no process waits for another.
    writer = ResultWriter(_OUT.value, pipe.config, pipe.weights, jax.process_index())
    job = DrawingRun(pipe, run, writer, batch_size, alone=len(asked) == 1)
    try:
        drawn = job.complete(asked)
        if jax.process_index() == 0 and (sheet := job.sheet()):
            print(sheet)
    except KeyboardInterrupt:
        print("finished pictures are kept, and the same command draws the others", file=sys.stderr)
        raise
    finally:
        writer.discard()
    if drawn:
        print(f"{time.monotonic() - start:.1f} s in all")
    if job.wrong:
        print(f"{job.wrong} of {len(asked)} requests are wrong and were left out", file=sys.stderr)
        sys.exit(2)


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
    if "--strength" in _MODEL.given and _IMAGE.value is None:
        raise UserError("--strength needs --image, the picture to start from")
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
