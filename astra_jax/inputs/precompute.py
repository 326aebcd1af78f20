"""Encodes a data set with frozen encoders once, so that training reads latents (and embeddings) in place of pictures.

    python -m astra_jax.inputs.precompute --config=configs/X.py --autoencoder=DIR --out=DIR [--shard=I/N]

Then set `config.data.latents` to the folder. With `config.data.embeddings` the text encoders and the image encoder of
`--encoders` run here, too, and the training run needs none of them. Several processes share the files: number I makes
every N-th, and whichever sees the last one done writes the manifest that makes the folder a cache. Interrupted work
goes on where it stopped: a finished file has a receipt with its checksum and is kept as long as it fits, an unfinished
one is made again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import grain
import jax
from absl import flags
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jax.sharding import SingleDeviceSharding
from tqdm import tqdm

from astra_jax import cli
from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs import cache, transforms
from astra_jax.inputs.buckets import canvas_of
from astra_jax.inputs.encoding import TEXT_ENCODERS, Embedder, Encoder, encode_examples, make_embedder, make_encoder
from astra_jax.inputs.example import Example, Prepared
from astra_jax.inputs.published_tokenizer import open_tokenizer
from astra_jax.inputs.records import encode_empty, encode_record
from astra_jax.inputs.sources import RandomAccess, open_pictures
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.models.astra import Astra
from astra_jax.weights.importing import place_pretrained
from astra_jax.weights.pretrained import check_tree, fingerprint, load_pretrained
from astra_jax.whole_files import write_whole

PLAN = "plan.json"  # what the unfinished folder is being made from
WRITER_OPTIONS = "group_size:1,uncompressed"  # moments hardly compress, and reading is half as fast again without


class Progress(NamedTuple):
    """What a process has made of a cache."""

    examples: int  # of the whole cache
    files: int  # of the whole cache
    missing: int  # files that no process has finished yet; 0: the cache is complete
    bytes: int  # of all finished files


def precompute(
    config: Config,
    params: dict[str, Any],
    out: pathlib.Path,
    *,
    source: RandomAccess | None = None,
    tokenizer: TextTokenizer | None = None,
    encoders: str = "",
    batch_size: int = 8,
    shard_size: int = 512,
    share: tuple[int, int] = (0, 1),
) -> Progress:
    """Writes this process's files of the cache of `config`'s data, and the manifest where all files are there.

    Args:
        config: its data settings say what is encoded, and at which sizes.
        params: "autoencoder" and, with `data.embeddings`, "t5", "clip_text" and the image encoder.
        out: the cache's folder.
        source: of examples; the one the config names by default.
        tokenizer: for the embeddings; the one the config names by default.
        encoders: tells the encoders' weights from others (`pretrained.fingerprint`).
        batch_size: pictures or texts encoded at a time.
        shard_size: examples a file.
        share: (I, N): of N processes this is number I, from 0.

    Raises `UserError` if `out` holds the work of other settings or other weights, or cannot be written.
    """
    transforms.check_canvases(config)
    source = open_pictures(config.data) if source is None else source
    plan = {
        "format": cache.FORMAT,
        "settings": cache.settings(config),
        "autoencoder": cache.checksum(params["autoencoder"]),
        "encoders": encoders,
        "examples": len(source),
        "shard_size": shard_size,
    }
    try:
        _begin(out, plan)
        embed = None
        if config.data.embeddings:
            tokenizer = tokenizer or open_tokenizer(config.data.tokenizer, config.model)
            embed = make_embedder(config, params, tokenizer, batch_size)
        encode = make_encoder(Astra(config.model), params, batch_size)
        paths = [out / f"latents-{number:05d}.array_record" for number in range(-(-len(source) // shard_size))]
        for number in tqdm(range(share[0], len(paths), share[1]), desc="files", disable=None):
            start = number * shard_size
            stop = min(start + shard_size, len(source))
            if not _is_whole(paths[number], stop - start):
                _write_shard(paths[number], source, range(start, stop), config, encode, embed, batch_size)
        receipts = [_receipt(path) for path in paths]
        done = [receipt for receipt in receipts if receipt is not None]
        if len(done) == len(paths):
            _write_json(out / cache.MANIFEST, {**plan, "shards": done})
    except OSError as error:
        raise UserError(f"cannot write the cache {out}: {error.strerror or error}") from error
    return Progress(len(source), len(paths), len(paths) - len(done), sum(receipt["bytes"] for receipt in done))


def _write_shard(
    path: pathlib.Path,
    source: RandomAccess,
    indices: range,
    config: Config,
    encode: Encoder,
    embed: Embedder | None,
    batch_size: int,
) -> None:
    """Writes one file under another name and renames it when it is whole; its receipt follows."""
    dataset = grain.MapDataset.source(source)[indices.start : indices.stop]
    dataset = dataset.map(functools.partial(_prepare, config=config)).batch(4 * batch_size, batch_fn=list)
    threads = config.data.threads
    temporary = path.with_name(f".{path.name}.tmp")
    canvases = [tuple(canvas) for canvas in config.data.buckets] or [(config.data.height, config.data.width)]
    buckets = []
    writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
    try:
        for examples in dataset.to_iter_dataset(grain.ReadOptions(threads, 2 * threads)):
            buckets += [canvases.index(example.pose.shape[:2]) for example in examples]
            for example in encode_examples(embed(examples) if embed else examples, encode):
                if example.embeddings is not None and not (path.parent / cache.EMPTY).exists():
                    write_whole(path.parent / cache.EMPTY, encode_empty(example.embeddings))
                writer.write(_encode_record(example))
    finally:
        writer.close()
    receipt = {"file": path.name, "examples": len(indices), "bytes": temporary.stat().st_size}
    receipt |= {"sha256": _sha256(temporary), "buckets": buckets}
    _receipt_path(path).unlink(missing_ok=True)  # of a file that was damaged
    temporary.replace(path)
    _write_json(_receipt_path(path), receipt)


def _prepare(example: Example | Prepared, config: Config) -> Prepared:
    if isinstance(example, Prepared):
        raise ValueError("a cache is made from pictures, not from another cache")
    data = config.data
    return transforms.prepare(example, config, canvas_of(example.size, data.height, data.width, data.buckets))


def _encode_record(example: Prepared) -> bytes:
    try:
        return encode_record(example)
    except ValueError as error:
        raise UserError(f"the encoders cannot be used: {error} for {example.prompt!r}") from error


def _begin(out: pathlib.Path, plan: dict[str, Any]) -> None:
    """Makes the folder, or refuses one that holds something else."""
    out.mkdir(parents=True, exist_ok=True)
    plan_path = out / PLAN
    if not plan_path.exists() and not [path for path in out.iterdir() if not path.name.startswith(f".{PLAN}.")]:
        _write_json(plan_path, plan)  # processes that start together write the same, or one sees the other's below
    if not plan_path.exists():
        raise UserError(f"{out} is not empty and holds no latents: give another folder as --out")
    try:
        before = json.loads(plan_path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{plan_path} is damaged: give an empty folder as --out") from error
    differing = [key for key in plan if not isinstance(before, dict) or before.get(key) != plan[key]]
    if differing:
        raise UserError(
            f"{out} holds latents made with another {' and '.join(differing)}: give another folder as --out"
        )


def _is_whole(path: pathlib.Path, examples: int) -> bool:
    """Whether a file is there, is the one that was finished, and holds so many records."""
    receipt = _receipt(path)
    if receipt is None or receipt["examples"] != examples or receipt["sha256"] != _sha256(path):
        return False
    try:
        reader = ArrayRecordReader(str(path))
        count = reader.num_records() if reader.ok() else -1
        reader.close()  # raises what opening found
    except (RuntimeError, ValueError, OSError):
        return False
    return count == examples


def _receipt(path: pathlib.Path) -> dict[str, Any] | None:
    """What was written down when the file was finished; None where it is not, or has another size now."""
    try:
        receipt = json.loads(_receipt_path(path).read_text(encoding="utf-8"))
        fits = receipt["file"] == path.name and receipt["bytes"] == path.stat().st_size
        return receipt if fits and {"examples", "sha256", "buckets"} <= set(receipt) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _receipt_path(path: pathlib.Path) -> pathlib.Path:
    return path.with_suffix(".json")


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: pathlib.Path, value: Any) -> None:
    write_whole(path, json.dumps(value).encode())


def parse_share(text: str) -> tuple[int, int]:
    """(I, N) of "I/N", the I-th of N processes from 0; raises `UserError` for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not int(match[1]) < int(match[2]):
        raise UserError(f"--shard {text!r}: write I/N for process I of N, from 0/N to N-1/N, e.g. --shard=0/8")
    return int(match[1]), int(match[2])


def load_encoders(config: Config, folder: str) -> dict[str, Any]:
    """The text encoders and the image encoder of a folder of pretrained weights, in `model.dtype` on the first device.

    Raises `UserError` where the folder lacks one of them or has others than the config's.
    """
    parts = (*TEXT_ENCODERS, config.model.image_encoder_part)
    sharding = SingleDeviceSharding(jax.local_devices()[0])
    shapes = jax.eval_shape(Astra(config.model).init, jax.random.key(0))
    wanted = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, config.model.dtype, sharding=sharding),
        {part: shapes[part] for part in parts},
    )
    params = place_pretrained(folder, wanted)
    missing = [part for part in parts if part not in params]
    if missing:
        raise UserError(f"--encoders {folder} has no {', '.join(missing)}: name a folder with all encoders")
    return params


def main(argv: Sequence[str]) -> None:
    """Reads the config and the weights, writes the cache."""
    del argv
    config = cli.read_config(FLAGS.config)
    share = parse_share(FLAGS.shard)
    if bool(FLAGS.encoders) != config.data.embeddings:
        raise UserError("--encoders and config.data.embeddings go together: name a folder and set it, or neither")
    params = load_pretrained(FLAGS.autoencoder, {"autoencoder"})[1]
    expected = jax.eval_shape(Astra(config.model).init, jax.random.key(0))["autoencoder"]
    params = {"autoencoder": params.get("autoencoder", {})}
    check_tree(params, {"autoencoder": expected}, FLAGS.autoencoder)
    encoders = ""
    if FLAGS.encoders:
        params |= load_encoders(config, FLAGS.encoders)
        encoders = fingerprint(FLAGS.encoders)
    out = pathlib.Path(FLAGS.out).expanduser()
    made = precompute(
        config, params, out, encoders=encoders, batch_size=FLAGS.batch_size, shard_size=FLAGS.shard_size, share=share
    )
    if made.missing:
        print(f"{out}: {made.missing} of {made.files} files are still missing; the last process finishes the cache")
        return
    options = f"--config.data.latents={out}" + (" --config.data.embeddings=True" if config.data.embeddings else "")
    print(f"wrote {out}: {made.examples} examples, {made.bytes // made.examples} bytes each; train with {options}")


if __name__ == "__main__":
    from ml_collections import config_flags

    FLAGS = flags.FLAGS
    config_flags.DEFINE_config_file("config", lock_config=True)
    flags.DEFINE_string("autoencoder", None, "folder with the trained autoencoder", required=True)
    flags.DEFINE_string("encoders", "", "folder with the frozen text and image encoders, for config.data.embeddings")
    flags.DEFINE_string("out", None, "folder for the cache", required=True)
    flags.DEFINE_integer("batch_size", 8, "pictures encoded at a time", lower_bound=1)
    flags.DEFINE_integer("shard_size", 512, "examples a file", lower_bound=1)
    flags.DEFINE_string("shard", "0/1", "I/N: make every N-th file from number I on; each process has another I")
    cli.run(main)
