"""Mesh shapes for a machine: all that can be, ordered by estimate; the compiler then judges the first few."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.planning.plan import Plan, make_plan, with_mesh
from astra_jax.planning.topology import Topology
from astra_jax.training.mesh import AXES


class NothingFits(UserError):
    """No mesh leaves room enough; a smaller batch may."""


def mesh_shapes(config: Config, chips: int) -> Iterator[dict[str, int]]:
    """Sizes of (data, fsdp, context, tensor) whose product is `chips`, as far as batch and heads can be split so."""
    divisors = [size for size in range(1, chips + 1) if chips % size == 0]
    for sizes in itertools.product(divisors, repeat=len(AXES)):
        shape: dict[str, int] = dict(zip(AXES, sizes, strict=True))
        heads = config.model.transformer.heads
        if (
            math.prod(sizes) == chips
            and config.train.batch_size % (shape["data"] * shape["fsdp"]) == 0
            and heads % (shape["context"] * shape["tensor"]) == 0
        ):
            yield shape


def search(config: Config, topology: Topology, compiles: int, say: Callable[[str], None]) -> Plan:
    """The best plan that fits, as `preferred` has it.

    Estimates order all shapes that training accepts; the compiler then judges the first `compiles` of those that fit
    by estimate (none where there is no compiler). If the compiler refuses all of them, the next ones by memory follow.
    Raises `UserError` where nothing fits.
    """
    estimates, refused = [], None
    for sizes in mesh_shapes(config, topology.chips):
        try:
            estimates.append(make_plan(with_mesh(config, sizes), topology, False))
        except UserError as error:
            refused = error  # sizes that divide no dimension of some weight, or that training does not take
    if not estimates:
        raise refused or UserError(
            f"train.batch_size {config.train.batch_size} cannot be split over {topology.name} with any mesh"
        )
    fitting = preferred([plan for plan in estimates if plan.fits])
    say(f"{len(estimates)} mesh shapes, {len(fitting)} fit by estimate")
    for plan in fitting[:8]:
        say(f"  {describe(plan)}")
    if not topology.compiled or compiles == 0:
        if not fitting:
            raise NothingFits(_nothing_fits(config, topology, min(estimates, key=lambda p: p.memory.total)))
        return fitting[0]
    rest = sorted((p for p in estimates if not p.fits), key=lambda p: p.memory.total)
    judged = []
    for plan in (fitting + rest)[:compiles]:
        say(f"compiling {shape_text(plan.sizes)}")
        judged.append(make_plan(plan.config, topology, True))
        say(f"  {describe(judged[-1])} (compiled in {judged[-1].compile_seconds:.0f} s)")
    good = [plan for plan in judged if plan.fits]
    if not good:
        raise NothingFits(_nothing_fits(config, topology, min(judged, key=lambda p: p.memory.total)))
    return preferred(good)[0]


def preferred(plans: Sequence[Plan]) -> list[Plan]:
    """The fastest first; of those within a percent of the fastest, the one that needs least memory."""
    limit = 1.01 * min((plan.roofline.step for plan in plans), default=0.0)
    return sorted(plans, key=lambda plan: (max(plan.roofline.step, limit), plan.memory.total))


def _nothing_fits(config: Config, topology: Topology, best: Plan) -> str:
    return (
        f"no mesh found for {config.train.batch_size} examples on {topology.name}: the smallest,"
        f" {shape_text(best.sizes)}, needs {best.memory.total / 2**30:.1f} of {topology.chip.hbm_gib:.1f} GiB; lower"
        " --batch_per_chip"
    )


def shape_text(sizes: dict[str, int]) -> str:
    """ "data=2 fsdp=32", axes of size 1 left out."""
    return " ".join(f"{axis}={size}" for axis, size in sizes.items() if size > 1) or "one chip"


def describe(plan: Plan) -> str:
    """One line: mesh, memory, time."""
    return (
        f"{shape_text(plan.sizes)}: {plan.memory.total / 2**30:.1f} GiB, {plan.roofline.step:.3f} s a step,"
        f" MFU {plan.roofline.mfu:.0%}{'' if plan.fits else ', does not fit'}"
    )
