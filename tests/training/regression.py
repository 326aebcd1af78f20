"""A small real problem for the loop: an MLP that learns a fixed random one, with a frozen part and Grain data."""

from __future__ import annotations

import dataclasses

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from astra_jax.config import Config, DataConfig, MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from astra_jax.training.mesh import fsdp
from astra_jax.training.objective import example_normal

RULES = ((r"kernel$", fsdp()), (r"bias$", P()))


@dataclasses.dataclass(frozen=True)
class Regression:
    rules: tuple = RULES

    def init(self, rng):
        a, b, c = jax.random.split(rng, 3)
        normal = jax.random.normal
        return {
            "features": {"kernel": normal(a, (8, 16))},
            "head": {
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


def records(batch_size=8, poison=()):
    """Batches {x, y} for ever by index; the records numbered in `poison` are not finite."""

    def example(index):
        x = np.random.default_rng(int(index)).normal(size=8).astype(np.float32)
        return {"x": x * np.float32(np.nan if index in poison else 1), "y": np.sin(x)}

    return grain.MapDataset.range(256).seed(0).shuffle().repeat().map(example).batch(batch_size, drop_remainder=True)


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
