"""`python -m astra_jax.pose build`, `search` and `convert`: make a pose bank from COCO files, look into one, and write
keypoint files in another form."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from astra_jax.errors import UserError
from astra_jax.pose.coco import read_captions, read_keypoints
from astra_jax.pose.convert import add_convert
from astra_jax.pose.curation import curate
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.index import BACKENDS
from astra_jax.pose.people_words import count_people
from astra_jax.pose.retrieval import Retriever
from astra_jax.pose.sheet import draw_sheet


def run(argv: Sequence[str] | None = None) -> None:
    """Parses the arguments and runs the command; raises `UserError` for what the user can put right."""
    arguments = _parser().parse_args(argv)
    arguments.command(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m astra_jax.pose", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="build|search|convert")

    build = commands.add_parser("build", help="make a bank from COCO keypoints and captions")
    build.set_defaults(command=_build)
    build.add_argument(
        "--keypoints", type=Path, required=True, help="person_keypoints_*.json, or an npz (pose/coco.py)"
    )
    build.add_argument("--captions", type=Path, help="captions_*.json")
    build.add_argument("--out", type=Path, required=True, help="the bank's folder; a bank that is there is replaced")
    build.add_argument("--max_entries", type=int, help="keep a random subset of so many (always the same one)")
    build.add_argument("--backend", choices=BACKENDS, help="index; default: scann where it is installed, else exact")
    build.add_argument(
        "--embedder", default=BUILT_IN, help="tfidf (built in), or the folder of a text encoder: BERT's, CLIP's, T5's"
    )
    build.add_argument("--source", default="COCO 2017", help="name of the data, kept with every entry")
    build.add_argument("--licence", default="CC BY 4.0 (annotations: COCO Consortium)", help="kept with every entry")

    search = commands.add_parser("search", help="print a prompt's neighbours as JSON lines")
    search.set_defaults(command=_search)
    search.add_argument("prompt")
    search.add_argument("--bank", type=Path, required=True)
    search.add_argument("--people", type=int, help="number of people; default: what the prompt says")
    search.add_argument("--k", type=int, default=5, help="how many neighbours")
    search.add_argument("--height", type=int, default=256, help="of the canvas, in pixels")
    search.add_argument("--width", type=int, default=256, help="of the canvas, in pixels")
    search.add_argument("--seed", type=int, help="draw from the best five instead of taking the best")
    search.add_argument("--backend", choices=BACKENDS, help="index; default: the bank's own")
    search.add_argument(
        "--embedder", default=BUILT_IN, help="for a bank that was built with a text encoder: the same folder"
    )
    search.add_argument("--out", type=Path, help="a PNG that shows the neighbours")

    add_convert(commands)
    return parser


def _build(arguments: argparse.Namespace) -> None:
    if arguments.max_entries is not None and arguments.max_entries < 1:
        raise UserError(f"--max_entries must be at least 1, not {arguments.max_entries}")
    embedder = open_embedder(arguments.embedder)
    captions = read_captions(arguments.captions) if arguments.captions else {}
    pictures = tqdm(read_keypoints(arguments.keypoints), desc="curating", unit="picture", disable=None)
    entries, report = curate(pictures, captions, arguments.source, arguments.licence)
    print(report)
    if not entries:
        hint = "" if arguments.captions else ": give --captions"
        raise UserError(f"no picture of {arguments.keypoints} was kept{hint}")
    if arguments.max_entries is not None and arguments.max_entries < len(entries):
        chosen = np.random.default_rng(0).choice(len(entries), arguments.max_entries, replace=False)
        entries = [entries[i] for i in np.sort(chosen)]
        print(f"{len(entries):8d} of them taken (--max_entries)")
    bank = PoseBank.build(entries, embedder, arguments.backend)
    bank.save(arguments.out)
    print(f"{arguments.out}: {bank.describe()}")


def _search(arguments: argparse.Namespace) -> None:
    for name in ("height", "width"):
        if not 16 <= getattr(arguments, name) <= 4096:
            raise UserError(f"--{name} must be within 16 to 4096 pixels, not {getattr(arguments, name)}")
    people = count_people(arguments.prompt) if arguments.people is None else arguments.people
    if not people:
        said = "no people" if people == 0 else "people but not how many"
        raise UserError(f"the prompt speaks of {said}: say how many, or give --people")
    bank = PoseBank.load(arguments.bank, arguments.backend, open_embedder(arguments.embedder))
    print(bank.describe(), file=sys.stderr)
    canvas = (arguments.height, arguments.width)
    (found,) = Retriever(bank).retrieve([arguments.prompt], [people], canvas, arguments.k, arguments.seed)
    for result in found:
        line = {"id": result.entry, "score": round(result.score, 4), "cosine": round(result.cosine, 4)}
        print(json.dumps({**line, "people": people, "action": result.action, "caption": result.caption}))
    if arguments.out:
        try:
            Image.fromarray(draw_sheet(arguments.prompt, found, canvas)).save(arguments.out)
        except (OSError, ValueError) as error:
            raise UserError(f"cannot write {arguments.out}: {error}") from error
