"""`python -m astra_jax.pose convert`: keypoint files from one form to another."""

from __future__ import annotations

import argparse
from pathlib import Path

from astra_jax.errors import UserError
from astra_jax.pose.pose_files import FORMS, read_people, save_people


def add_convert(commands: argparse._SubParsersAction) -> None:
    """Adds the command to `commands`."""
    parser = commands.add_parser("convert", help="write a keypoint file in another form")
    parser.set_defaults(command=_convert)
    parser.add_argument("source", type=Path, help="OpenPose, COCO or COCO-WholeBody JSON, or npz (pose/pose_files.py)")
    parser.add_argument("--out", type=Path, required=True, help="*.json, or *.npz; a file that is there is replaced")
    parser.add_argument("--form", choices=FORMS, required=True, help="what to write")
    parser.add_argument("--height", type=int, help="of the picture, in pixels, where the file does not tell")
    parser.add_argument("--width", type=int, help="of the picture, in pixels, where the file does not tell")


def _convert(arguments: argparse.Namespace) -> None:
    people, size = read_people(arguments.source)
    if size is None:
        if not (arguments.height and arguments.width and min(arguments.height, arguments.width) > 0):
            raise UserError(f"{arguments.source} does not tell its picture's size: give --height and --width")
        size = (arguments.height, arguments.width)
    save_people(arguments.out, people, size, arguments.form)
    print(f"{arguments.out}: {len(people)} people of {people.shape[1]} points, {size[1]} x {size[0]} pixels")
