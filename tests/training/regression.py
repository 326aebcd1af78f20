"""A small real problem for the loop: an MLP that learns a fixed random one, with a frozen part and Grain data."""

from __future__ import annotations

import dataclasses

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from astra_jax.config import Config, DataConfig, MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from astra_jax.inputs.pipeline import ProcessPart
from astra_jax.training.mesh import fsdp
from astra_jax.training.objective import example_normal

RULES = ((r"kernel$", fsdp()), (r"bias$", P()))


@dataclasses.dataclass(frozen=True)
class Regression:
    rules: tuple = RULES
    ballast: int = 0  # further parameters, which only make checkpoints large

    def init(self, rng):
        a, b, c = jax.random.split(rng, 3)
        normal = jax.random.normal
        ballast = {"ballast": {"kernel": normal(c, (self.ballast // 8, 8))}} if self.ballast else {}
        return {
            "features": {"kernel": normal(a, (8, 16))},
            "head": {
                **ballast,
                "inner": {"kernel": normal(b, (16, 16)) / 4, "bias": jnp.zeros(16)},
                "kernel": normal(c, (16, 8)) / 4,
            },
        }

    def predict(self, params, x):
        hidden = jnp.tanh(x @ params["features"]["kernel"])
        inner = params["head"]["inner"]
        return jnp.tanh(hidden @ inner["kernel"] + inner["bias"]) @ params["head"]["kernel"]

    def loss(self, params, batch, rng):
        x = batch["x"] + 0.01 * example_normal(rng, batch["x"].shape)
        loss = jnp.mean(jnp.square(self.predict(params, x) - batch["y"]))
        return loss, {"size": jnp.mean(jnp.abs(x))}

    def preview(self, params, batch, rng):
        picture = jnp.abs(self.predict(params, batch["x"]) - batch["y"]) * 255
        return jnp.repeat(jnp.clip(picture, 0, 255).astype(jnp.uint8)[:, :, None], 3, 2)


def order():
    return grain.MapDataset.range(256).seed(0).shuffle().repeat()


def numbers(step, batch_size=8):
    """The records of the batch after `step` batches."""
    return [int(order()[place]) for place in range(step * batch_size, (step + 1) * batch_size)]


def records(batch_size=8, poison=(), share=(0, 1)):
    """Batches {x, y} for ever by index, this share of each; the records numbered in `poison` are not finite."""

    def example(index):
        x = np.random.default_rng(int(index)).normal(size=8).astype(np.float32)
        return {"x": x * np.float32(np.nan if index in poison else 1), "y": np.sin(x)}

    part = ProcessPart(order().map(example), batch_size, *share)
    return part.batch(batch_size // share[1], drop_remainder=True)


def dataset(batch_size=8, poison=()):
    """The same as an iterable."""
    return records(batch_size, poison).to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))


def make_config(**train):
    optimizer = train.pop("optimizer", OptimizerConfig(learning_rate=1e-2, warmup_steps=5))
    mesh = train.pop("mesh", MeshConfig())
    defaults = {
        "trainable": "^head/",
        "steps": 20,
        "batch_size": 8,
        "log_every": 5,
        "checkpoint_every": 5,
        "sample_every": 0,
        "export_dtype": "float32",
    }
    model = ModelConfig(dtype="float32")
    return Config(model=model, data=DataConfig(), mesh=mesh, train=TrainConfig(optimizer=optimizer, **defaults | train))
