"""What the command line asks for, as one function: config, machine and batch in, plan and check of a block out."""

from __future__ import annotations

from collections.abc import Callable

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.planning.compile import BlockCheck, check_block
from astra_jax.planning.plan import Plan, make_plan, with_batch
from astra_jax.planning.search import search
from astra_jax.planning.topology import Topology, block_device, parse_topology


def requested_plan(
    config: Config,
    topology: str,
    batch_per_chip: float | None,
    searching: bool,
    compiles: int,
    analytic: bool,
    say: Callable[[str], None],
) -> tuple[Plan, BlockCheck | None]:
    """The plan, and FLOPs of one block against the compiler's (None for the autoencoder, which has no blocks).

    Args:
        config: the run.
        topology: the machine, "v5p:4x4x4".
        batch_per_chip: in place of the config's batch size; a part of 1 where axes split examples.
        searching: for the best mesh, in place of the config's.
        compiles: how many meshes of a search the compiler judges.
        analytic: ask no compiler for the step.
        say: is told what goes on.

    Raises `UserError` for a machine, a mesh or a batch that cannot be.
    """
    machine = parse_topology(topology)
    if batch_per_chip is not None:
        config = with_batch(config, whole_batch(batch_per_chip, machine))
    compiled = machine.compiled and not analytic
    if searching:
        plan = search(config, machine, compiles if compiled else 0, say)
    else:
        if compiled:
            say("compiling the step; this takes minutes for a model of FLUX's size")
        plan = make_plan(config, machine, compiled)
    return plan, check_block(config, block_device(machine)) if config.train.objective == "astra" else None


def whole_batch(per_chip: float, machine: Topology) -> int:
    """Examples of all chips; raises `UserError` where they are no whole number of at least 1."""
    size = round(per_chip * machine.chips)
    if size < 1 or abs(size - per_chip * machine.chips) > 1e-6:
        raise UserError(f"--batch_per_chip {per_chip:g} on {machine.chips} chips makes no whole batch")
    return size
