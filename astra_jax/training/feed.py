"""Batches on their way from the pipeline to the devices."""

from __future__ import annotations

from typing import Any

import grain
import jax

from astra_jax.training.mesh import shard_batch


def feed(dataset: grain.IterDataset[Any], mesh: jax.sharding.Mesh) -> grain.IterDataset[Any]:
    """The same batches as arrays on `mesh`, the next one made by a thread while the devices compute.

    Copying a batch of embeddings takes the host tens of milliseconds, in which the loop would wait for data. Iterators
    have the state that those of `dataset` would have. Raises what `dataset` and `shard_batch` do.
    """
    placed = dataset.map(lambda batch: shard_batch(batch, mesh))
    return grain.experimental.ThreadPrefetchIterDataset(placed, prefetch_buffer_size=1)
