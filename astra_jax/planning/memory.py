"""Bytes that one chip holds during a step: exact for what has a shape, a model for what the compiler makes between."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from astra_jax.config import Config
from astra_jax.costs.products import Product
from astra_jax.params import Params
from astra_jax.training.state import TrainState

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes a chip."""

    frozen: float  # weights that are not trained
    trained: float  # weights that are
    average: float  # their moving average
    optimizer: float  # Adam's moments
    batch: float
    activations: float  # that the blocks keep for the backward pass, by our own count
    temporaries: float  # all else that lives within a step: gradients, gathered weights, the block at work
    program: float = 0.0  # the compiled program itself

    @property
    def total(self) -> float:
        """All together; the state is updated in place."""
        return sum(dataclasses.astuple(self))


def local_bytes(tree: Any) -> float:
    """Bytes of one chip's part of a tree of placed `jax.ShapeDtypeStruct`s."""

    def one(leaf: jax.ShapeDtypeStruct) -> int:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return 8
        shape = leaf.shape if leaf.sharding is None else leaf.sharding.shard_shape(leaf.shape)
        return math.prod(shape) * leaf.dtype.itemsize

    return float(sum(one(leaf) for leaf in jax.tree.leaves(tree)))


def placed_memory(
    state: TrainState, frozen: Params, batch: Any, activations: float, within: float, program: float = 0.0
) -> Memory:
    """The memory of a step whose arguments these are; `within` bytes live within it, kept activations among them."""
    activations = min(activations, within)
    return Memory(
        frozen=local_bytes(frozen),
        trained=local_bytes(state.params),
        average=local_bytes(state.ema),
        optimizer=local_bytes(state.opt_state),
        batch=local_bytes(batch),
        activations=activations,
        temporaries=within - activations,
        program=program,
    )


def kept_activations(config: Config, products: Sequence[Product], mesh: Mesh) -> float:
    """Bytes a chip that the backward pass needs of all layers at once: the blocks' inputs, and what remat keeps."""
    width = jax.numpy.dtype(config.model.dtype).itemsize
    examples = config.train.batch_size / (mesh.shape["data"] * mesh.shape["fsdp"])
    maps = _block_maps(products)
    if not maps:  # the autoencoder alone
        return float(examples * sum(p.rows * p.columns * p.count * (width + 4) for p in products if p.weights))
    streams = [p for p in maps if p.name.endswith(("img_qkv", "txt_qkv", "linear1")) and p.name.startswith("transf")]
    carries = sum(p.rows * p.inner * p.repeats * width for p in streams)
    layers = sum(p.repeats * _outputs([p], width) for p in maps)
    kept = {"full": 0.0, "dots": layers, "none": 2.5 * layers}[config.model.transformer.remat]
    return float(examples * (carries + kept) / (mesh.shape["context"] * mesh.shape["tensor"]))


def _block_maps(products: Sequence[Product]) -> list[Product]:
    """The linear maps of the transformer's blocks."""
    blocks = ("transformer/double_", "transformer/single_", "lora/")
    return [p for p in products if p.weights and p.name.startswith(blocks)]


def _outputs(products: Sequence[Product], width: int) -> float:
    """Bytes of the results of one layer's products."""
    return float(sum(p.rows * p.columns * width for p in products))


def estimated_temporaries(
    config: Config, products: Sequence[Product], state: TrainState, mesh: Mesh, kept: float
) -> float:
    """Bytes a chip of everything that lives within a step, by our own model; `kept` is from `kept_activations`.

    The scanned blocks keep their inputs (or what `transformer.remat` keeps beside them) for the backward pass. On top
    of that come the largest block while it is differentiated, its weights and the next block's, gathered, and the
    gradients. The encoders run before and are gone by then, so that the larger of the two counts.
    """
    gradients, maps = local_bytes(state.params), _block_maps(products)
    if not maps:  # the autoencoder alone
        return kept + gradients
    width = jax.numpy.dtype(config.model.dtype).itemsize
    examples = config.train.batch_size / (mesh.shape["data"] * mesh.shape["fsdp"])
    split = mesh.shape["context"] * mesh.shape["tensor"]
    double = [p for p in maps if "/double_blocks/" in p.name]
    single = [p for p in maps if "/single_blocks/" in p.name]
    # What one block's forward and backward hold at a time, in units of its products' outputs.
    working = _WORKING_SET * max(_outputs(double, width), _outputs(single, width))
    gathered = 2 * width * max(sum(p.inner * p.columns for p in chosen) for chosen in (double, single))
    inside = kept + examples * working / split + gathered / mesh.shape["tensor"]
    pictures = [p for p in products if p.name.startswith("autoencoder/") and p.weights]
    before = examples * _PICTURE_SET * max((p.rows * p.columns * p.count for p in pictures), default=0) * width
    return float(max(inside, before) + gradients)


# Near what the TPU compiler takes for the two runs of docs/scaling.md (within -16 and +6 % of all temporaries).
_WORKING_SET = 6.0
_PICTURE_SET = 4.0
