"""The pose bank as a folder: JSON and arrays only, checksummed, written whole or not at all.

Layout:
    bank.json       format, version, backend, embedder, counts and the SHA-256 of every other file
    entries.jsonl   one entry a line: id, captions, action, source, licence
    poses.npz       joints of all people, people per entry, sizes, qualities, complexities
    details.npz     feet, faces and hands of the entries that have them; only where there are some
    vectors.npz     one vector per caption
    embedder/       what the embedder saves
    index/<people>/ what the index of each number of people saves
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import vector_width
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.embedders import restore_embedder
from astra_jax.pose.embedding import TextEmbedder
from astra_jax.pose.files import read_arrays, read_json
from astra_jax.pose.index import NeighbourIndex, check_backend, load_index, scann_available
from astra_jax.pose.skeleton import BODY_POINTS, WHOLE_BODY_POINTS

FORMAT = "astra_jax pose bank"
VERSION = 2
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_BANK_BYTES = 16 * 2**30


def save(bank: PoseBank, folder: Path) -> None:
    """Writes `bank` as `folder`, replacing a bank that is there.

    Everything is written into a temporary sibling first, so that a run that is stopped leaves the old bank whole.
    Raises `UserError` if `folder` is something else than a bank or cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and not is_bank(folder) and (folder.is_file() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no pose bank: choose another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error}") from error
    try:
        _write(bank, temporary)
        temporary.chmod(0o755)  # mkdtemp's folders are private
        _replace(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(folder: Path, backend: str | None = None, embedder: TextEmbedder | None = None) -> PoseBank:
    """Reads a bank and verifies its version, checksums and shapes.

    Args:
      folder: what `save` wrote; it may have been moved.
      backend: "scann" or "exact"; None takes the one it was saved with, or "exact" with a warning where that one is
        not installed. `bank.backend` tells which.
      embedder: for a bank that does not hold its embedder whole (a text encoder); it must be the bank's.

    Raises `UserError` for a folder that is missing, no bank, damaged, empty or from a newer version.
    """
    manifest, entries = _verified(folder)
    (vectors,) = read_arrays(folder / "vectors.npz", ("vectors",), MAX_BANK_BYTES)
    embedder = restore_embedder(manifest["embedder"], folder / "embedder", embedder)
    expected = (sum(len(entry.captions) for entry in entries), vector_width(embedder))
    if vectors.shape != expected or vectors.dtype != np.float32:
        raise UserError(f"the vectors of the pose bank {folder} are not of its embedder: build it again")
    saved = manifest["backend"]
    if backend is None and saved == "scann" and not scann_available():
        logging.warning("ScaNN is not installed here: %s is searched exactly", folder)
        backend = "exact"
    backend = check_backend(backend or saved)

    def load(people: int, inside: np.ndarray) -> NeighbourIndex:
        return load_index(folder / "index" / str(people), inside, backend)

    bank = PoseBank.assemble(entries, embedder, vectors, backend, load if backend == saved else None)
    return dataclasses.replace(bank, added=manifest["added"])


def load_entries(folder: Path) -> tuple[PoseEntry, ...]:
    """The entries of a bank alone, in their order, to read and not to search; raises `UserError` as `load` does."""
    return _verified(folder)[1]


def is_bank(folder: Path) -> bool:
    """Whether `folder` claims to be a bank (it need not be whole)."""
    try:
        with (folder / "bank.json").open("rb") as file:
            return FORMAT.encode() in file.read(MAX_MANIFEST_BYTES)
    except OSError:
        return False


def _write(bank: PoseBank, folder: Path) -> None:
    with (folder / "entries.jsonl").open("w", encoding="utf-8") as file:
        for e in bank.entries:
            line = {"id": e.id, "captions": e.captions, "action": e.action, "source": e.source, "licence": e.licence}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    np.savez_compressed(
        folder / "poses.npz",
        joints=np.concatenate([entry.people[:, :BODY_POINTS] for entry in bank.entries]),
        people=np.array([len(entry.people) for entry in bank.entries], np.int32),
        size=np.array([(entry.height, entry.width) for entry in bank.entries], np.int32),
        quality=np.array([entry.quality for entry in bank.entries], np.float32),
        complexity=np.array([entry.complexity for entry in bank.entries], np.float32),
    )
    whole = [i for i, entry in enumerate(bank.entries) if entry.people.shape[1] == WHOLE_BODY_POINTS]
    if whole:
        points = np.concatenate([bank.entries[i].people[:, BODY_POINTS:] for i in whole])
        np.savez_compressed(folder / "details.npz", entry=np.array(whole, np.int32), points=points)
    np.savez(folder / "vectors.npz", vectors=bank.vectors())
    (folder / "embedder").mkdir()
    bank.embedder.save(folder / "embedder")
    for people, partition in bank.partitions.items():
        (folder / "index" / str(people)).mkdir(parents=True)
        partition.index.save(folder / "index" / str(people))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "backend": bank.backend,
        "embedder": bank.embedder.kind,
        "entries": len(bank.entries),
        "added": bank.added,
        "people": {str(n): len(np.unique(p.entry)) for n, p in bank.partitions.items()},
        "files": {path.relative_to(folder).as_posix(): _sha256(path) for path in files},
    }
    (folder / "bank.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _replace(folder: Path, temporary: Path) -> None:
    if not folder.exists():
        os.rename(temporary, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent)) / "bank"
    os.rename(folder, old)
    try:
        os.rename(temporary, folder)
    except OSError:
        os.rename(old, folder)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "bank.json"
    if not path.is_file():
        raise UserError(f"{folder} is no pose bank (no bank.json): build one with python -m astra_jax.pose build")
    manifest = read_json(path, MAX_MANIFEST_BYTES)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{folder} is no pose bank of astra_jax")
    version = manifest.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise UserError(f"the pose bank {folder} has version {version}, this program reads {VERSION}: update astra_jax")
    if version < VERSION:
        raise UserError(f"the pose bank {folder} has version {version}, this program reads {VERSION}: build it again")
    fields = {"files": dict, "entries": int, "added": int, "embedder": str, "backend": str}
    if any(not isinstance(manifest.get(name), kind) for name, kind in fields.items()):
        raise UserError(f"{path} is damaged: build the bank again")
    return manifest


def _verify(folder: Path, files: dict[str, Any]) -> None:
    """Every listed file is inside the folder and unchanged, and no other file is there (ScaNN reads what it finds)."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {"bank.json"}
    if there != set(files):
        odd = sorted(there ^ set(files))[0]
        raise UserError(f"the pose bank {folder} is damaged: {odd} is {'extra' if odd in there else 'missing'}")
    root, total = folder.resolve(), 0
    for name, checksum in files.items():
        path = folder / name
        if path.is_symlink() or not path.resolve().is_relative_to(root):
            raise UserError(f"the pose bank {folder} is refused: {name} lies outside of it")
        total += path.stat().st_size
        if total > MAX_BANK_BYTES:
            raise UserError(f"the pose bank {folder} is larger than {MAX_BANK_BYTES >> 30} GiB")
        if _sha256(path) != checksum:
            raise UserError(f"the pose bank {folder} is damaged: {name} does not match its checksum")


def _verified(folder: Path) -> tuple[dict[str, Any], tuple[PoseEntry, ...]]:
    """Manifest and entries of a bank whose files are what the manifest says."""
    manifest = _manifest(folder)
    _verify(folder, manifest["files"])
    try:
        entries = _entries(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the pose bank {folder} is damaged ({error}): build it again") from error
    if not entries or len(entries) != manifest["entries"]:
        raise UserError(f"the pose bank {folder} is damaged (its entries are incomplete): build it again")
    return manifest, entries


def _entries(folder: Path) -> tuple[PoseEntry, ...]:
    names = ("joints", "people", "size", "quality", "complexity")
    joints, people, size, *scores = read_arrays(folder / "poses.npz", names, MAX_BANK_BYTES)
    lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    shapes = [array.shape for array in (people, *scores, size)]
    if shapes != [(len(lines),)] * 3 + [(len(lines), 2)] or people.min(initial=1) < 1:
        raise ValueError(f"{len(lines)} entries and arrays of shapes {shapes}")
    if joints.shape != (people.sum(), 17, 3):
        raise ValueError(f"{people.sum()} people and joints of shape {joints.shape}")
    entries, groups = [], np.split(joints, np.cumsum(people)[:-1])
    for i, points in _details(folder, people).items():
        groups[i] = np.concatenate([groups[i], points], axis=1)
    rows = zip(lines, groups, size.tolist(), *(score.tolist() for score in scores), strict=True)
    for line, group, (height, width), quality, complexity in rows:
        text = json.loads(line)
        captions = text.pop("captions")
        if not isinstance(captions, list) or not all(isinstance(t, str) for t in [*captions, *text.values()]):
            raise ValueError("an entry's texts are no texts")
        numbers = {"height": height, "width": width, "quality": quality, "complexity": complexity}
        entries.append(PoseEntry(people=group, captions=tuple(captions), **numbers, **text))
    return tuple(entries)


def _details(folder: Path, people: np.ndarray) -> dict[int, np.ndarray]:
    """Feet, faces and hands `[P, 116, 3]` of the entries that have them, by their place in the bank."""
    if not (folder / "details.npz").exists():
        return {}
    entry, points = read_arrays(folder / "details.npz", ("entry", "points"), MAX_BANK_BYTES)
    if entry.ndim != 1 or entry.dtype != np.int32 or len(entry) == 0 or (np.diff(entry) < 1).any():
        raise ValueError("the entries with hands and faces are no rising numbers")
    if entry[0] < 0 or entry[-1] >= len(people):
        raise ValueError("hands and faces of an entry that is not there")
    shape = (people[entry].sum(), WHOLE_BODY_POINTS - BODY_POINTS, 3)
    if points.shape != shape:
        raise ValueError(f"hands and faces of shape {points.shape}, not {shape}")
    return dict(zip(entry.tolist(), np.split(points, np.cumsum(people[entry])[:-1]), strict=True))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
