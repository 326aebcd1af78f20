"""Encodes a data set with a trained autoencoder once, so that training reads latents in place of pictures.

    python -m astra_jax.inputs.precompute --config=configs/X.py --autoencoder=DIR --out=DIR

Then set `config.data.latents` to the folder. Interrupted work goes on where it stopped: finished files are kept, an
unfinished one is made again, and the manifest that makes the folder a cache is written last.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Array, Float, Float16, UInt8
from tqdm import tqdm

from astra_jax import cli
from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs import cache, transforms
from astra_jax.inputs.example import Example, Prepared
from astra_jax.inputs.sources import RandomAccess, open_pictures
from astra_jax.models.astra import Astra
from astra_jax.weights.pretrained import check_tree, load_pretrained

PLAN = "plan.json"  # what the unfinished folder is being made from
WRITER_OPTIONS = "group_size:1,uncompressed"  # moments hardly compress, and reading is half as fast again without
Encoder = Callable[[Sequence[UInt8[np.ndarray, "H W 3"]]], list[Float[np.ndarray, "h w M"]]]


def precompute(
    config: Config,
    params: dict[str, Any],
    out: pathlib.Path,
    *,
    source: RandomAccess | None = None,
    batch_size: int = 8,
    shard_size: int = 512,
) -> int:
    """Writes the cache of `config`'s data made with `params["autoencoder"]`; returns the number of examples.

    `batch_size` pictures are encoded at a time, a file holds `shard_size` examples. Raises `UserError` if `out` holds
    the work of other settings or another autoencoder, or cannot be written.
    """
    transforms.check_sizes(config, (config.data.height, config.data.width))
    source = open_pictures(config.data) if source is None else source
    plan = {
        "format": cache.FORMAT,
        "settings": cache.settings(config),
        "autoencoder": cache.checksum(params["autoencoder"]),
        "examples": len(source),
        "shard_size": shard_size,
    }
    try:
        _begin(out, plan)
        shards = []
        encode = make_encoder(Astra(config.model), params, batch_size)
        starts = range(0, len(source), shard_size)
        for number, start in enumerate(tqdm(starts, desc="files", disable=None)):
            stop = min(start + shard_size, len(source))
            path = out / f"latents-{number:05d}.array_record"
            if _records(path) != stop - start:
                _write_shard(path, source, range(start, stop), config, encode, batch_size)
            shards.append({"file": path.name, "examples": stop - start})
        _write_json(out / cache.MANIFEST, {**plan, "shards": shards})
    except OSError as error:
        raise UserError(f"cannot write the cache {out}: {error.strerror or error}") from error
    return len(source)


def make_encoder(model: Astra, params: dict[str, Any], batch_size: int) -> Encoder:
    """A function from pictures of one size to their float16 moments, `batch_size` at a time in one compiled program."""
    only = {"autoencoder": params["autoencoder"]}

    def encode(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        moments: list[np.ndarray] = []
        for start in range(0, len(pictures), batch_size):
            some = np.stack(pictures[start : start + batch_size])
            padding = [(0, batch_size - len(some)), (0, 0), (0, 0), (0, 0)]
            moments.extend(np.asarray(_moments(model, only, np.pad(some, padding)))[: len(some)])
        return moments

    return encode


@functools.partial(jax.jit, static_argnames="model")
def _moments(model: Astra, params: dict[str, Any], pictures: UInt8[Array, "B H W 3"]) -> Float16[Array, "B h w M"]:
    return model.moments(params, pictures).astype(jnp.float16)


def encode_examples(examples: Sequence[Prepared], encode: Encoder) -> list[Prepared]:
    """The examples with all pictures but the portraits replaced by their moments."""
    for example in examples:
        if example.target is None:
            raise ValueError("an example without a target has no place in a cache")
    canvases = encode([p for e in examples for p in (e.target, e.pose) if p is not None])
    references = encode([photo for e in examples for photo in e.references])
    encoded, taken = [], 0
    for n, example in enumerate(examples):
        mine = references[taken : taken + len(example.references)]
        taken += len(mine)
        side = example.references.shape[1] * canvases[0].shape[0] // example.pose.shape[0]  # latents along a photo
        empty = np.zeros((0, side, side, canvases[0].shape[-1]), np.float16)
        encoded.append(
            Prepared(
                prompt=example.prompt,
                phrases=example.phrases,
                target=canvases[2 * n],
                pose=canvases[2 * n + 1],
                has_pose=example.has_pose,
                references=np.stack(mine) if mine else empty,
                portraits=example.portraits,
            )
        )
    return encoded


def _write_shard(
    path: pathlib.Path, source: RandomAccess, indices: range, config: Config, encode: Encoder, batch_size: int
) -> None:
    """Writes one file under another name and renames it when it is whole."""
    dataset = grain.MapDataset.source(source)[indices.start : indices.stop]
    dataset = dataset.map(functools.partial(_prepare, config=config)).batch(4 * batch_size, batch_fn=list)
    threads = config.data.threads
    temporary = path.with_name(f".{path.name}.tmp")
    writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
    try:
        for examples in dataset.to_iter_dataset(grain.ReadOptions(threads, 2 * threads)):
            for example in encode_examples(examples, encode):
                writer.write(_encode_record(example))
    finally:
        writer.close()
    temporary.replace(path)


def _prepare(example: Example | Prepared, config: Config) -> Prepared:
    if isinstance(example, Prepared):
        raise ValueError("a cache is made from pictures, not from another cache")
    return transforms.prepare(example, config)


def _encode_record(example: Prepared) -> bytes:
    try:
        return cache.encode_record(example)
    except ValueError as error:
        raise UserError(f"the autoencoder cannot be used: {error} for {example.prompt!r}") from error


def _begin(out: pathlib.Path, plan: dict[str, Any]) -> None:
    """Makes the folder, or refuses one that holds something else."""
    out.mkdir(parents=True, exist_ok=True)
    plan_path = out / PLAN
    if plan_path.exists():
        try:
            before = json.loads(plan_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{plan_path} is damaged: give an empty folder as --out") from error
        differing = [key for key in plan if not isinstance(before, dict) or before.get(key) != plan[key]]
        if differing:
            raise UserError(
                f"{out} holds latents made with another {' and '.join(differing)}: give another folder as --out"
            )
    elif any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no latents: give another folder as --out")
    else:
        _write_json(plan_path, plan)
    for left_over in out.glob(".latents-*.tmp"):
        left_over.unlink()


def _records(path: pathlib.Path) -> int:
    """The number of records in a finished file; -1 where there is none or it is damaged."""
    if not path.exists():
        return -1
    try:
        reader = ArrayRecordReader(str(path))
        count = reader.num_records() if reader.ok() else -1
        reader.close()  # raises what opening found
    except (RuntimeError, ValueError, OSError):
        return -1
    return count


def _write_json(path: pathlib.Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2), encoding="utf-8")
    temporary.replace(path)


def main(argv: Sequence[str]) -> None:
    """Reads the config and the weights, writes the cache."""
    del argv
    config = cli.read_config(FLAGS.config)
    params = load_pretrained(FLAGS.autoencoder, {"autoencoder"})[1]
    expected = jax.eval_shape(Astra(config.model).init, jax.random.key(0))["autoencoder"]
    params = {"autoencoder": params.get("autoencoder", {})}
    check_tree(params, {"autoencoder": expected}, FLAGS.autoencoder)
    out = pathlib.Path(FLAGS.out).expanduser()
    count = precompute(config, params, out, batch_size=FLAGS.batch_size, shard_size=FLAGS.shard_size)
    print(f"wrote {out}: {count} examples; train with --config.data.latents={out}")


if __name__ == "__main__":
    from ml_collections import config_flags

    FLAGS = flags.FLAGS
    config_flags.DEFINE_config_file("config", lock_config=True)
    flags.DEFINE_string("autoencoder", None, "folder with the trained autoencoder", required=True)
    flags.DEFINE_string("out", None, "folder for the cache", required=True)
    flags.DEFINE_integer("batch_size", 8, "pictures encoded at a time", lower_bound=1)
    flags.DEFINE_integer("shard_size", 512, "examples a file", lower_bound=1)
    cli.run(main)
