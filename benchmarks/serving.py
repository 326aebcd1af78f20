"""How long finding poses takes in a bank, a prompt at a time and many in one call.

    python -m benchmarks.serving --bank DIR [--embedder DIR] [--prompts 1 128 512]

The prompts are captions of the bank with its own numbers of people, every one asked for five scenes. A call is all that
`Retriever.retrieve` does: embedding, searching, ranking, composing, fitting. Figures are medians of several calls with
other captions; the first call is left out. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from astra_jax.cli import guard
from astra_jax.errors import UserError
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.retrieval import Retriever

CANVAS, K = (512, 512), 5


def milliseconds(retriever: Retriever, prompts: int, repeats: int) -> float:
    """A prompt's share of a call with so many prompts."""
    entries, rng = retriever.bank.entries, np.random.default_rng(0)
    seconds = []
    for _ in range(repeats + 1):
        chosen = [entries[i] for i in rng.integers(len(entries), size=prompts)]
        texts = [entry.captions[rng.integers(len(entry.captions))] for entry in chosen]
        start = time.perf_counter()
        retriever.retrieve(texts, [len(entry.people) for entry in chosen], CANVAS, K)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) * 1000 / prompts


def run(argv: Sequence[str] | None = None) -> None:
    """Prints a line for each number of prompts, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument(
        "--embedder", default=BUILT_IN, help="for a bank that was built with a text encoder: its folder"
    )
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 128, 512], help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=10, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    if min(*arguments.prompts, arguments.repeats) < 1:
        raise UserError("--prompts and --repeats must be at least 1")
    bank = PoseBank.load(arguments.bank, embedder=open_embedder(arguments.embedder))
    print(bank.describe())
    logging.set_verbosity(logging.ERROR)  # some captions name no action, and say so
    retriever = Retriever(bank)
    figures = {}
    for prompts in arguments.prompts:
        figures[f"ms_a_prompt_of_{prompts}"] = round(milliseconds(retriever, prompts, arguments.repeats), 3)
        print(f"{prompts:5d} prompts: {figures[f'ms_a_prompt_of_{prompts}']:.3f} ms each", flush=True)
    print(json.dumps({"entries": len(bank.entries), "embedder": bank.embedder.kind, **figures}))


if __name__ == "__main__":
    guard(run)
