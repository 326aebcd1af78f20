"""A plan: does this run fit this machine, how long does a step take, and what limits it. Predicted, never measured."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax

from astra_jax.config import Config, MeshConfig
from astra_jax.costs.products import Product
from astra_jax.costs.step import step_products
from astra_jax.params import Params, flatten
from astra_jax.planning.abstract import abstract_batch
from astra_jax.planning.collectives import Collective, total_bytes
from astra_jax.planning.compile import compile_for
from astra_jax.planning.memory import GIB, Memory, estimated_temporaries, kept_activations, local_bytes, placed_memory
from astra_jax.planning.network import Wires
from astra_jax.planning.roofline import Roofline, Work, chip_work, roofline
from astra_jax.planning.topology import Topology, mesh_of, places, split_slices
from astra_jax.planning.traffic import expected_collectives
from astra_jax.training.initialize import place_shapes
from astra_jax.training.loop import check_settings
from astra_jax.training.mesh import check_run
from astra_jax.training.objectives import make_objective


@dataclasses.dataclass(frozen=True)
class Plan:
    """One run on one machine with one mesh."""

    config: Config
    topology: Topology
    sizes: dict[str, int]  # of the mesh axes
    products: list[Product]
    memory: Memory
    collectives: list[Collective]
    network: list[float]  # seconds of each of them
    work: Work
    roofline: Roofline
    compiled: bool  # by the real compiler; otherwise temporaries and collectives are our own estimate
    compile_seconds: float
    fits: bool
    estimated_temporaries: float  # bytes a chip within a step by our own model, whether compiled or not
    expected_bytes: float  # that one chip sends by our own count, whether compiled or not

    @property
    def batch_per_chip(self) -> float:
        """Examples a chip."""
        return self.config.train.batch_size / self.topology.chips

    @property
    def images_per_chip_second(self) -> float:
        """Examples a chip and second."""
        return self.batch_per_chip / self.roofline.step


def with_batch(config: Config, size: int) -> Config:
    """The same run with a batch of `size` examples."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, batch_size=size))


def with_mesh(config: Config, sizes: dict[str, int]) -> Config:
    """The same run on a mesh of these sizes."""
    return dataclasses.replace(config, mesh=dataclasses.replace(config.mesh, **sizes))


def make_plan(config: Config, topology: Topology, compiled: bool) -> Plan:
    """The plan of `config` on `topology`; with `compiled`, by the real compiler, which takes minutes.

    Raises `UserError` for a mesh, a batch or settings that `train.py` would refuse.
    """
    check_settings(config)
    mesh = mesh_of(topology, config.mesh)
    check_run(config, mesh)
    unplaced = with_batch(dataclasses.replace(config, mesh=MeshConfig()), 1)
    state, frozen = place_shapes(config, _parameter_shapes(unplaced), make_objective(config).rules, mesh)
    batch = abstract_batch(config, mesh)
    products = step_products(config, flatten(state.params))
    sizes = dict(mesh.shape)
    wires = Wires(topology, split_slices(mesh)[1], places(topology, mesh))
    expected = expected_collectives(config, products, state, frozen, mesh)
    work = chip_work(config, products, sizes, local_bytes(state.params))
    kept = kept_activations(config, products, mesh)
    estimated = estimated_temporaries(config, products, state, mesh, kept)

    temporaries, program, seconds, fits = estimated, 0.0, 0.0, True
    collectives = expected
    if compiled:
        if not topology.compiled:
            raise ValueError(f"there is no compiler for {topology.name}")
        result = compile_for(config, mesh, state, frozen, batch)
        program, seconds, fits = result.program, result.seconds, result.fits
        temporaries = result.temporaries if math.isfinite(result.temporaries) else estimated
        collectives = result.collectives if fits else expected
    memory = placed_memory(state, frozen, batch, kept, temporaries, program)
    network = [wires.seconds(collective) for collective in collectives]
    return Plan(
        config=config,
        topology=topology,
        sizes=sizes,
        products=products,
        memory=memory,
        collectives=collectives,
        network=network,
        work=work,
        roofline=roofline(topology.chip, work, sum(network, 0.0)),
        compiled=compiled,
        compile_seconds=seconds,
        fits=fits and memory.total <= topology.chip.hbm_gib * GIB,
        estimated_temporaries=estimated,
        expected_bytes=total_bytes(expected),
    )


@functools.lru_cache(maxsize=2)
def _parameter_shapes(config: Config) -> Params:
    """Shapes of all parameters; a search asks for them for every mesh and batch, of which they do not depend."""
    return jax.eval_shape(make_objective(config).init, jax.random.key(0))
