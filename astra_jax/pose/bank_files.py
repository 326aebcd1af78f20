"""The pose bank as a folder: JSON and arrays only, checksummed, written whole or not at all.

bank.json tells format, version, backend, embedder, counts, curation, the folder of the data and the SHA-256 of every
file in it:
    entries.jsonl   one entry a line: id, captions, action, source, licence
    poses.npz       joints of all people; feet, faces and hands of those who have them; people per entry and which have
                    those; sizes, qualities, complexities
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
from jaxtyping import Bool, Float, Int

from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import vector_width
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.embedders import restore_embedder
from astra_jax.pose.embedding import TextEmbedder
from astra_jax.pose.files import read_arrays, read_json
from astra_jax.pose.index import NeighbourIndex, check_backend, load_index, scann_available
from astra_jax.pose.skeleton import BODY_POINTS, MAX_SIDE, WHOLE_BODY_POINTS, check_people, places

FORMAT = "astra_jax pose bank"
VERSION = 2
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_BANK_BYTES = 16 * 2**30
_DATA, _DRAFT = "data-", "bank.json.tmp"
_TEXTS = {"id", "action", "source", "licence"}  # of an entry, beside its captions
_NO_DETAILS = np.zeros((0, WHOLE_BODY_POINTS - BODY_POINTS, 3), np.float32)


def save(bank: PoseBank, folder: Path) -> None:
    """Writes `bank` into `folder`, in place of a bank that is there.

    The new data go into a folder of their own, and replacing bank.json is what makes them the bank: whenever a run is
    stopped, either the old bank is whole or the new one. What a killed run leaves is removed by the next.
    Raises `UserError` if `folder` is something else than a bank or cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and not is_bank(folder) and not (folder.is_dir() and _is_ours(folder)):
        raise UserError(f"{folder} exists and is no pose bank: choose another folder")
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        data = Path(tempfile.mkdtemp(prefix=_DATA, dir=folder))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error}") from error
    draft = folder / _DRAFT
    try:
        data.chmod(0o755)  # mkdtemp's folders are private
        draft.write_text(json.dumps(_write(bank, data), indent=1), encoding="utf-8")
        os.replace(draft, folder / "bank.json")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}; what was there is as it was") from error
    finally:
        done = _pointer(folder) == data.name
        for idle in folder.glob(f"{_DATA}*") if done else [data]:
            if not (done and idle == data):
                shutil.rmtree(idle, ignore_errors=True)
        draft.unlink(missing_ok=True)
        if made and not done:
            folder.rmdir()


def load(folder: Path, backend: str | None = None, embedder: TextEmbedder | None = None) -> PoseBank:
    """Reads a bank and verifies its version, checksums and shapes.

    Args:
      folder: what `save` wrote; it may have been moved.
      backend: "scann" or "exact"; None takes the one it was saved with, or "exact" with a warning where that one is
        not installed. `bank.backend` tells which.
      embedder: for a bank that does not hold its embedder whole (a text encoder); it must be the bank's.

    Raises `UserError` for a folder that is missing, no bank, damaged, empty or from a newer version.
    """
    manifest, data, entries = _verified(folder)
    (vectors,) = read_arrays(data / "vectors.npz", ("vectors",), MAX_BANK_BYTES)
    embedder = restore_embedder(manifest["embedder"], data / "embedder", folder, embedder)
    expected = (sum(len(entry.captions) for entry in entries), vector_width(embedder))
    if vectors.shape != expected or vectors.dtype != np.float32:
        raise UserError(f"the vectors of the pose bank {folder} are not of its embedder: build it again")
    saved = manifest["backend"]
    if backend is None and saved == "scann" and not scann_available():
        logging.warning("ScaNN is not installed here: %s is searched exactly", folder)
        backend = "exact"
    backend = check_backend(backend or saved)

    def load(people: int, inside: np.ndarray) -> NeighbourIndex:
        return load_index(data / "index" / str(people), inside, backend)

    bank = PoseBank.assemble(entries, embedder, vectors, backend, load if backend == saved else None)
    return dataclasses.replace(bank, added=manifest["added"], curation=tuple(manifest["curation"]))


def load_entries(folder: Path) -> tuple[PoseEntry, ...]:
    """The entries of a bank alone, in their order, to read and not to search; raises `UserError` as `load` does."""
    return _verified(folder)[2]


def is_bank(folder: Path) -> bool:
    """Whether `folder` claims to be a bank (it need not be whole)."""
    try:
        with (folder / "bank.json").open("rb") as file:
            return FORMAT.encode() in file.read(MAX_MANIFEST_BYTES)
    except OSError:
        return False


def _is_ours(folder: Path) -> bool:
    """Whether nothing but what a killed `save` leaves is in a folder."""
    return all(path.name == _DRAFT or path.name.startswith(_DATA) for path in folder.iterdir())


def _pointer(folder: Path) -> Any:
    """The name of the folder of data that bank.json has now; None where there is none."""
    try:
        manifest = json.loads((folder / "bank.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return manifest.get("data") if isinstance(manifest, dict) else None


def _write(bank: PoseBank, folder: Path) -> dict[str, Any]:
    """Writes all but the manifest, which it returns."""
    detailed = [entry for entry in bank.entries if entry.people.shape[1] == WHOLE_BODY_POINTS]
    with (folder / "entries.jsonl").open("w", encoding="utf-8") as file:
        for e in bank.entries:
            line = {"id": e.id, "captions": e.captions, "action": e.action, "source": e.source, "licence": e.licence}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    np.savez_compressed(
        folder / "poses.npz",
        joints=np.concatenate([entry.people[:, :BODY_POINTS] for entry in bank.entries]),
        details=np.concatenate([_NO_DETAILS, *(entry.people[:, BODY_POINTS:] for entry in detailed)]),
        whole=np.array([entry.people.shape[1] == WHOLE_BODY_POINTS for entry in bank.entries]),
        people=np.array([len(entry.people) for entry in bank.entries], np.int32),
        size=np.array([(entry.height, entry.width) for entry in bank.entries], np.int32),
        quality=np.array([entry.quality for entry in bank.entries], np.float32),
        complexity=np.array([entry.complexity for entry in bank.entries], np.float32),
    )
    np.savez(folder / "vectors.npz", vectors=bank.vectors())
    (folder / "embedder").mkdir()
    bank.embedder.save(folder / "embedder")
    for people, partition in bank.partitions.items():
        (folder / "index" / str(people)).mkdir(parents=True)
        partition.index.save(folder / "index" / str(people))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": folder.name,
        "backend": bank.backend,
        "embedder": bank.embedder.kind,
        "entries": len(bank.entries),
        "added": bank.added,
        "curation": list(bank.curation),
        "people": {str(n): len(np.unique(p.entry)) for n, p in bank.partitions.items()},
        "files": {path.relative_to(folder).as_posix(): _sha256(path) for path in files},
    }


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
    fields: dict[str, type] = dict.fromkeys(("data", "embedder", "backend"), str)
    fields |= {"files": dict, "entries": int, "added": int, "curation": list}
    if any(not isinstance(manifest.get(name), kind) for name, kind in fields.items()):
        raise UserError(f"{path} is damaged: build the bank again")
    name = manifest["data"]
    if Path(name).name != name or not name.startswith(_DATA):
        raise UserError(f"the pose bank {folder} is refused: {name[:40]!r} is no name of its data")
    return manifest


def _verify(folder: Path, data: Path, files: dict[str, Any]) -> None:
    """Every listed file is inside the folder and unchanged, and no other file is there (ScaNN reads what it finds)."""
    there = {path.relative_to(data).as_posix() for path in data.rglob("*") if not path.is_dir()}
    if there != set(files):
        odd = sorted(there ^ set(files))[0]
        raise UserError(f"the pose bank {folder} is damaged: {odd} is {'extra' if odd in there else 'missing'}")
    root, total = folder.resolve() / data.name, 0
    for name, checksum in files.items():
        path = data / name
        if path.is_symlink() or not path.resolve().is_relative_to(root):
            raise UserError(f"the pose bank {folder} is refused: {name} lies outside of it")
        total += path.stat().st_size
        if total > MAX_BANK_BYTES:
            raise UserError(f"the pose bank {folder} is larger than {MAX_BANK_BYTES >> 30} GiB")
        if _sha256(path) != checksum:
            raise UserError(f"the pose bank {folder} is damaged: {name} does not match its checksum")


def _verified(folder: Path) -> tuple[dict[str, Any], Path, tuple[PoseEntry, ...]]:
    """Manifest, folder of the data and entries of a bank whose files are what the manifest says."""
    manifest = _manifest(folder)
    data = folder / manifest["data"]
    _verify(folder, data, manifest["files"])
    try:
        entries = _entries(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"the pose bank {folder} is damaged ({error}): build it again") from error
    if not entries or len(entries) != manifest["entries"]:
        raise UserError(f"the pose bank {folder} is damaged (its entries are incomplete): build it again")
    return manifest, data, entries


def _entries(folder: Path) -> tuple[PoseEntry, ...]:
    names = ("joints", "details", "people", "whole", "size", "quality", "complexity")
    joints, details, people, whole, size, *scores = read_arrays(folder / "poses.npz", names, MAX_BANK_BYTES)
    with (folder / "entries.jsonl").open(encoding="utf-8") as file:
        lines = list(file)  # not splitlines(), which would also split at U+2028 and others that JSON leaves as they are
    shapes = [array.shape for array in (people, whole, *scores, size)]
    if shapes != [(len(lines),)] * 4 + [(len(lines), 2)] or people.min(initial=1) < 1 or whole.dtype != bool:
        raise ValueError(f"{len(lines)} entries and arrays of shapes {shapes}")
    if joints.shape != (people.sum(), 17, 3):
        raise ValueError(f"{people.sum()} people and joints of shape {joints.shape}")
    if details.shape != (people[whole].sum(), *_NO_DETAILS.shape[1:]):
        raise ValueError(f"{people[whole].sum()} whole bodies and details of shape {details.shape}")
    entries, groups = [], np.split(joints, np.cumsum(people)[:-1])
    rest = np.split(details, np.cumsum(people[whole])[:-1])
    for i, group in zip(np.flatnonzero(whole), rest, strict=False):
        groups[i] = np.concatenate([groups[i], group], axis=1)
    # Checking entries one by one takes a tenth of a millisecond each; only what is not sound at a glance goes there.
    sound = _sound(joints, people, size, *scores) & ~whole
    rows = zip(lines, groups, sound.tolist(), size.tolist(), *(score.tolist() for score in scores), strict=True)
    for line, group, checked, (height, width), quality, complexity in rows:
        text = json.loads(line)
        captions = text.pop("captions")
        if not isinstance(captions, list) or not all(isinstance(t, str) for t in [*captions, *text.values()]):
            raise ValueError("an entry's texts are no texts")
        if text.keys() != _TEXTS:
            raise ValueError(f"an entry has the texts {', '.join(text)[:80]}")
        numbers = {"height": height, "width": width, "quality": quality, "complexity": complexity}
        make = PoseEntry.with_checked_numbers if checked else PoseEntry
        entries.append(make(people=group, captions=tuple(captions), **numbers, **text))
    return tuple(entries)


def _sound(
    joints: Float[np.ndarray, "J 17 3"],
    people: Int[np.ndarray, "N"],
    size: Int[np.ndarray, "N 2"],
    quality: Float[np.ndarray, "N"],
    complexity: Float[np.ndarray, "N"],
) -> Bool[np.ndarray, "N"]:
    """Which entries have numbers that `PoseEntry` takes as they are; none if one person of the bank is wrong."""
    try:
        check_people(joints, "people")
    except UserError:
        return np.zeros(len(people), bool)
    if joints.dtype != np.float32:
        return np.zeros(len(people), bool)
    place, owner = places(joints), np.repeat(np.arange(len(people)), people)
    ordered = np.ones(len(people), bool)
    ordered[owner[1:][(np.diff(place) < 0) & (np.diff(owner) == 0)]] = False
    sized = ((size > 0) & (size <= MAX_SIDE)).all(axis=1)
    return ordered & sized & (quality >= 0) & (quality <= 1) & (complexity >= 0) & np.isfinite(complexity)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
