"""Writes a pose bank as a TFDS data set: `python -m data.coco_pose --bank BANK --out DIR [--name val2017]`."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from astra_jax.cli import guard
from astra_jax.errors import UserError


def run(argv: Sequence[str] | None = None) -> None:
    """Stores the bank's entries.

    Raises `UserError` for a folder that is no bank, a name that is none, a data set that is there already and a folder
    that cannot be written to. What is begun and not finished is no data set and goes the next time.
    """
    parser = argparse.ArgumentParser(prog="python -m data.coco_pose", description=__doc__)
    parser.add_argument("--bank", type=Path, required=True, help="what python -m astra_jax.pose build wrote")
    parser.add_argument(
        "--out", type=Path, required=True, help="the TFDS data_dir; the data set goes into its folder coco_pose/NAME"
    )
    parser.add_argument("--name", help="of the data set; default: the bank's folder")
    arguments = parser.parse_args(argv)
    from data.coco_pose.builder import CocoPose, CocoPoseConfig  # after the arguments: --help need not wait for TFDS

    name = arguments.name or arguments.bank.resolve().name
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"--name {name!r}: letters, digits, '_', '-' and '.' make a name")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to --out {arguments.out}: {error.strerror}: name another place") from error
    start = time.monotonic()
    builder = CocoPose(config=CocoPoseConfig(name=name, bank=str(arguments.bank)), data_dir=arguments.out)
    if builder.is_prepared():
        raise UserError(f"{builder.data_path} is there already: remove it, or give another --name")
    entries = builder.entries  # before TFDS makes a folder
    builder.download_and_prepare()
    print(f"{builder.data_path}: {len(entries)} entries in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    guard(run)
