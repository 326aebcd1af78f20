"""What a run minimises: the seam between the training loop and the models."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from astra_jax.params import Params
from astra_jax.training.mesh import Rules

Metrics = dict[str, Float[Array, ""]]


@runtime_checkable
class Objective(Protocol):
    """A loss over a tree of parameters. All methods are pure, so that the loop may jit and shard them."""

    rules: Rules  # sharding of every parameter of the tree

    def init(self, rng: PRNGKeyArray) -> Params:
        """The whole tree, trained and frozen parts alike: nested dicts of float32 arrays."""
        ...

    def loss(self, params: Params, batch: Any, rng: PRNGKeyArray) -> tuple[Float[Array, ""], Metrics]:
        """Mean loss of the batch, float32, and further scalars worth logging."""
        ...

    def preview(self, params: Params, batch: Any, rng: PRNGKeyArray) -> UInt8[Array, "H W 3"]:
        """One picture that shows a person how far training is."""
        ...


def example_normal(rng: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal noise whose row i depends on `rng` and i alone, not on the batch or its devices."""
    keys = jax.vmap(lambda i: jax.random.fold_in(rng, i))(jnp.arange(shape[0]))
    return jax.vmap(lambda key: jax.random.normal(key, shape[1:]))(keys)


def to_unit(pictures: UInt8[Array, "*B H W 3"]) -> Float[Array, "*B H W 3"]:
    """uint8 pictures as float32 in [-1, 1]."""
    return pictures.astype(jnp.float32) / 127.5 - 1


def to_uint8(pictures: Float[Array, "*B H W 3"]) -> UInt8[Array, "*B H W 3"]:
    """The inverse of `to_unit`, clipped and rounded."""
    return jnp.round(jnp.clip((pictures.astype(jnp.float32) + 1) * 127.5, 0, 255)).astype(jnp.uint8)


def rows_to_picture(columns: list[UInt8[Array, "B _ _ 3"]], gap: int = 4) -> UInt8[Array, "H W 3"]:
    """A grid with one row an example: each column's pictures side by side, white below smaller ones and between."""
    height = max(column.shape[1] for column in columns)
    padded = [
        jnp.pad(c, ((0, 0), (0, height - c.shape[1] + gap), (0, gap), (0, 0)), constant_values=np.uint8(255))
        for c in columns
    ]
    rows = jnp.concatenate(padded, axis=2)
    return rows.reshape(-1, *rows.shape[2:])
