"""Training batches by Grain: every batch is a function of (config, step), so a step number restores the position.

    source -> seed, shuffle, repeat -> random_map (dropout or crops) -> this process's part -> batch -> threads

With `data.buckets` their `Batches` take the place of shuffle and repeat (inputs/buckets.py).

Chance is drawn before the data is divided among processes and is tied to the place in the global order; every process
takes its run of each global batch. So two processes read what one would, example for example.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeVar

import grain
import numpy as np
from absl import logging

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs import pictures, transforms
from astra_jax.inputs.buckets import Batches, InBatches, canvas_of
from astra_jax.inputs.example import Example, Prepared
from astra_jax.inputs.keypoint_examples import collate_keypoints, keypoint_arrays
from astra_jax.inputs.published_tokenizer import open_tokenizer
from astra_jax.inputs.sources import RandomAccess, Sized, open_source
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.models.astra import Batch

T = TypeVar("T")


def make_dataset(
    config: Config,
    *,
    training: bool,
    shard: tuple[int | tuple[int, ...], int] = (0, 1),
    source: RandomAccess | None = None,
    tokenizer: TextTokenizer | None = None,
) -> grain.IterDataset[Batch]:
    """Batches of `train.batch_size` / count examples for the process `shard` = (index, count).

    Of a process that holds several of `count` parts of every batch `index` are their numbers.

    `train.objective` "autoencoder" gives pictures (`Batch.inputs` is None), "keypoints" `KeypointBatch`es, anything
    else whole examples. Training
    shuffles anew every epoch, repeats for ever and drops conditions; otherwise the order is the source's (with buckets:
    bucket after bucket), once, whole batches only, nothing dropped. Of more people than `model.max_subjects` the first
    ones have references, all are in the pose. `source` and `tokenizer` default to those the config names.

    The iterator's `get_state`/`set_state` and `state_at(step)` restore the position exactly. Raises `UserError` for
    settings that do not fit together and for data that is missing, of another config or fewer than a batch.
    """
    index, count = shard
    batch_size = config.train.batch_size
    parts = (index,) if isinstance(index, int) else tuple(index)
    if not parts or not all(0 <= part < count for part in parts):
        raise ValueError(f"process {index} of {count}")
    if batch_size <= 0 or batch_size % count:
        raise UserError(
            f"config.train.batch_size {batch_size} does not divide among {count} processes or groups of devices"
        )
    _check(config)
    source = open_source(config) if source is None else source
    if len(source) == 0 or (not training and len(source) < batch_size):
        raise UserError(f"the data has {len(source)} examples, fewer than one batch of {batch_size}")
    transform: Any  # (example, rng) -> what collate takes a list of
    collate: Any
    if config.train.objective == "autoencoder":
        transform, collate = functools.partial(pictures.random_picture, config=config), _collate_pictures
    elif config.train.objective == "keypoints":
        transform = functools.partial(keypoint_arrays, config=config, training=training)
        collate = collate_keypoints
    else:
        if tokenizer is None and not config.data.embeddings:
            tokenizer = open_tokenizer(config.data.tokenizer, config.model)
        transform = functools.partial(_example_arrays, config=config, tokenizer=tokenizer, training=training)
        collate = _collate_examples

    dataset = _in_order(grain.MapDataset.source(source).seed(config.data.seed), config, source, training)
    dataset = ProcessPart(dataset.random_map(transform), batch_size, parts, count)
    dataset = dataset.batch(len(parts) * batch_size // count, drop_remainder=True, batch_fn=collate)
    threads = config.data.threads  # the buffer holds whole batches: a few are enough
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads))


def plan_batches(config: Config, source: RandomAccess | None = None, *, training: bool) -> Batches:
    """Which examples make which batch under `data.buckets`.

    Raises `UserError` for a source that does not know the sizes of its pictures, and where no bucket fills a batch.
    """
    source = open_source(config) if source is None else source
    if not isinstance(source, Sized):
        raise UserError(f"config.data.buckets needs data that knows its pictures' sizes, not {config.data.source!r}")
    seed = config.data.seed if training else None
    return Batches(source.sizes(), config.data.buckets, config.train.batch_size, seed)


def example_numbers(config: Config, step: int, source: RandomAccess | None = None) -> list[int]:
    """Which examples of the source, by number, are the training batch after `step` batches, over all processes."""
    source = open_source(config) if source is None else source
    numbers = _in_order(grain.MapDataset.range(len(source)).seed(config.data.seed), config, source, training=True)
    size = config.train.batch_size
    return list(map(int, numbers[step * size : (step + 1) * size]))


def _in_order(
    dataset: grain.MapDataset[T], config: Config, source: RandomAccess, training: bool
) -> grain.MapDataset[T]:
    """The seeded `dataset`, an item for each example of `source`, in the order in which batches are cut from it."""
    if config.data.buckets:
        return InBatches(dataset, plan_batches(config, source, training=training))
    return dataset.shuffle().repeat() if training else dataset


def state_at(step: int) -> dict[str, Any]:
    """The state of an iterator of `make_dataset` that has given `step` batches, for its `set_state`."""
    return {"next_index": step}


class ProcessPart(grain.MapDataset[T]):
    """The examples of one process: of every batch of `batch_size`, cut into `count` runs, the runs numbered `parts`.

    A trailing part of a batch is left out, so that all processes have equally many batches.
    """

    def __init__(self, parent: grain.MapDataset[T], batch_size: int, parts: tuple[int, ...], count: int):
        super().__init__(parent)
        self._batch_size, self._run, self._parts = batch_size, batch_size // count, parts

    def __len__(self) -> int:
        return len(self._parent) // self._batch_size * self._run * len(self._parts)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        batch, place = divmod(index, self._run * len(self._parts))
        part, row = divmod(place, self._run)
        return self._parent[batch * self._batch_size + self._parts[part] * self._run + row]


def _example_arrays(
    example: Example | Prepared,
    rng: np.random.Generator,
    config: Config,
    tokenizer: TextTokenizer | None,
    training: bool,
) -> dict[str, Any]:
    if isinstance(example, Example):
        data = config.data
        example = transforms.prepare(example, config, canvas_of(example.size, data.height, data.width, data.buckets))
    prepared = example
    prepared = transforms.first_subjects(prepared, config.model.max_subjects)
    dropout = transforms.draw_dropout(rng, config.data) if training else transforms.KEEP_ALL
    fields, truncated = transforms.arrays(prepared, config, tokenizer, config.train.guidance, dropout)
    if truncated:
        logging.log_first_n(
            logging.WARNING, "prompts are cut at %d tokens, first: %r", 1, config.model.text_length, prepared.prompt
        )
    return {"target": prepared.target, "inputs": fields}


def _collate_examples(examples: Sequence[dict[str, Any]]) -> Batch:
    shapes = sorted({example["target"].shape for example in examples})
    if len(shapes) > 1:
        raise UserError(f"a batch has pictures of {shapes[0]} and {shapes[1]}: the data's list of sizes is wrong")
    target = np.stack([example["target"] for example in examples])
    return Batch(target=target, inputs=transforms.stack([example["inputs"] for example in examples]))


def _collate_pictures(crops: Sequence[np.ndarray]) -> Batch:
    return Batch(target=np.stack(crops), inputs=None)


def _check(config: Config) -> None:
    data = config.data
    chances = {name: getattr(data, name) for name in dir(data) if name.startswith("drop_")}
    for name, chance in chances.items():
        if not 0 <= chance <= 1:
            raise UserError(f"config.data.{name} is {chance}, but a chance is between 0 and 1")
    if data.drop_references + data.drop_identity + data.drop_reference_tokens > 1 + 1e-9:
        raise UserError(
            "config.data: drop_references, drop_identity and drop_reference_tokens must not exceed 1 together"
        )
    if data.threads < 0:
        raise UserError(f"config.data.threads is {data.threads}, but must not be negative")
    if config.train.objective == "autoencoder":
        if data.latents:
            raise UserError("config.data.latents holds no pictures: the autoencoder learns from config.data.source")
        if data.buckets:
            raise UserError("config.data.buckets are for train.objective 'astra': the autoencoder has data.crop")
        pictures.check_crop(config)
    elif config.train.objective == "keypoints":
        if data.latents or data.buckets:
            raise UserError("config.data.latents and config.data.buckets are for train.objective 'astra'")
        if config.keypoints.crops < 1:
            raise UserError(f"config.keypoints.crops must be 1 or more, not {config.keypoints.crops}")
    else:
        transforms.check_canvases(config)
    if data.embeddings and not data.latents:
        raise UserError("config.data.embeddings needs config.data.latents: the folder that holds them")
