"""The pose bank: skeletons of real or drawn people with captions, and the indexes that find them by action.

    bank = PoseBank.build(entries)      # embeds the captions, one index per number of people
    bank.save(folder); bank = PoseBank.load(folder)
    bank = bank.extended(more_entries)  # without building it again
    bank.partition(1).search(caption_vectors(bank.embedder, ["a man waving"]), k=5)

RAG-Pose's idea of a curated data base is the paper's (ASTRA, arXiv 2604.13938); its form here is our decision.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.embedding import TextEmbedder, TfidfEmbedder
from astra_jax.pose.index import NeighbourIndex, build_index, default_backend
from astra_jax.pose.skeleton import BODY_POINTS, MAX_SIDE, WHOLE_BODY_POINTS, check_people, left_to_right

MAX_CAPTIONS = 64
MAX_TEXT = 2_000
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True, eq=False)
class PoseEntry:
    """One scene of the bank.

    Attributes:
      id: unique in its bank.
      people: 17 joints or 133 points of a whole body, in pixels of a picture of `height` x `width`; put in order from
        left to right by neck.
      height, width: size of the picture the joints belong to, in pixels.
      captions: at least one; each gets a vector (`caption_vectors`).
      action: a short name of what is done ("hug"); may be empty.
      quality: 0 (poor) to 1 (every joint seen); a small bonus in the ranking.
      complexity: 0 (somebody stands straight) upwards: how far the poses are from standing and how much people overlap.
      source, licence: provenance.

    Raises `UserError` for people that `check_people` refuses, sizes out of range, no captions or too long ones,
    an empty id, texts with a NUL or a lone surrogate, which no file could hold, a quality outside 0..1 and a complexity
    that is negative or not finite.
    """

    id: str
    people: Float[np.ndarray, "P J 3"]
    height: int
    width: int
    captions: tuple[str, ...]
    action: str = ""
    quality: float = 1.0
    complexity: float = 0.0
    source: str = ""
    licence: str = ""

    def __post_init__(self):
        what = self._checked_texts()
        people = check_people(self.people, what, (BODY_POINTS, WHOLE_BODY_POINTS))
        object.__setattr__(self, "people", people[left_to_right(people)])
        if not (0 < self.height <= MAX_SIDE and 0 < self.width <= MAX_SIDE):
            raise UserError(f"{what}: its size {self.height} x {self.width} must be within 1 to {MAX_SIDE} pixels")
        if not 0 <= self.quality <= 1:
            raise UserError(f"{what}: its quality {self.quality} must be between 0 and 1")
        if not (self.complexity >= 0 and math.isfinite(self.complexity)):
            raise UserError(f"{what}: its complexity {self.complexity} must be a finite number of at least 0")

    def _checked_texts(self) -> str:
        what = f"pose entry {self.id[:80]!r}"
        if not self.id or len(self.id) > MAX_TEXT:
            raise UserError(f"{what}: its id must have 1 to {MAX_TEXT} characters")
        object.__setattr__(self, "captions", tuple(self.captions))
        if not 0 < len(self.captions) <= MAX_CAPTIONS or not all(0 < len(c) <= MAX_TEXT for c in self.captions):
            raise UserError(f"{what}: it needs 1 to {MAX_CAPTIONS} captions of 1 to {MAX_TEXT} characters")
        for text in (self.id, *self.captions, self.action, self.source, self.licence):
            if "\0" in text or not text.isascii() and _SURROGATE.search(text):
                raise UserError(f"{what}: it has a text with a NUL or a lone surrogate, {text[:80]!r}: put it right")
        return what

    @classmethod
    def with_checked_numbers(cls, **values: Any) -> PoseEntry:
        """`PoseEntry` for many at once: the caller has checked the numbers and the order of the people, in bulk.

        Values are named and none but action, source and licence may be missing. Raises as `PoseEntry` for the texts.
        """
        entry = object.__new__(cls)
        vars(entry).update(values)
        entry._checked_texts()
        return entry


@dataclasses.dataclass(frozen=True, eq=False)
class Partition:
    """All entries with the same number of people. One vector per (entry, caption)."""

    index: NeighbourIndex
    vectors: Float[np.ndarray, "R D"]  # unit rows (zero rows for captions of unknown words only)
    entry: Int[np.ndarray, "R"]  # position in the bank of each row's entry
    caption: Int[np.ndarray, "R"]  # which of its captions
    repeats: int  # the most rows any entry has

    def search(
        self, queries: Float[np.ndarray, "B D"], k: int, held_out: Int[np.ndarray, "B"] | None = None
    ) -> list[list[tuple[float, int, int]]]:
        """The best `k` entries of each query as (cosine, entry, caption), each entry once, by its best caption.

        `held_out` names a row for each query that counts for nothing: to measure with captions of the bank.
        """
        # The best k * repeats rows hold at least k different entries, and the first row of each is its best.
        spare = 0 if held_out is None else 1
        scores, rows = self.index.search(queries, min(k * self.repeats + spare, len(self.entry)))
        counted = rows >= 0
        if held_out is not None:
            counted &= rows != held_out[:, None]
        query, place = np.nonzero(counted)
        row = rows[query, place]
        _, first = np.unique(query * (self.entry.max() + 1) + self.entry[row], return_index=True)
        first.sort()
        query, place, row = query[first], place[first], row[first]
        columns = scores[query, place].tolist(), self.entry[row].tolist(), self.caption[row].tolist()
        found = list(zip(*columns, strict=True))
        ends = np.searchsorted(query, np.arange(len(rows) + 1))
        return [found[start : min(end, start + k)] for start, end in zip(ends, ends[1:], strict=False)]

    def mean_cosines(
        self, query: Float[np.ndarray, "D"], entries: Int[np.ndarray, "N"], held_out: int | None = None
    ) -> Float[np.ndarray, "N"]:
        """The mean cosine of a query and all captions of each of `entries`; `held_out` as in `search`."""
        first, end = (np.searchsorted(self.entry, entries, side) for side in ("left", "right"))
        rows = np.concatenate([np.arange(*span) for span in zip(first, end, strict=True)] or [np.zeros(0, np.int64)])
        of = np.repeat(np.arange(len(entries)), end - first)
        kept = rows != held_out
        sums = np.bincount(of[kept], self.vectors[rows[kept]] @ query, len(entries))
        return sums / np.maximum(np.bincount(of[kept], minlength=len(entries)), 1)


@dataclasses.dataclass(frozen=True, eq=False)
class PoseBank:
    """Entries, the embedder of their captions and one index per number of people. Make one with `build` or `load`."""

    entries: tuple[PoseEntry, ...]
    embedder: TextEmbedder
    partitions: dict[int, Partition]
    backend: str
    added: int = 0  # entries that came by `extended`
    curation: tuple[Mapping[str, Any], ...] = ()  # what was kept and dropped, by rule, of each source; as JSON has it

    @property
    def max_people(self) -> int:
        """The largest number of people any entry shows."""
        return max(self.partitions)

    def describe(self) -> str:
        """One line for the user: sizes, the embedder and the index that is used."""
        counts = ", ".join(f"{n}: {len(np.unique(p.entry))}" for n, p in sorted(self.partitions.items()))
        added = f", {self.added} of them added later" if self.added else ""
        parts = f"{len(self.entries)} poses{added} (people: {counts})", f"embedder {self.embedder.kind}"
        return ", ".join([*parts, f"index {self.backend}"])

    def fingerprint(self) -> str:
        """Tells banks apart that answer differently: a hash of the embedder's kind and all entries."""
        digest = hashlib.sha256(self.embedder.kind.encode())
        for entry in self.entries:
            digest.update(repr((entry.id, entry.width, entry.height, entry.captions)).encode())
            digest.update(entry.people.tobytes())
        return digest.hexdigest()

    @classmethod
    def build(
        cls, entries: Sequence[PoseEntry], embedder: TextEmbedder | None = None, backend: str | None = None
    ) -> PoseBank:
        """A bank of `entries`.

        Args:
          entries: at least one, with unique ids.
          embedder: of the captions (`caption_vectors`); None fits a `TfidfEmbedder` on them.
          backend: "scann" or "exact"; None takes `default_backend()`. `bank.backend` tells which.

        Raises `UserError` without entries, for a repeated id and for a backend that is not there.
        """
        entries = tuple(entries)
        if not entries:
            raise UserError("a pose bank needs at least one entry: relax the curation or give more data")
        _check_ids(entries)
        captions = [caption for entry in entries for caption in entry.captions]
        embedder = embedder or TfidfEmbedder.fit_captions(captions)
        vectors = caption_vectors(embedder, captions)
        return cls.assemble(entries, embedder, vectors, backend or default_backend())

    def extended(self, entries: Sequence[PoseEntry]) -> PoseBank:
        """A bank of this one's entries and more; this one stays as it is.

        Only the new captions are embedded, by the same embedder, and the indexes take the new rows in
        (`NeighbourIndex.extended`): nothing is made from nothing. The built-in embedder was fitted on the captions the
        bank was built from; words that only the new ones have are unknown to it. Raises `UserError` for an id that is
        there already or comes twice.
        """
        old, entries = self.entries, tuple(entries)
        _check_ids(old + entries)
        new = caption_vectors(self.embedder, [caption for entry in entries for caption in entry.captions])
        grown = PoseBank.assemble(
            old + entries, self.embedder, np.concatenate([self.vectors(), new]), self.backend, self._grown
        )
        return dataclasses.replace(grown, added=self.added + len(entries), curation=self.curation)

    def _grown(self, people: int, vectors: Float[np.ndarray, "R D"]) -> NeighbourIndex:
        index = self.partitions[people].index if people in self.partitions else None
        return build_index(vectors, self.backend) if index is None else index.extended(vectors)

    @classmethod
    def assemble(
        cls,
        entries: tuple[PoseEntry, ...],
        embedder: TextEmbedder,
        vectors: Float[np.ndarray, "R D"],
        backend: str,
        make_index: Callable[[int, Float[np.ndarray, "R D"]], NeighbourIndex] | None = None,
    ) -> PoseBank:
        """A bank from vectors that are known already, one per caption in the order of the entries.

        `make_index` gives the index of each number of people and its vectors; None builds them.
        """
        counts = np.array([len(entry.captions) for entry in entries])
        entry_of = np.repeat(np.arange(len(entries)), counts)
        caption_of = np.arange(len(entry_of)) - np.repeat(np.cumsum(counts) - counts, counts)
        people_of = np.array([len(entry.people) for entry in entries])[entry_of]
        partitions = {}
        for people in np.unique(people_of).tolist():
            rows = np.flatnonzero(people_of == people)
            inside = vectors[rows]
            index = make_index(people, inside) if make_index else build_index(inside, backend)
            repeats = int(counts[np.unique(entry_of[rows])].max())
            partitions[people] = Partition(index, inside, entry_of[rows], caption_of[rows], repeats)
        return cls(entries, embedder, partitions, backend)

    def vectors(self) -> Float[np.ndarray, "R D"]:
        """All vectors in the order of `assemble`: entry by entry, caption by caption."""
        counts = np.array([len(entry.captions) for entry in self.entries])
        first = np.cumsum(counts) - counts
        parts = list(self.partitions.values())
        rows = np.empty((counts.sum(), parts[0].vectors.shape[1]), np.float32)
        for part in parts:
            rows[first[part.entry] + part.caption] = part.vectors
        return rows

    def partition(self, people: int) -> Partition:
        """The entries with `people` people; raises `UserError` where there is none, naming what there is."""
        if people > self.max_people:
            raise UserError(f"the pose bank has no scene with {people} people: {self.max_people} is its maximum")
        if people not in self.partitions:
            there = ", ".join(str(n) for n in sorted(self.partitions))
            raise UserError(f"the pose bank has no scene with {people} people: it has scenes with {there}")
        return self.partitions[people]

    def save(self, folder: str | Path) -> None:
        """Writes the bank as a folder, whole or not at all; see `bank_files.save`."""
        from astra_jax.pose import bank_files

        bank_files.save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, backend: str | None = None, embedder: TextEmbedder | None = None) -> PoseBank:
        """Reads and verifies a folder written by `save`; see `bank_files.load`."""
        from astra_jax.pose import bank_files

        return bank_files.load(Path(folder), backend, embedder)


def _check_ids(entries: Sequence[PoseEntry]) -> None:
    seen = set()
    for entry in entries:
        if entry.id in seen:
            raise UserError(f"pose entry {entry.id!r} is there twice: ids must be unique")
        seen.add(entry.id)
