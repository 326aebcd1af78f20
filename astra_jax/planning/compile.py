"""The training step through the real compiler: the function that train.py runs, for shapes in the place of arrays."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.errors import JaxRuntimeError
from jax.sharding import Mesh, SingleDeviceSharding

from astra_jax.config import Config, LoraConfig
from astra_jax.costs.products import Product
from astra_jax.costs.step import condition_pictures, tokens
from astra_jax.costs.tally import Tally
from astra_jax.costs.transformer import transformer
from astra_jax.models.astra import Astra
from astra_jax.models.conditions import Conditions
from astra_jax.models.transformer import Transformer
from astra_jax.params import Params
from astra_jax.planning.collectives import Collective, find_collectives
from astra_jax.planning.topology import split_slices
from astra_jax.training.objectives import make_objective
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.state import TrainState
from astra_jax.training.step import compile_step, make_step


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiler says of a step; bytes are one chip's."""

    seconds: float  # that compiling took
    temporaries: float
    program: float
    collectives: list[Collective]
    fits: bool  # if not, there is no program, and `temporaries` is what the compiler says it needed (NaN: it does not)


def compile_for(config: Config, mesh: Mesh, state: TrainState, frozen: Params, batch: Any) -> Compiled:
    """Compiles the step of `train.py` for the devices of `mesh`; nothing is allocated."""
    began = time.monotonic()
    settings = config.train
    optimizer = make_optimizer(settings.optimizer, settings.steps)
    step = make_step(make_objective(config), optimizer, settings.optimizer, settings.steps)
    with jax.set_mesh(mesh):
        lowered: Any = compile_step(step, state, frozen, mesh)
        lowered = lowered.lower(state, frozen, batch)
        try:
            program = lowered.compile()
        except JaxRuntimeError as error:
            if (needed := out_of_memory(str(error))) is None:
                raise
            return Compiled(time.monotonic() - began, needed, 0.0, [], False)
    memory, (slices, sizes) = program.memory_analysis(), split_slices(mesh)
    unshared = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Compiled(
        seconds=time.monotonic() - began,
        temporaries=float(memory.temp_size_in_bytes + unshared),
        program=float(memory.generated_code_size_in_bytes),
        collectives=find_collectives(program.as_text(), sizes, slices),
        fits=True,
    )


_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_NEEDED = re.compile(r"(?:temporaries \(|Used )([\d.]+)([KMGT]?)")


def out_of_memory(message: str) -> float | None:
    """Bytes that a refused program needs, by the compiler's message; NaN where it tells none; None: another error."""
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    sizes = [float(number) * _UNITS[unit] for number, unit in _NEEDED.findall(message)]
    return max(sizes, default=float("nan"))


@dataclasses.dataclass(frozen=True)
class BlockCheck:
    """FLOPs of a transformer of one block of each kind, forward, by hand and by the compiler."""

    counted: float
    compiler: float

    @property
    def deviation(self) -> float:
        """Of the compiler's from ours, which leaves out all that is no matrix product."""
        return self.compiler / self.counted - 1


def check_block(config: Config, device: Any) -> BlockCheck:
    """Compiles one double and one single block with their ends for one example on one device, and compares.

    Condition tokens are in the sequence, also where the run caches them.
    """
    canvas, pictures = tokens(config.model, (config.data.height, config.data.width)), condition_pictures(config)
    conditions = sum(count * length for count, length in pictures)
    sizes = dataclasses.replace(config.model.transformer, double_blocks=1, single_blocks=1, remat="none")
    model = dataclasses.replace(config.model, transformer=sizes, lora=LoraConfig(), condition_attention="full")
    placed = SingleDeviceSharding(device)

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=placed)

    words, length = model.phrase_length * model.max_subjects, model.text_length + canvas + conditions
    dtype = jnp.dtype(model.dtype)
    table = array(jnp.float32, 1, length, sum(sizes.axes_dim) // 2)
    fields = {
        "text": array(dtype, 1, model.text_length, sizes.context_dim),
        "pooled": array(dtype, 1, sizes.pooled_dim),
        "guidance": array(jnp.float32, 1),
        "images": array(jnp.float32, 1, conditions, sizes.latent_dim),
        "cos": table,
        "sin": table,
        "mask": array(jnp.bool_, 1, length),
        "offsets": array(jnp.float32, 1, 1, words, sizes.width),
        "place": array(jnp.float32, 1, words, model.text_length),
    }
    # Attention as two products: kernels hide theirs from the count, and loops are counted once.
    module = Transformer(sizes, dtype, "plain")
    params = jax.eval_shape(Astra(model).init, jax.random.key(0))["transformer"]
    params = jax.tree.map(lambda leaf: array(dtype, *leaf.shape), params)
    run = jax.jit(lambda params, x, t, fields: module.apply({"params": params}, x, t, Conditions(**fields)))
    x, t = array(jnp.float32, 1, canvas, sizes.latent_dim), array(jnp.float32, 1)
    costs = run.lower(params, x, t, fields).compile().cost_analysis()
    tally = Tally(())
    transformer(tally, model, canvas, pictures, False)
    return BlockCheck(forward_flops(tally.products), float((costs or {}).get("flops", 0.0)))


def forward_flops(products: Sequence[Product]) -> float:
    """FLOPs of one forward pass."""
    return sum(product.forward for product in products)
