"""The collectives that a step of this design needs, from sizes alone: for GPUs, and for choosing meshes to compile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from astra_jax.config import Config
from astra_jax.costs.products import Product
from astra_jax.params import Params
from astra_jax.planning.collectives import SLICES, Collective
from astra_jax.planning.roofline import is_block, recomputed
from astra_jax.planning.topology import split_slices
from astra_jax.training.partition import leaves_with_paths
from astra_jax.training.state import TrainState


def expected_collectives(
    config: Config, products: Sequence[Product], state: TrainState, frozen: Params, mesh: Mesh
) -> list[Collective]:
    """What fully sharded data parallelism, sequence exchange and split matrices must move.

    Weights split over fsdp are gathered for every pass that reads them, in the computation's dtype, and gradients of
    trained ones are scattered over fsdp and summed over data in float32. Attention of context-split blocks exchanges
    queries, keys, values and the result (Ulysses, arXiv 2309.14509); blocks split over tensor sum activations twice
    (Megatron, arXiv 1909.08053). Between slices every chip sums the part of the gradients that is its own after a
    scatter over the data axis within its slice.
    """
    slices, inside = split_slices(mesh)
    shape, width = inside | {SLICES: slices}, jax.numpy.dtype(config.model.dtype).itemsize
    examples = config.train.batch_size / (mesh.shape["data"] * mesh.shape["fsdp"])
    found = []

    def add(kind: str, axis: str, runs: int, size: float | int) -> None:
        group = shape[axis]
        if group > 1 and size:
            found.append(Collective(kind, (axis,), group, runs, size * (group - 1) / group))

    again = config.model.transformer.remat == "full"
    layers = config.model.transformer.double_blocks + config.model.transformer.single_blocks
    backward = {product.name for product in products if product.left_gradient or product.right_gradient}
    gathered = 0.0
    for path, leaf in [*leaves_with_paths(frozen), *leaves_with_paths(state.params)]:
        if _split_over(leaf, "fsdp"):
            differentiated = path.rpartition("/")[0] in backward
            gathered += math.prod(leaf.shape) * width * (2 if differentiated else 1) / _others(leaf, shape)
    trained: list[Any] = [leaf for _, leaf in leaves_with_paths(state.params)]
    gradients = sum(math.prod(leaf.shape) * 4.0 / _others(leaf, shape) for leaf in trained if _split_over(leaf, "fsdp"))
    add("all-gather", "fsdp", (3 if again else 2) * layers, gathered)
    add("reduce-scatter", "fsdp", layers, gradients)
    whole = sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * 4.0 for leaf in trained)
    add("all-reduce", "data", layers, 2 * whole)
    add("all-reduce", SLICES, layers, 2 * whole / shape["data"])
    blocks = [p for p in products if is_block(p) and p.weights and p.name.startswith("transformer/")]
    passes = 2 + max((recomputed(p, config.model.transformer.remat) for p in blocks), default=0.0)
    streams = sum(p.rows * p.inner * p.repeats for p in blocks if p.name.endswith(("_qkv", "linear1")))
    moved = examples * streams * width
    add("all-to-all", "context", int(passes * 4 * layers), passes * 4 * moved / shape["context"] / shape["tensor"])
    add("all-reduce", "tensor", int(passes * 2 * layers), passes * 2 * 2 * moved / shape["context"])
    return sorted(found, key=lambda collective: -collective.bytes)


def _split_over(leaf: Any, axis: str) -> bool:
    return any(axis == name or (isinstance(name, tuple) and axis in name) for name in leaf.sharding.spec)


def _others(leaf: Any, shape: dict[str, int]) -> int:
    """Parts that other axes than fsdp split a leaf into."""
    return math.prod(leaf.shape) // math.prod(leaf.sharding.shard_shape(leaf.shape)) // shape["fsdp"]
