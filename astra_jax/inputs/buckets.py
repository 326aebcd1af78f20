"""Aspect-ratio buckets: every batch has one canvas, every batch is a function of (seed, step).

An epoch is a list of whole batches, floor(n / B) of a bucket with n examples, in an order drawn anew every epoch; which
examples make a bucket's batches is drawn anew, too. So each example comes at most once an epoch, and the n mod B that
fill no batch of their bucket are other ones every epoch. A bucket with fewer than B examples never comes: `describe`
says so.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import grain
import numpy as np
from jaxtyping import Int

from astra_jax.errors import UserError

T = TypeVar("T")
Canvas = tuple[int, int]

# UNO's canvases for training at 512 x 512 (github.com/bytedance/UNO, uno/dataset/uno.py), height and width.
UNO_512: tuple[Canvas, ...] = (
    (256, 768), (320, 768), (320, 704), (384, 640), (448, 576), (512, 512),
    (576, 448), (640, 384), (704, 320), (768, 320), (768, 256),
)  # fmt: skip


def nearest(sizes: Int[np.ndarray, "n 2"], buckets: Sequence[Canvas]) -> Int[np.ndarray, "n"]:
    """Which bucket each picture of `sizes` (height, width) goes to: that of the least |log(ratio / ratio)|.

    UNO compares the ratios themselves, which treats portrait and landscape differently; this is our decision. Of
    equally near ones the first.
    """
    ratios = np.log(np.asarray(buckets, np.float64)[:, 0] / np.asarray(buckets, np.float64)[:, 1])
    sizes = np.asarray(sizes, np.float64)
    wanted = np.log(sizes[:, 0] / sizes[:, 1])
    return np.abs(wanted[:, None] - ratios).argmin(axis=1)


def canvas_of(size: Canvas, height: int, width: int, buckets: Sequence[Canvas]) -> Canvas:
    """The canvas of a picture of `size`: the nearest of `buckets`, height x width where there are none."""
    return buckets[nearest(np.asarray([size]), buckets)[0]] if buckets else (height, width)


class Batches:
    """Which example stands at which place of an endless (or, without `seed`, one epoch long) sequence of batches.

    Args:
        sizes: of the pictures, height and width.
        buckets: canvases.
        batch_size: examples a batch, over all processes.
        seed: of the order; None keeps it: bucket after bucket, once.

    Raises `UserError` if no bucket fills a batch.
    """

    def __init__(self, sizes: Int[np.ndarray, "n 2"], buckets: Sequence[Canvas], batch_size: int, seed: int | None):
        self.buckets, self.batch_size, self._endless = tuple(buckets), batch_size, seed is not None
        bucket = nearest(sizes, buckets)
        self._members = [np.flatnonzero(bucket == number).astype(np.int64) for number in range(len(buckets))]
        self.batches = np.array([len(members) // batch_size for members in self._members])  # of an epoch, by bucket
        self._ends = np.cumsum(self.batches)
        self.epoch = int(self._ends[-1])  # batches
        if not self.epoch:
            raise UserError(
                f"the data has {len(sizes)} examples, but no bucket has a batch of {batch_size}: lower"
                " train.batch_size or name fewer data.buckets"
            )
        self._seed = seed
        self._drawn = functools.lru_cache(maxsize=4)(self._draw)  # threads read on both sides of an epoch's end

    def _draw(self, epoch: int) -> tuple[Int[np.ndarray, "M"], list[Int[np.ndarray, "_"]]]:
        """The order of an epoch's batches, and of each bucket the examples in theirs."""
        if self._seed is None:
            return np.arange(self.epoch), self._members
        order, *orders = (
            _permutation(count, (self._seed, epoch, number))
            for number, count in enumerate([self.epoch, *map(len, self._members)])
        )
        return order, [members[places] for members, places in zip(self._members, orders, strict=True)]

    def __len__(self) -> int:
        return sys.maxsize if self._endless else self.epoch * self.batch_size

    def bucket(self, batch: int) -> int:
        """The bucket of batch number `batch`."""
        return self._slot(batch)[1]

    def example(self, place: int) -> int:
        """The example at `place`, counted over all batches."""
        batch, row = divmod(place, self.batch_size)
        epoch, bucket, number = self._slot(batch)
        return int(self._drawn(epoch)[1][bucket][number * self.batch_size + row])

    def _slot(self, batch: int) -> tuple[int, int, int]:
        """Epoch, bucket, and which of the bucket's batches of that epoch."""
        epoch, number = divmod(batch, self.epoch)
        slot = self._drawn(epoch)[0][number]
        bucket = int(np.searchsorted(self._ends, slot, side="right"))
        return epoch, bucket, int(slot - self._ends[bucket] + self.batches[bucket])

    def describe(self) -> str:
        """One line: how many programs, their canvases with the batches of an epoch, and what never comes."""
        used = [
            f"{height} x {width} ({count})"
            for (height, width), count in zip(self.buckets, self.batches, strict=True)
            if count
        ]
        idle = sum(len(m) for m, count in zip(self._members, self.batches, strict=True) if not count)
        left = sum(len(m) - count * self.batch_size for m, count in zip(self._members, self.batches, strict=True))
        never = f"; {idle} examples in buckets smaller than a batch never come" if idle else ""
        return (
            f"{len(used)} canvases, a compiled step each (height x width, batches an epoch): {', '.join(used)};"
            f" {left - idle} examples of an epoch fill no batch{never}"
        )


def _permutation(count: int, key: tuple[int, ...]) -> Int[np.ndarray, "count"]:
    """A permutation that is a function of its key: NumPy keeps `SeedSequence`'s words from version to version."""
    return np.argsort(np.random.SeedSequence(key).generate_state(count, np.uint64), kind="stable")


class InBatches(grain.MapDataset[T]):
    """The parent's examples in the order of `batches`."""

    def __init__(self, parent: grain.MapDataset[T], batches: Batches):
        super().__init__(parent)
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        return self._parent[self._batches.example(index)]
