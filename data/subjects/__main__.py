"""Makes a data set to train on from your own pictures: `python -m data.subjects --manifest FILE --out DIR --name NAME`.

What a manifest says is told in data/subjects/manifest.py.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from astra_jax.cli import guard
from astra_jax.errors import UserError
from astra_jax.inputs.buckets import UNO_512, nearest

SHOWN = 10  # bad lines


def run(argv: Sequence[str] | None = None) -> None:
    """Reads, checks and stores the examples; tells the bad lines and how many examples each of UNO's canvases has.

    Raises `UserError` for a manifest that cannot be read or has too many bad lines, a name that is none, a data set
    that is there already and a folder that cannot be written to. What is begun and not finished is no data set and goes
    the next time.
    """
    parser = argparse.ArgumentParser(prog="python -m data.subjects", description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="lines of JSON, or one of UNO's lists")
    parser.add_argument("--images", type=Path, help="what its paths are relative to; default: the manifest's folder")
    parser.add_argument(
        "--out", type=Path, required=True, help="the TFDS data_dir; the data set goes into its folder subjects/NAME"
    )
    parser.add_argument("--name", help="of the data set; default: the manifest's, without its ending")
    parser.add_argument("--max_side", type=int, default=1024, help="pixels; larger pictures are scaled down")
    parser.add_argument("--min_score", type=float, default=-math.inf, help="of UNO-1M's pairs; UNO took 4")
    parser.add_argument("--max_bad", type=int, default=100, help="stop at more bad lines than these")
    parser.add_argument("--threads", type=int, default=4, help="that read pictures")
    arguments = parser.parse_args(argv)
    from data.subjects.builder import Subjects, SubjectsConfig  # after the arguments: --help need not wait for TFDS

    name = arguments.name or arguments.manifest.stem
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"--name {name!r}: letters, digits, '_', '-' and '.' make a name")
    for option, least in (("max_side", 64), ("max_bad", 0), ("threads", 1)):
        if getattr(arguments, option) < least:
            raise UserError(f"--{option} must be at least {least}, not {getattr(arguments, option)}")
    if not arguments.manifest.is_file():
        raise UserError(f"--manifest {arguments.manifest}: there is no such file")
    folder = arguments.images or arguments.manifest.parent
    if not folder.is_dir():
        raise UserError(f"--images {folder} is no folder")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to --out {arguments.out}: {error.strerror}: name another place") from error
    start = time.monotonic()
    config = SubjectsConfig(
        name=name, manifest=str(arguments.manifest), folder=str(folder), max_side=arguments.max_side,
        min_score=arguments.min_score, max_bad=arguments.max_bad, threads=arguments.threads,
    )  # fmt: skip
    builder = Subjects(config=config, data_dir=arguments.out)
    if builder.is_prepared():
        raise UserError(f"{builder.data_path} is there already: remove it, or give another --name")
    builder.download_and_prepare()
    for message in builder.bad[:SHOWN]:
        print(f"left out: {message}", file=sys.stderr)
    if len(builder.bad) > SHOWN:
        print(f"left out: {len(builder.bad) - SHOWN} more lines", file=sys.stderr)
    print(
        f"{builder.data_path}: {len(builder.sizes)} examples, {len(builder.bad)} bad lines left out,"
        f" in {time.monotonic() - start:.0f} s; by UNO's canvases: {_by_canvas(builder.sizes)}"
    )


def _by_canvas(sizes: np.ndarray) -> str:
    counts = Counter(nearest(sizes, UNO_512).tolist())
    return ", ".join(f"{UNO_512[bucket][0]} x {UNO_512[bucket][1]}: {counts[bucket]}" for bucket in sorted(counts))


if __name__ == "__main__":
    guard(run)
