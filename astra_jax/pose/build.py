"""`python -m astra_jax.pose build` and `add`: a bank from keypoint files, and more entries for one that is there."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from astra_jax.errors import UserError
from astra_jax.pose.curation import Report, curate
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.index import BACKENDS
from astra_jax.pose.sheet import draw_entries, save_sheet
from astra_jax.pose.sources import read_ids, read_pictures

SHOWN = 24  # random entries on the sheet
SHEET = "sheet.png"
COCO = "COCO 2017", "CC BY 4.0 (annotations: COCO Consortium)"  # name and licence where nothing else is said


def add_build(commands: argparse._SubParsersAction) -> None:
    """Adds the command `build` to `commands`."""
    parser = commands.add_parser("build", help="make a bank")
    parser.set_defaults(command=_build)
    parser.add_argument("--out", type=Path, required=True, help="the bank's folder; a bank that is there is replaced")
    parser.add_argument("--backend", choices=BACKENDS, help="index; default: scann where it is installed, else exact")
    _add_sources(parser)


def add_add(commands: argparse._SubParsersAction) -> None:
    """Adds the command `add` to `commands`."""
    parser = commands.add_parser("add", help="add entries to a bank without building it again")
    parser.set_defaults(command=_add)
    parser.add_argument("--bank", type=Path, required=True, help="the bank's folder; it is replaced when all is done")
    _add_sources(parser)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keypoints",
        type=Path,
        required=True,
        help="person_keypoints_*.json or *.npz (pose/coco.py), *.jsonl (pose/jsonl_pictures.py), or a folder of "
        "OpenPose's files (pose/openpose_folder.py)",
    )
    parser.add_argument("--captions", type=Path, help="COCO's captions_*.json")
    parser.add_argument("--actions", type=Path, help="V-COCO's verbs of the people, one JSON line each (pose/vcoco.py)")
    parser.add_argument("--exclude", type=Path, help="ids of pictures to hold out: a JSON list, or one a line")
    parser.add_argument("--max_entries", type=int, help="keep a random subset of so many (always the same one)")
    parser.add_argument(
        "--embedder", default=BUILT_IN, help="tfidf (built in), or the folder of a text encoder: BERT's, CLIP's, T5's"
    )
    parser.add_argument("--source", help="name of the data; default: COCO 2017, or the name of the JSONL or folder")
    parser.add_argument("--licence", help="of the annotations; default: COCO's, or for JSONL and folders unknown")
    parser.add_argument("--sheet", type=Path, help=f"a PNG of {SHOWN} random entries; default: sheet.png in the bank")


def _build(arguments: argparse.Namespace) -> None:
    embedder = open_embedder(arguments.embedder)
    entries, report = _curated(arguments)
    bank = PoseBank.build(entries, embedder, arguments.backend)
    _save(bank, entries, report, arguments.out, arguments)


def _add(arguments: argparse.Namespace) -> None:
    bank = PoseBank.load(arguments.bank, embedder=open_embedder(arguments.embedder))
    entries, report = _curated(arguments, bank.entries)
    _save(bank.extended(entries), entries, report, arguments.bank, arguments)


def _curated(arguments: argparse.Namespace, known: Sequence[PoseEntry] = ()) -> tuple[list[PoseEntry], Report]:
    if arguments.max_entries is not None and arguments.max_entries < 1:
        raise UserError(f"--max_entries must be at least 1, not {arguments.max_entries}")
    if arguments.sheet and (arguments.sheet.suffix.lower() != ".png" or not arguments.sheet.parent.is_dir()):
        raise UserError(f"--sheet {arguments.sheet} must be a *.png in a folder that is there")
    held_out = read_ids(arguments.exclude) if arguments.exclude else frozenset()
    pictures = read_pictures(arguments.keypoints, arguments.captions, arguments.actions)
    bar = tqdm(pictures, desc="curating", unit="picture", disable=None)
    source, licence = _provenance(arguments)
    entries, report = curate(iter(bar), source, licence, held_out, known)
    print(report)
    if not entries:
        hint = "" if arguments.captions or not report.dropped["has no caption"] else ": give --captions"
        raise UserError(f"no picture of {arguments.keypoints} was kept{hint}")
    if arguments.max_entries is not None and arguments.max_entries < len(entries):
        chosen = np.random.default_rng(0).choice(len(entries), arguments.max_entries, replace=False)
        entries = [entries[i] for i in np.sort(chosen)]
        print(f"{len(entries):8d} of them taken (--max_entries)")
    return entries, report


def _provenance(arguments: argparse.Namespace) -> tuple[str, str]:
    """Name of the data and licence of its annotations."""
    path = arguments.keypoints
    others = path.is_dir() or path.suffix == ".jsonl"
    source, licence = (path.resolve().stem, "unknown") if others else COCO
    source = source if arguments.source is None else arguments.source
    if not any(character.isalnum() for character in source):
        raise UserError(f"--source {source!r}: name the data, for entries are called by it")
    return source, licence if arguments.licence is None else arguments.licence


def _save(
    bank: PoseBank, entries: Sequence[PoseEntry], report: Report, folder: Path, arguments: argparse.Namespace
) -> None:
    files = {name: str(getattr(arguments, name)) for name in ("keypoints", "captions", "actions", "exclude")}
    row = dataclasses.asdict(report) | {"dropped": dict(report.dropped), "taken": len(entries)}
    told = {name: Path(path).name for name, path in files.items() if getattr(arguments, name)}
    dataclasses.replace(bank, curation=(*bank.curation, told | row)).save(folder)
    print(f"{folder}: {bank.describe()}")
    sheet = arguments.sheet or folder / SHEET
    chosen = np.sort(np.random.default_rng(0).permutation(len(entries))[:SHOWN])
    save_sheet(draw_entries([entries[i] for i in chosen]), sheet)
    print(f"{sheet}: {len(chosen)} of the entries")
