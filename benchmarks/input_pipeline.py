"""How long a training loop waits for cached data: batches through the real pipeline, the device's step a sleep.

    python -m benchmarks.input_pipeline [--embeddings] [--buckets] [--step_seconds 0.5]

It writes a cache of random latents at the sizes of configs/flux.py (512 pixels, two references) into a temporary
folder, reads it as training does, and sleeps where the device would compute: a step leaves the host's processors to the
readers. The page cache holds what was just written, so this measures the pipeline and not the disk. The last line is
one JSON object: `data_wait_share` of the time is spent waiting for a batch on the device, as the loop logs it in
`data_wait`, and `examples_per_second` come when nothing else is done.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import tempfile
import time

import jax
import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from astra_jax.config import Config, DataConfig, MeshConfig, TrainConfig
from astra_jax.inputs import cache, records
from astra_jax.inputs.buckets import UNO_512
from astra_jax.inputs.example import Embeddings, Prepared
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.inputs.precompute import WRITER_OPTIONS
from astra_jax.inputs.tokenizer import PromptTokenizer, train_tokenizer
from astra_jax.training.feed import feed
from astra_jax.training.mesh import make_mesh

PROMPT = "a man waving hello and a woman dancing on the beach in the evening"


def random_example(config: Config, canvas: tuple[int, int], rng: np.random.Generator) -> Prepared:
    """An example of two subjects with random contents at the config's sizes."""
    model, side = config.model, config.data.reference_size // 8
    text = (model.text_length, model.t5.width)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32).astype(np.float16)

    words = Embeddings(
        text=draw(*text), pooled=draw(model.clip_text.width), empty_text=draw(*text),
        empty_pooled=draw(model.clip_text.width), phrases=draw(2, model.phrase_length, model.t5.width),
        placement=np.tile(np.arange(model.phrase_length, dtype=np.int32), (2, 1)),
    ) if config.data.embeddings else None  # fmt: skip
    encoder = model.image_encoder
    pixels = rng.integers(0, 256, (2, encoder.image_size, encoder.image_size, 3), np.uint8)
    return Prepared(
        prompt=PROMPT,
        phrases=("a man", "a woman"),
        target=draw(canvas[0] // 8, canvas[1] // 8, 32),
        pose=draw(canvas[0] // 8, canvas[1] // 8, 32),
        has_pose=True,
        references=draw(2, side, side, 32),
        portraits=draw(2, encoder.tokens, encoder.width) if words else pixels,
        embeddings=words,
    )


def write_cache(folder: pathlib.Path, config: Config, examples: int) -> int:
    """Writes a cache of random examples; returns its bytes an example."""
    rng = np.random.default_rng(0)
    canvases = config.data.buckets or ((config.data.height, config.data.width),)
    path = folder / "latents-00000.array_record"
    buckets = rng.integers(0, len(canvases), examples).tolist()
    writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)
    for bucket in buckets:
        example = random_example(config, canvases[bucket], rng)
        writer.write(records.encode_record(example))
    writer.close()
    if example.embeddings is not None:
        (folder / cache.EMPTY).write_bytes(records.encode_empty(example.embeddings))
    shard = {"file": path.name, "examples": examples, "bytes": path.stat().st_size, "sha256": "", "buckets": buckets}
    manifest = {
        "format": cache.FORMAT, "settings": cache.settings(config), "autoencoder": "", "encoders": "",
        "examples": examples, "shards": [shard],
    }  # fmt: skip
    (folder / cache.MANIFEST).write_text(json.dumps(manifest))
    return shard["bytes"] // examples


def measure(config: Config, tokenizer: PromptTokenizer, steps: int, step_seconds: float) -> tuple[float, float]:
    """(Share of the time that a loop of such steps waits for data, seconds a step), warmed up."""
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    iterator = iter(feed(make_dataset(config, training=True, tokenizer=tokenizer), mesh))
    waited, began = 0.0, time.monotonic()
    for step in range(-2, steps):
        if step == 0:
            waited, began = 0.0, time.monotonic()
        start = time.monotonic()
        batch = next(iterator)
        waited += time.monotonic() - start
        del batch  # as the step does that is done with it
        time.sleep(step_seconds)
    elapsed = time.monotonic() - began
    iterator.close()
    return waited / elapsed, elapsed / steps


def main() -> None:
    """Prints what was measured, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=64, help="in the cache (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="examples (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=30, help="that are timed (default: %(default)s)")
    parser.add_argument("--step_seconds", type=float, default=0.5, help="of the device (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=4, help="that read (default: %(default)s)")
    parser.add_argument("--embeddings", action="store_true", help="the cache has them, too")
    parser.add_argument("--buckets", action="store_true", help="UNO's canvases instead of one of 512 x 512")
    arguments = parser.parse_args()
    data = DataConfig(
        buckets=UNO_512 if arguments.buckets else (), embeddings=arguments.embeddings, threads=arguments.threads
    )
    config = dataclasses.replace(Config(), data=data, train=TrainConfig(batch_size=arguments.batch))
    tokenizer = PromptTokenizer(train_tokenizer([PROMPT], 300))
    with tempfile.TemporaryDirectory() as folder:
        size = write_cache(pathlib.Path(folder), config, arguments.examples)
        config = dataclasses.replace(config, data=dataclasses.replace(data, latents=folder))
        share, seconds = measure(config, tokenizer, arguments.steps, arguments.step_seconds)
        _, alone = measure(config, tokenizer, arguments.steps, 0.0)
    print(f"{size:,} bytes an example; a batch of {arguments.batch} takes {alone:.3f} s to read with nothing beside it")
    print(f"steps of {arguments.step_seconds} s: {100 * share:.2f} % of {seconds:.3f} s is spent waiting for data")
    figures = {
        "data_wait_share": round(share, 5), "examples_per_second": round(arguments.batch / alone, 1),
        "bytes_per_example": size, "step_seconds": arguments.step_seconds, "batch": arguments.batch,
        "threads": arguments.threads, "embeddings": arguments.embeddings, "buckets": arguments.buckets,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
