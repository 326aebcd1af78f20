"""Builds the pose bank of the library: `python -m data.pose_library --out data/pose_library/bank`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from astra_jax.cli import guard
from astra_jax.pose.action_text import action_text
from astra_jax.pose.database import PoseBank
from astra_jax.pose.index import BACKENDS
from data.pose_library.embedder import word_start_embedder
from data.pose_library.library import entries

BANK = Path(__file__).parent / "bank"


def run(argv: Sequence[str] | None = None) -> None:
    """Builds and saves the bank; raises `UserError` where the index's library is missing."""
    parser = argparse.ArgumentParser(prog="python -m data.pose_library", description=__doc__)
    parser.add_argument("--out", type=Path, default=BANK, help="the bank's folder; a bank that is there is replaced")
    parser.add_argument("--backend", choices=BACKENDS, help="index; default: scann where it is installed, else exact")
    arguments = parser.parse_args(argv)
    poses = entries()
    embedder = word_start_embedder([action_text(caption) for entry in poses for caption in entry.captions])
    bank = PoseBank.build(poses, embedder, arguments.backend)
    bank.save(arguments.out)
    print(f"{arguments.out}: {bank.describe()}")


if __name__ == "__main__":
    guard(run)
