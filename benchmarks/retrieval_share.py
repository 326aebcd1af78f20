"""RAG-Pose's share in the time of a request: finding a pose and drawing it, against all that a picture takes.

    python -m benchmarks.retrieval_share
    python -m benchmarks.retrieval_share --banks data/pose_library/bank runs/coco_bank --repeats 5

The requests are the built-in examples, one picture each, one request at a time, with the shipped weights and settings.
Of each: `embed` (its prompt to a vector), `search` (its neighbours), `retrieve` (all that `Retriever.retrieve` does:
both, parts of the prompt, ranking, composing, fitting), `skeleton` (drawing it) and `picture`, the whole request by
`AstraPipeline`: these two and reading photos, encoding, sampling, decoding. Figures are means over requests of medians
over repeats; all stages take turns, so that other work on the machine meets them alike. The first round is left out.
`share` is (retrieve + skeleton) / picture. On a busy machine what is short waits less than what is long, and the share
comes out too small: `--clock process` counts the seconds of all threads instead.

`flux_share_at_most` says the same of FLUX.1 at 512 pixels with a pose and two references in 25 steps: there a request
cannot be faster than its counted matrix products at the published peak of the chip (`costs/`); retrieval and a skeleton
of 512 pixels are measured on this machine's CPU. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import logging

from astra_jax.cli import guard
from astra_jax.config import Config
from astra_jax.costs.chips import CHIPS
from astra_jax.costs.sampling import sampling_products
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request, read_requests
from astra_jax.pipeline import AstraPipeline
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.database import PoseBank
from astra_jax.pose.drawing import draw
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.retrieval import CANDIDATES, Retriever
from astra_jax.sampling.settings import settings_of
from astra_jax.sampling.shapes import people_asked_for

STAGES = ("embed", "search", "retrieve", "skeleton", "picture")
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "process": time.process_time}
FLUX_SIZE, FLUX_STEPS, FLUX_SUBJECTS, FLUX_CHIP = (512, 512), 25, 2, "h100"


def stages(pipe: AstraPipeline, bank: PoseBank, request: Request) -> dict[str, Callable[[], object]]:
    """What is timed of one request, by its name."""
    retriever, size = Retriever(bank), settings_of(request, pipe.defaults, pipe.config).size
    prompt, count = request.prompt, people_asked_for(request)
    if not count:
        raise UserError(f"{request.name}: the prompt names no people")
    found = retriever.retrieve([prompt], [count], size)[0][0]
    vectors = caption_vectors(bank.embedder, [prompt])
    partition = bank.partition(count if count in bank.partitions else min(bank.partitions))
    body, large = found.people, retriever.retrieve([prompt], [count], FLUX_SIZE)[0][0].people
    return {
        "embed": lambda: caption_vectors(bank.embedder, [prompt]),
        "search": lambda: partition.search(vectors, CANDIDATES),
        "retrieve": lambda: retriever.retrieve([prompt], [count], size),
        "skeleton": lambda: draw(body, size),
        "large_skeleton": lambda: draw(large, FLUX_SIZE),
        "picture": lambda: list(pipe.draw([request], batch_size=1)),
    }


def seconds(
    pipe: AstraPipeline, bank: PoseBank, requests: Sequence[Request], repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Mean over requests of the median of each stage, by `clock`."""
    medians: dict[str, list[float]] = {}
    for request in requests:
        timed = stages(pipe, bank, request)
        taken: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(repeats + 1):
            for name, stage in timed.items():
                begin = clock()
                stage()
                taken[name].append(clock() - begin)
        for name, values in taken.items():
            medians.setdefault(name, []).append(statistics.median(values[1:]))
    return {name: statistics.fmean(values) for name, values in medians.items()}


def flux_seconds() -> float:
    """What a picture of FLUX.1 takes at least."""
    config = dataclasses.replace(Config(), model=dataclasses.replace(Config().model, max_subjects=FLUX_SUBJECTS))
    flops = sampling_products(config, FLUX_SIZE, True, FLUX_SUBJECTS).flops(FLUX_STEPS)
    return flops / next(chip.flops for chip in CHIPS if chip.name == FLUX_CHIP)


def run(argv: Sequence[str] | None = None) -> None:
    """Prints a line for each bank, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("pretrained/puppets"))
    parser.add_argument("--banks", type=Path, nargs="+", default=[Path("data/pose_library/bank")])
    parser.add_argument("--embedder", default=BUILT_IN, help="of banks that were built with a text encoder: its folder")
    parser.add_argument("--requests", type=Path, default=Path("data/examples/requests.jsonl"))
    parser.add_argument("--limit", type=int, help="so many of the requests; default: all")
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    if min(arguments.repeats, arguments.limit or 1) < 1:
        raise UserError("--repeats and --limit must be at least 1")
    requests = []
    for one in read_requests(arguments.requests):
        if isinstance(one, UserError):
            raise one
        requests.append(dataclasses.replace(one, pose="auto", num_images=1))
    logging.set_verbosity(logging.ERROR)
    least, rows = flux_seconds(), []
    for folder in arguments.banks:
        bank = PoseBank.load(folder, embedder=open_embedder(arguments.embedder))
        pipe = AstraPipeline.from_pretrained(arguments.checkpoint, folder, arguments.embedder)
        taken = seconds(pipe, bank, requests[: arguments.limit], arguments.repeats, CLOCKS[arguments.clock])
        large = taken.pop("large_skeleton")
        own = taken["retrieve"] + large
        row = {
            "bank": folder.name,
            "entries": len(bank.entries),
            **{f"{stage}_ms": round(1000 * taken[stage], 3) for stage in STAGES},
            "share": round((taken["retrieve"] + taken["skeleton"]) / taken["picture"], 5),
            "large_skeleton_ms": round(1000 * large, 3),
            "flux_share_at_most": round(own / (own + least), 5),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    line = {"clock": arguments.clock, "requests": len(requests[: arguments.limit])}
    print(json.dumps(line | {"flux_seconds_at_least": round(least, 3), "chip": FLUX_CHIP, "banks": rows}))


if __name__ == "__main__":
    guard(run)
