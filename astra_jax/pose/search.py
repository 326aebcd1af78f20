"""`python -m astra_jax.pose search`: a prompt's neighbours as JSON lines and as a picture."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from astra_jax.errors import UserError
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.index import BACKENDS
from astra_jax.pose.people_words import count_people
from astra_jax.pose.retrieval import Retriever
from astra_jax.pose.sheet import draw_neighbours, save_sheet


def add_search(commands: argparse._SubParsersAction) -> None:
    """Adds the command to `commands`."""
    parser = commands.add_parser("search", help="print a prompt's neighbours as JSON lines")
    parser.set_defaults(command=_search)
    parser.add_argument("prompt")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--people", type=int, help="number of people; default: what the prompt says")
    parser.add_argument("--k", type=int, default=5, help="how many neighbours")
    parser.add_argument("--height", type=int, default=256, help="of the canvas, in pixels")
    parser.add_argument("--width", type=int, default=256, help="of the canvas, in pixels")
    parser.add_argument("--seed", type=int, help="draw from the best five instead of taking the best")
    parser.add_argument("--backend", choices=BACKENDS, help="index; default: the bank's own")
    parser.add_argument(
        "--embedder", default=BUILT_IN, help="for a bank that was built with a text encoder: the same folder"
    )
    parser.add_argument("--out", type=Path, help="a PNG that shows the neighbours")


def _search(arguments: argparse.Namespace) -> None:
    for name in ("height", "width"):
        if not 16 <= getattr(arguments, name) <= 4096:
            raise UserError(f"--{name} must be within 16 to 4096 pixels, not {getattr(arguments, name)}")
    people = count_people(arguments.prompt) if arguments.people is None else arguments.people
    if not people:
        said = "names no people in English words" if people == 0 else "speaks of people but not how many"
        raise UserError(f"the prompt {said}: say how many, or give --people")
    bank = PoseBank.load(arguments.bank, arguments.backend, open_embedder(arguments.embedder))
    print(bank.describe(), file=sys.stderr)
    canvas = (arguments.height, arguments.width)
    (found,) = Retriever(bank).retrieve([arguments.prompt], [people], canvas, arguments.k, arguments.seed)
    for result in found:
        line = {"id": result.entry, "score": round(result.score, 4), "cosine": round(result.cosine, 4)}
        print(json.dumps({**line, "people": people, "action": result.action, "caption": result.caption}))
    if arguments.out:
        save_sheet(draw_neighbours(arguments.prompt, found, canvas), arguments.out)
