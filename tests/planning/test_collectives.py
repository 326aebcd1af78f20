import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from astra_jax.config import MeshConfig
from astra_jax.planning.collectives import (
    SLICES,
    Collective,
    bytes_sent,
    find_collectives,
    replica_groups,
    varying_axes,
)
from astra_jax.planning.hlo import Instruction
from astra_jax.planning.topology import split_slices
from astra_jax.training.mesh import make_mesh

SIZES = {"data": 2, "fsdp": 4, "context": 1, "tensor": 1}


def test_a_recorded_program_of_eight_devices():
    """The gradient of five layers tanh(x w) in a scan: w is f32[16, 16] over fsdp, x is split over data and fsdp."""
    text = (pathlib.Path(__file__).parent / "scan_on_2x4.hlo").read_text()
    assert find_collectives(text, SIZES) == [
        Collective("all-gather", ("fsdp",), 4, 10, 10 * 1024 * 3 / 4),  # forward and backward
        Collective("all-reduce", ("fsdp",), 4, 5, 5 * 2 * 1024 * 3 / 4),  # the gradient; this CPU has no scatter
        Collective("all-reduce", ("data",), 2, 5, 5 * 2 * 256 * 1 / 2),  # of a quarter of it
    ]


def test_a_program_compiled_now():
    mesh = make_mesh(MeshConfig(data=2, fsdp=4))

    def placed(*spec):
        return NamedSharding(mesh, P(*spec))

    x = jax.ShapeDtypeStruct((8, 4), jnp.float32, sharding=placed(("data", "fsdp")))
    mean = jax.jit(lambda x: jnp.sum(x, 0), out_shardings=placed()).lower(x).compile().as_text()
    assert find_collectives(mean, SIZES) == [Collective("all-reduce", ("data", "fsdp"), 8, 1, 2 * 16 * 7 / 8)]
    gather = jax.jit(lambda x: x + 1, out_shardings=placed("data")).lower(x).compile().as_text()
    assert find_collectives(gather, SIZES) == [Collective("all-gather", ("fsdp",), 4, 1, 4 * 16 * 3 / 4)]
    alone = jax.jit(lambda x: x + 1, out_shardings=placed(("data", "fsdp"))).lower(x).compile().as_text()
    assert find_collectives(alone, SIZES) == []


TPU = """HloModule jit_step, is_scheduled=true

%all-reduce-scatter (p: bf16[8,4]) -> bf16[2,4] {
  %p = bf16[8,4]{1,0:T(8,128)(2,1)} parameter(0)
  %ar = bf16[8,4]{1,0:T(8,128)(2,1)} all-reduce(%p), channel_id=1, replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%add
  ROOT %ds = bf16[2,4]{1,0:T(2,128)(2,1)} dynamic-slice(%ar), dynamic_slice_sizes={2,4}
}

ENTRY %main (a: bf16[8,4]) -> bf16[2,4] {
  %a = bf16[8,4]{1,0:T(8,128)(2,1)} parameter(0)
  %cp = (bf16[8,4]{1,0:T(8,128)(2,1)S(1)}, bf16[8,4]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%a), channel_id=2, source_target_pairs={{0,4},{4,0}}
  %ag = (bf16[2,4]{1,0}, bf16[8,4]{1,0}) all-gather-start(%a), channel_id=3, replica_groups=[2,4]<=[8], dimensions={0}
  ROOT %fusion = bf16[2,4]{1,0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter
}
"""  # noqa: E501


def test_the_tpu_compilers_spellings():
    assert {(c.kind, c.axes, c.group, c.bytes) for c in find_collectives(TPU, SIZES)} == {
        ("reduce-scatter", ("fsdp",), 4, 64 * 3 / 4),
        ("collective-permute", ("data",), 2, 64.0),
        ("all-gather", ("fsdp",), 4, 64 * 3 / 4),
    }


SLICED = """HloModule jit_step, is_scheduled=true, num_partitions=8

%body (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %p = (s32[], f32[8,4]) parameter(0)
  %send = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) send(%x, %t), channel_id=2, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_megascale_target="{1,2}x{0:7}",_xla_megascale_transfer_type="ALL_REDUCE"}
  %recv = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) recv(%t), channel_id=1, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_megascale_target="{1,2}x{0:7}",_xla_megascale_transfer_type="ALL_REDUCE"}
}

ENTRY %main (a: f32[8,4]) -> f32[8,4] {
  %a = f32[8,4]{1,0:T(8,128)} parameter(0)
  %log = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) send(%a, %t), channel_id=3, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="tf_rendezvous"}
  %ag = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) send(%a, %t), channel_id=4, is_host_transfer=true, frontend_attributes={_xla_megascale_transfer_type="ALL_GATHER"}
  ROOT %while = (s32[], f32[8,4]) while(%a), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"5"}}
}
"""  # noqa: E501


def test_what_goes_from_slice_to_slice():
    assert find_collectives(SLICED, SIZES, 3) == [
        Collective("all-reduce", (SLICES,), 3, 5, 5 * (2 * 128 * 2 / 3)),
        Collective("all-gather", (SLICES,), 3, 1, 128 * 2.0),
    ]


def test_a_program_of_two_slices_compiled_now(tpus):
    """The gradient of sum (x w)^2: w is f32[1024, 1024] over fsdp, x is split over data and fsdp."""
    devices = tpus("v6e:4x4", num_slices=2)
    mesh = make_mesh(MeshConfig(data=4, fsdp=8, dcn_data=2), devices)
    w = jax.ShapeDtypeStruct((1024, 1024), jnp.float32, sharding=NamedSharding(mesh, P("fsdp")))
    x = jax.ShapeDtypeStruct((64, 1024), jnp.float32, sharding=NamedSharding(mesh, P(("data", "fsdp"))))
    gradient = jax.jit(jax.grad(lambda w, x: jnp.sum((x @ w) ** 2)), out_shardings=w.sharding)
    slices, sizes = split_slices(mesh)
    assert (slices, sizes["data"], sizes["fsdp"]) == (2, 2, 8)
    found = find_collectives(gradient.lower(w, x).compile().as_text(), sizes, slices)
    assert {(c.kind, c.axes, c.group) for c in found} >= {
        ("all-gather", ("fsdp",), 8),
        ("reduce-scatter", ("fsdp",), 8),
        ("all-reduce", (SLICES,), 2),
    }
    (between,) = (c for c in found if c.axes == (SLICES,))
    assert between.bytes == 4 * 1024 * 1024 / 8  # each chip's part of the gradient, as the compiler pads small ones


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("replica_groups={{0,2},{1,3}}, dimensions={0}", [[0, 2], [1, 3]]),
        ("replica_groups={}, dimensions={0}", [[0, 1, 2, 3]]),
        ("to_apply=%add", [[0, 1, 2, 3]]),
        ("replica_groups=[2,2]<=[4]", [[0, 1], [2, 3]]),
        ("replica_groups=[2,2]<=[2,2]T(1,0), use", [[0, 2], [1, 3]]),
        ("replica_groups=mesh['a'=2,'b'=2] {'b'}, use", [[0, 1], [2, 3]]),
        ("replica_groups=mesh['a'=2,'b'=2] {'a'}, use", [[0, 2], [1, 3]]),
        ("replica_groups=mesh['a'=4] {'a':(1)2}, use", [[0, 2], [1, 3]]),
        ("replica_groups=mesh['a'=4] {'a':(2)2}, use", [[0, 1], [2, 3]]),
        ("replica_groups=mesh['a'=2,'b'=2], device_ids=([2,2]T(1,0)) {'a'}, use", [[0, 1], [2, 3]]),
        ("source_target_pairs={{0,1},{1,2}}, metadata", [[0, 1], [1, 2]]),
    ],
)
def test_groups(text, groups):
    np.testing.assert_array_equal(replica_groups(text, 4), groups)


def test_an_unknown_form_is_an_error():
    with pytest.raises(ValueError, match="unknown form"):
        replica_groups("replica_groups=v9:abc", 4)


def test_axes_of_groups():
    assert varying_axes(np.array([[0, 1], [2, 3]]), SIZES) == ("fsdp",)
    assert varying_axes(np.array([[0, 4]]), SIZES) == ("data",)
    assert varying_axes(np.array([[0, 5]]), SIZES) == ("data", "fsdp")


@pytest.mark.parametrize(
    ("kind", "sent"),
    [("all-gather", 96), ("all-reduce", 192), ("reduce-scatter", 384), ("all-to-all", 96), ("collective-permute", 128)],
)
def test_bytes_of_a_ring_of_four(kind, sent):
    assert bytes_sent(kind, Instruction("x", kind, "f32[8,4]{1,0}", ""), 4) == sent
