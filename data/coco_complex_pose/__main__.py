"""Writes the frozen list of COCO-ComplexPose.

python -m data.coco_complex_pose --keypoints person_keypoints_val2017.json --captions captions_val2017.json

images.txt has the pictures' ids, the most complex first, and captions.txt in the same order the ids of the captions
that are the prompts. Joints and words themselves are read from the annotation files of whoever runs the benchmark.
`python -m astra_jax.pose build --exclude images.txt` keeps the pictures out of a bank.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from astra_jax.cli import guard
from astra_jax.errors import UserError
from astra_jax.pose.coco import read_captions, read_keypoints
from astra_jax.whole_files import write_whole
from data.coco_complex_pose.selection import CASES, select

FOLDER = Path(__file__).parent


def run(argv: Sequence[str] | None = None) -> None:
    """Writes the two files; raises `UserError` for annotations that are none and a folder that cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m data.coco_complex_pose", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keypoints", type=Path, required=True, help="COCO's person_keypoints_val2017.json, or an npz")
    parser.add_argument("--captions", type=Path, required=True, help="COCO's captions_val2017.json")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder; files that are there are replaced")
    arguments = parser.parse_args(argv)
    choices = select(read_keypoints(arguments.keypoints), read_captions(arguments.captions))
    if len(choices) < CASES:
        raise UserError(f"{arguments.keypoints} has {len(choices)} pictures that fit, not {CASES}: give all of val2017")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, numbers in (("images", [c.image for c in choices]), ("captions", [c.caption for c in choices])):
            write_whole(arguments.out / f"{name}.txt", "".join(f"{number}\n" for number in numbers).encode())
    except OSError as error:
        raise UserError(f"cannot write to {arguments.out}: {error.strerror or error}") from error
    print(f"{arguments.out}: {len(choices)} pictures, complexity {choices[0].complexity} to {choices[-1].complexity}")


if __name__ == "__main__":
    guard(run)
