"""A plan in words for people, and as one JSON object for programs."""

from __future__ import annotations

from typing import Any

from astra_jax.costs.products import totals
from astra_jax.planning.compile import BlockCheck
from astra_jax.planning.memory import GIB
from astra_jax.planning.plan import Plan
from astra_jax.planning.roofline import ASSUMPTIONS
from astra_jax.planning.search import shape_text

RUN_STEPS = 100_000


def report(plan: Plan, check: BlockCheck | None) -> list[str]:
    """Lines of text."""
    chip, line, memory = plan.topology.chip, plan.roofline, plan.memory
    by = "the TPU compiler's figures" if plan.compiled else "analytic, no compiler was asked"
    yes = "fits" if plan.fits else "DOES NOT FIT"
    lines = [
        f"{plan.topology.name}: {plan.topology.chips} {chip.kind}, mesh {_mesh(plan)},"
        f" {plan.config.train.batch_size} examples a step ({plan.batch_per_chip:g} a chip)",
        f"compiled in {plan.compile_seconds:.0f} s" if plan.compiled else "not compiled",
        "",
        f"Memory a chip ({by}): {memory.total / GIB:.2f} of {chip.hbm_gib:.1f} GiB, {yes}",
        *(f"  {name:<34}{size / GIB:9.3f} GiB" for name, size in _memory(plan)),
        *_estimates(plan),
        "",
        "FLOPs an example, by hand (forward + backward)",
        *(f"  {part:<34}{forward / 1e12:9.3f} + {back / 1e12:.3f} TFLOP" for part, (forward, back) in _parts(plan)),
        f"  needed a chip and step {plan.work.needed / 1e12:.1f} TFLOP, with recomputation"
        f" {plan.work.executed / 1e12:.1f} TFLOP",
    ]
    if check is not None:
        lines.append(
            f"  one block of each kind, forward: {check.counted / 1e12:.4f} TFLOP by hand,"
            f" {check.compiler / 1e12:.4f} by the compiler ({check.deviation:+.1%})"
        )
    source = "from the compiled program" if plan.compiled and plan.fits else "expected by hand"
    lines += ["", f"Collectives a chip and step ({source})"]
    for collective, seconds in zip(plan.collectives, plan.network, strict=True):
        if collective.bytes >= 1e6:
            lines.append(
                f"  {collective.named():<34}{collective.bytes / 1e9:9.3f} GB in {collective.runs} runs, groups of"
                f" {collective.group}: {seconds:.3f} s at the full rate"
            )
    if not plan.collectives:
        lines.append("  none")
    days = RUN_STEPS * line.step / 86_400
    return [
        *lines,
        "",
        f"Step: compute {line.compute:.3f} s, memory {line.memory:.3f} s, network {line.network:.3f} s ->"
        f" {line.step:.3f} s, bound by {line.bound}; MFU {line.mfu:.1%}",
        f"  {plan.images_per_chip_second:.3f} images/s a chip; {RUN_STEPS:,} steps take {days:.2f} days and"
        f" {days * 24 * plan.topology.chips:,.0f} chip-hours",
        "PREDICTED, not measured. Assumptions:",
        *(f"  - {assumption}" for assumption in ASSUMPTIONS),
    ]


def summary(plan: Plan, check: BlockCheck | None) -> dict[str, Any]:
    """The same for programs."""
    days = RUN_STEPS * plan.roofline.step / 86_400
    return {
        "topology": plan.topology.name,
        "chips": plan.topology.chips,
        "slices": plan.topology.slices,
        "mesh": plan.sizes,
        "batch_size": plan.config.train.batch_size,
        "batch_per_chip": plan.batch_per_chip,
        "compiled": plan.compiled,
        "compile_seconds": round(plan.compile_seconds, 1),
        "fits": plan.fits,
        "hbm_gib": plan.memory.total / GIB,
        "hbm_limit_gib": plan.topology.chip.hbm_gib,
        "memory_gib": {name: size / GIB for name, size in _memory(plan)},
        "flops_per_chip": plan.work.needed,
        "flops_executed_per_chip": plan.work.executed,
        "block_flops_deviation": None if check is None else check.deviation,
        "collectives": [
            {"kind": c.kind, "axes": list(c.axes), "group": c.group, "runs": c.runs, "bytes": c.bytes, "seconds": s}
            for c, s in zip(plan.collectives, plan.network, strict=True)
        ],
        "compute_seconds": plan.roofline.compute,
        "memory_seconds": plan.roofline.memory,
        "network_seconds": plan.roofline.network,
        "step_seconds": plan.roofline.step,
        "estimated_temporaries_gib": plan.estimated_temporaries / GIB,
        "expected_bytes": plan.expected_bytes,
        "bound": plan.roofline.bound,
        "mfu": plan.roofline.mfu,
        "images_per_second_per_chip": plan.images_per_chip_second,
        "days_100k": days,
        "chip_hours_100k": days * 24 * plan.topology.chips,
        "measured": False,
    }


def _mesh(plan: Plan) -> str:
    slices = plan.topology.slices
    return shape_text(plan.sizes) + (f" over {slices} slices (mesh.dcn_data={slices})" if slices > 1 else "")


def _memory(plan: Plan) -> list[tuple[str, float]]:
    memory = plan.memory
    return [
        ("frozen weights", memory.frozen),
        ("trained weights", memory.trained),
        ("moving average", memory.average),
        ("optimizer", memory.optimizer),
        ("batch", memory.batch),
        ("activations", memory.activations),
        ("temporaries", memory.temporaries),
        ("program", memory.program),
    ]


def _estimates(plan: Plan) -> list[str]:
    """How far our own model is from the compiler, where both are known."""
    if not (plan.compiled and plan.fits):
        return []
    within = plan.memory.activations + plan.memory.temporaries
    off = plan.estimated_temporaries / within - 1
    return [
        f"  our own estimate of activations and temporaries: {plan.estimated_temporaries / GIB:.2f} GiB ({off:+.0%})"
    ]


def _parts(plan: Plan) -> list[tuple[str, tuple[float, float]]]:
    return sorted(totals(plan.products).items(), key=lambda item: -sum(item[1]))
