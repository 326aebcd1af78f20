import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from astra_jax.config import Config, MeshConfig, ModelConfig, TransformerConfig
from astra_jax.errors import UserError
from astra_jax.training.mesh import (
    AXES,
    check_axes,
    check_batch_size,
    fsdp,
    make_mesh,
    match_rule,
    shard_batch,
    shardings,
)


def struct(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def test_minus_one_takes_the_devices_that_are_left():
    mesh = make_mesh(MeshConfig(data=-1, fsdp=4))
    assert dict(mesh.shape) == {"data": 2, "fsdp": 4, "context": 1, "tensor": 1}
    assert mesh.axis_types == (AxisType.Auto,) * 4
    assert dict(make_mesh(MeshConfig(data=1, fsdp=-1), jax.devices()[:2]).shape)["fsdp"] == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            MeshConfig(data=3),
            "mesh data=3 fsdp=1 context=1 tensor=1 does not fit 8 devices; nearest: mesh data=8 fsdp=1",
        ),
        (MeshConfig(data=-1, fsdp=3), "nearest: mesh data=2 fsdp=4"),
        (MeshConfig(data=4), "does not fit 8 devices"),
        (MeshConfig(data=-1, fsdp=-1), "at most one of them is -1"),
        (MeshConfig(data=0), "at least 1"),
        (MeshConfig(dcn_data=2), "mesh.dcn_data=2, but the devices are in 1 processes: set mesh.dcn_data=1"),
        (MeshConfig(dcn_data=0), "mesh.dcn_data must be at least 1"),
    ],
)
def test_a_mesh_that_does_not_fit_names_the_nearest(config, message):
    with pytest.raises(UserError, match=message):
        make_mesh(config)


def test_fsdp_splits_the_largest_divisible_dimension():
    mesh = make_mesh(MeshConfig(data=2, fsdp=4))
    assert fsdp()((8, 12), mesh) == P(None, "fsdp")
    assert fsdp()((64, 12), mesh) == P("fsdp")
    assert fsdp()((8, 8), mesh) == P("fsdp")  # the first of equals
    assert fsdp(first=1)((64, 8, 4), mesh) == P(None, "fsdp")
    assert fsdp()((3, 3, 6, 16), mesh) == P(None, None, None, "fsdp")
    assert fsdp()((7, 5), mesh) == P()
    with pytest.raises(UserError, match=r"mesh.fsdp=4 divides no dimension of \(301, 301\)"):
        fsdp()((301, 301), mesh)
    assert fsdp()((301, 301), make_mesh(MeshConfig(data=8))) == P()


def test_every_leaf_matches_exactly_one_rule():
    mesh = make_mesh(MeshConfig(data=2, fsdp=4))
    rules = ((r"kernel$", fsdp()), (r"bias$", P()))
    tree = {"a": {"kernel": struct(8, 16), "bias": struct(16)}, "count": struct()}
    placed = shardings(tree, rules, mesh)
    assert placed["a"]["kernel"].spec == P(None, "fsdp")
    assert placed["a"]["bias"].spec == P()
    assert placed["count"].spec == P()
    with pytest.raises(ValueError, match="no sharding rule matches a/scale"):
        shardings({"a": {"scale": struct(4)}}, rules, mesh)
    with pytest.raises(ValueError, match=r"a/kernel matches 2 sharding rules: kernel\$, a/"):
        match_rule("a/kernel", (*rules, ("a/", P())))
    with pytest.raises(ValueError, match=r"a/bias \(6,\) cannot be split"):
        shardings({"a": {"bias": struct(6)}}, ((r"bias$", P("fsdp")),), mesh)


def test_batches_are_split_over_data_and_fsdp():
    mesh = make_mesh(MeshConfig(data=2, fsdp=4))
    batch = {"x": np.arange(16.0).reshape(16, 1), "none": None}
    placed = shard_batch(batch, mesh)
    np.testing.assert_array_equal(placed["x"], batch["x"])
    assert placed["none"] is None
    assert {shard.data.shape for shard in placed["x"].addressable_shards} == {(2, 1)}
    with pytest.raises(UserError, match="batch_size 12 does not divide over mesh data x fsdp = 8; nearest: 16"):
        shard_batch({"x": np.zeros((12, 1))}, mesh)
    with pytest.raises(UserError, match="nearest: 8"):
        check_batch_size(3, mesh)


def test_tensor_takes_its_dimension_and_fsdp_another():
    mesh = make_mesh(MeshConfig(data=1, fsdp=2, tensor=4))
    assert fsdp(tensor=-1)((6, 8), mesh) == P("fsdp", "tensor")
    assert fsdp(tensor=-2)((8, 64), mesh) == P("tensor", "fsdp")
    assert fsdp(first=1, tensor=-1)((64, 6, 8), mesh) == P(None, "fsdp", "tensor")
    assert fsdp(tensor=-1)((6, 3), mesh) == P("fsdp")  # small
    with pytest.raises(UserError, match="mesh.tensor=4 divides no dimension of"):
        fsdp(tensor=-1)((2**16, 3), mesh)


@pytest.mark.parametrize(
    ("heads", "sizes", "message"),
    [
        (24, MeshConfig(context=4, tensor=2), None),
        (
            6,
            MeshConfig(context=8),
            "mesh.context x mesh.tensor = 8 does not divide the transformer's 6 heads; nearest: 6",
        ),
        (24, MeshConfig(data=1, fsdp=8), None),
    ],
)
def test_context_and_tensor_must_divide_the_heads(heads, sizes, message):
    transformer = TransformerConfig(width=16 * heads, heads=heads, axes_dim=(4, 6, 6))
    config = Config(model=ModelConfig(transformer=transformer))
    with pytest.raises(UserError, match=message) if message else contextlib.nullcontext():
        check_axes(config, make_mesh(sizes))


@dataclasses.dataclass(frozen=True)
class Chip:
    """What `mesh_utils` asks of a TPU."""

    id: int
    coords: tuple[int, int, int]
    platform: str = "tpu"
    device_kind: str = "TPU v5"
    core_on_chip: int = 0
    process_index: int = 0
    slice_index: int = 0


def pod(*shape):
    """Stand-ins for the chips of a torus, the first coordinate running fastest as in `jax.devices()`."""
    return [Chip(i, tuple(reversed(np.unravel_index(i, shape[::-1])))) for i in range(np.prod(shape))]


def spans(mesh, axis):
    """How many coordinates of each dimension of the torus the chips of a group along `axis` have."""
    place = AXES.index(axis)
    group = np.moveaxis(mesh.devices, place, 0).reshape(mesh.devices.shape[place], -1)[:, 0]
    return sorted(len(set(coordinate)) for coordinate in zip(*(chip.coords for chip in group), strict=True))


def test_axes_take_whole_dimensions_of_a_torus_or_else_parts():
    whole = make_mesh(MeshConfig(data=4, fsdp=16), pod(4, 4, 4))
    assert (spans(whole, "data"), spans(whole, "fsdp")) == ([1, 1, 4], [1, 4, 4])
    split = make_mesh(MeshConfig(data=8, fsdp=-1), pod(4, 4, 4))
    assert (spans(split, "data"), spans(split, "fsdp")) == ([1, 2, 4], [1, 2, 4])
    assert len(set(split.devices.flat)) == 64
    assert dict(make_mesh(MeshConfig(data=2, fsdp=8, context=2, tensor=2), pod(4, 4, 4)).shape)["fsdp"] == 8


def test_the_real_torus_is_laid_out_as_its_stand_in(tpus):
    for sizes in (MeshConfig(data=4, fsdp=16), MeshConfig(data=8, fsdp=8), MeshConfig(data=2, fsdp=32)):
        real, stand_in = make_mesh(sizes, tpus("v5p:4x4x4")), make_mesh(sizes, pod(4, 4, 4))
        for ours, theirs in zip(stand_in.devices.flat, real.devices.flat, strict=True):
            assert list(ours.coords) == list(theirs.coords)


def test_the_data_axis_runs_over_slices(tpus):
    devices = tpus("v5e:2x2", num_slices=2)
    mesh = make_mesh(MeshConfig(data=4, fsdp=2, dcn_data=2), devices)
    slices = np.vectorize(lambda device: device.slice_index)(mesh.devices).reshape(4, 2)
    np.testing.assert_array_equal(slices, [[0, 0], [0, 0], [1, 1], [1, 1]])
    with pytest.raises(UserError, match="mesh.dcn_data=1, but the devices are in 2 slices: set mesh.dcn_data=2"):
        make_mesh(MeshConfig(data=8), devices)
    with pytest.raises(UserError, match="mesh.data=1 does not divide over mesh.dcn_data=2"):
        make_mesh(MeshConfig(data=1, fsdp=8, dcn_data=2), devices)
