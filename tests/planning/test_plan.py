import dataclasses
import math

import jax
import numpy as np
import pytest

from astra_jax.costs.products import Product
from astra_jax.costs.step import condition_pictures, step_flops, tokens
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.planning import roofline as r
from astra_jax.planning.compile import check_block, out_of_memory
from astra_jax.planning.memory import GIB, local_bytes
from astra_jax.planning.plan import make_plan, with_batch
from astra_jax.planning.report import report, summary
from astra_jax.planning.request import requested_plan
from astra_jax.planning.search import mesh_shapes, preferred, search
from astra_jax.planning.topology import mesh_of, parse_topology
from astra_jax.training.initialize import targets
from astra_jax.training.objectives import make_objective

GPUS = parse_topology("h200:8")


def test_memory_of_the_state_is_what_its_shards_hold(run):
    plan = make_plan(run, GPUS, compiled=False)
    state, frozen = targets(run, make_objective(run), mesh_of(GPUS, run.mesh))
    sizes = {name: leaf.size for name, leaf in flatten(state.params).items()}
    whole = {name: leaf for name, leaf in flatten(state.params).items() if leaf.sharding.is_fully_replicated}
    split = sum(size for name, size in sizes.items() if name not in whole)
    assert plan.memory.trained == 4 * (split / 8 + sum(leaf.size for leaf in whole.values()))
    assert plan.memory.average == plan.memory.trained
    assert plan.memory.optimizer == 2 * plan.memory.trained + 2 * 4  # two moments; Adam's and the schedule's counts
    assert plan.memory.frozen == local_bytes(frozen)
    assert plan.memory.frozen < 2 * sum(leaf.size for leaf in jax.tree.leaves(frozen))  # bfloat16, most of it split
    assert plan.fits


def test_what_is_kept_for_the_backward_pass_by_hand(run, change):
    model = run.model
    images = tokens(model, (run.data.height, run.data.width))
    images += sum(count * length for count, length in condition_pictures(run))
    sizes = model.transformer
    every_block = sizes.double_blocks + sizes.single_blocks

    def plan(remat):
        kept = change(model, transformer={"remat": remat}).transformer
        return make_plan(change(run, model={"transformer": kept}), GPUS, compiled=False)

    full = plan("full")
    inputs = (images + model.text_length) * sizes.width * every_block
    assert full.memory.activations == run.train.batch_size / 8 * jax.numpy.dtype(model.dtype).itemsize * inputs
    assert full.memory.activations + full.memory.temporaries == pytest.approx(full.estimated_temporaries)
    assert full.memory.temporaries > full.memory.trained  # gradients
    assert full.memory.activations < plan("dots").memory.activations < plan("none").memory.activations


def test_a_chip_does_its_share_of_the_step(run, change):
    trained = flatten(targets(run, make_objective(run), mesh_of(GPUS, run.mesh))[0].params)
    needed = run.train.batch_size * step_flops(run, trained)
    plan = make_plan(run, GPUS, compiled=False)
    assert plan.work.needed == pytest.approx(needed / 8)
    blocks = sum(p.forward for p in plan.products if r.is_block(p))
    again = run.train.batch_size * blocks / 8
    assert plan.work.executed == pytest.approx(plan.work.needed + again)
    kept = change(run, model={"transformer": change(run.model, transformer={"remat": "none"}).transformer})
    assert make_plan(kept, GPUS, compiled=False).work.executed == pytest.approx(needed / 8)


def test_gradients_are_summed_over_data_and_weights_gathered_over_fsdp(run, change):
    alone = make_plan(change(run, mesh={"data": 8, "fsdp": 1}), GPUS, compiled=False)
    assert [(c.kind, c.axes) for c in alone.collectives] == [("all-reduce", ("data",))]
    assert alone.collectives[0].bytes == 2 * 7 / 8 * alone.memory.trained
    split = make_plan(run, GPUS, compiled=False)
    assert {(c.kind, c.axes) for c in split.collectives} == {("all-gather", ("fsdp",)), ("reduce-scatter", ("fsdp",))}


def test_between_slices_every_chip_sums_its_part_of_the_gradients(run, change, tpus):
    tpus("v5e:2x2")  # the compiler is there
    run = change(run, mesh={"data": 4, "fsdp": 2})
    plan = make_plan(run, parse_topology("2xv5e:2x2"), compiled=False)
    moved = {c.axes: c for c in plan.collectives}
    assert moved["data",].bytes == 2 * plan.memory.trained / 2
    assert moved["slices",].bytes == 2 * plan.memory.trained / 2 / 2
    assert (moved["slices",].group, moved["fsdp",].group) == (2, 2)
    assert "mesh data=4 fsdp=2 over 2 slices (mesh.dcn_data=2)" in report(plan, None)[0]
    numbers = summary(plan, None)
    assert (numbers["slices"], numbers["chips"], numbers["mesh"]["data"]) == (2, 8, 4)
    one = make_plan(change(run, mesh={"data": 2}), parse_topology("v5e:2x2"), compiled=False)
    assert summary(one, None)["slices"] == 1
    assert "slices" not in report(one, None)[0]


def test_the_roofline_by_hand():
    work = r.Work(needed=5e14, executed=7e14, traffic=1e12)
    line = r.roofline(GPUS.chip, work, network=0.08)
    compute, memory, network = 7e14 / (989.5e12 * 0.7), 1e12 / (4.8e12 * 0.8), 0.08 / 0.8
    assert (line.compute, line.memory, line.network) == pytest.approx((compute, memory, network))
    assert line.step == pytest.approx(compute + 0.1 * (memory + network))
    assert line.mfu == pytest.approx(5e14 / (line.step * 989.5e12))
    assert line.bound == "compute"
    assert r.roofline(GPUS.chip, work, network=8.0).bound == "network"


def test_what_is_recomputed():
    block, attention = (
        Product("lora/x", 1, 1, 1),
        Product("transformer/single_blocks/attention", 1, 1, 1, weights=False),
    )
    assert [r.recomputed(block, remat) for remat in ("full", "dots", "none")] == [1, 0, 0]
    assert [r.recomputed(attention, remat) for remat in ("full", "dots", "none")] == [1, 1, 0]
    assert r.recomputed(Product("t5/x", 1, 1, 1), "full") == 0


def test_mesh_shapes_divide_batch_and_heads(run):
    shapes = list(mesh_shapes(with_batch(run, 4), 8))
    assert {"data": 4, "fsdp": 1, "context": 2, "tensor": 1} in shapes
    assert {"data": 8, "fsdp": 1, "context": 1, "tensor": 1} not in shapes  # 4 examples
    assert {"data": 1, "fsdp": 1, "context": 8, "tensor": 1} not in shapes  # 4 heads
    assert all(math.prod(shape.values()) == 8 for shape in shapes)


def test_the_search_takes_the_fastest_that_fits(run):
    said = []
    best = search(run, GPUS, 0, said.append)
    assert "mesh shapes" in said[0]
    others = [make_plan(run, GPUS, compiled=False)]
    assert best.fits
    assert all(best.roofline.step <= other.roofline.step for other in others)


def test_a_percent_of_time_is_given_for_memory(run, change):
    plans = [make_plan(change(run, mesh=mesh), GPUS, compiled=False) for mesh in ({"fsdp": 8}, {"data": 8, "fsdp": 1})]

    def timed(plan, seconds):
        return dataclasses.replace(plan, roofline=dataclasses.replace(plan.roofline, step=seconds))

    lean, wide = sorted(plans, key=lambda plan: plan.memory.total)
    assert preferred([timed(wide, 1.0), timed(lean, 1.009)])[0].sizes == lean.sizes
    assert preferred([timed(wide, 1.0), timed(lean, 1.02)])[0].sizes == wide.sizes
    assert preferred([]) == []


def test_nothing_fits(run, change):
    huge = change(with_batch(run, 8 * 10**6), data={"height": 512, "width": 512})
    with pytest.raises(UserError, match="no mesh found for 8000000 examples on h200:8: .* lower --batch_per_chip"):
        search(huge, GPUS, 0, lambda _: None)


@pytest.mark.parametrize(
    ("machine", "groups", "per_chip", "message"),
    [
        ("h200:8", {"mesh": {"data": 3}}, None, "does not fit 8 devices; nearest"),
        ("h200:8", {"train": {"batch_size": 12}}, None, "train.batch_size 12 does not divide"),
        ("h200:8", {}, 0.3, "--batch_per_chip 0.3 on 8 chips makes no whole batch"),
        ("h200:8", {}, 0.0, "makes no whole batch"),
    ],
)
def test_what_cannot_be_is_refused(run, change, machine, groups, per_chip, message):
    with pytest.raises(UserError, match=message):
        requested_plan(change(run, **groups), machine, per_chip, False, 0, True, print)


def test_the_report_and_its_summary_agree(run):
    plan = make_plan(run, GPUS, compiled=False)
    text, numbers = "\n".join(report(plan, None)), summary(plan, None)
    assert "PREDICTED, not measured" in text
    assert "analytic, no compiler was asked" in text
    assert f"{numbers['hbm_gib']:.2f} of {numbers['hbm_limit_gib']:.1f} GiB, fits" in text
    assert sum(numbers["memory_gib"].values()) == pytest.approx(plan.memory.total / GIB)
    assert numbers["days_100k"] == pytest.approx(1e5 * numbers["step_seconds"] / 86400)
    assert numbers["chip_hours_100k"] == pytest.approx(numbers["days_100k"] * 24 * 8)
    assert numbers["measured"] is False


def test_the_compilers_refusals_are_read():
    message = (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (195.92G)"
        " exceeds available HBM (95.74G)."
    )
    assert out_of_memory(message) == pytest.approx(195.92 * 2**30)
    assert out_of_memory("RESOURCE_EXHAUSTED: Used 20.5G of 15.75G hbm. Exceeded") == pytest.approx(20.5 * 2**30)
    assert np.isnan(out_of_memory("RESOURCE_EXHAUSTED: something else"))
    assert out_of_memory("INTERNAL: a bug") is None


def test_one_block_of_flux_by_hand_and_by_the_compiler():
    from astra_jax.config import from_config_dict
    from configs.flux import get_config

    check = check_block(from_config_dict(get_config()), jax.devices()[0])
    assert check.counted > 1e12
    assert 0 < check.deviation < 0.01  # norms and activations
