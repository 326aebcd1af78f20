import dataclasses

import numpy as np
import pytest
from jax.sharding import Mesh

from astra_jax.config import MeshConfig
from astra_jax.errors import UserError
from astra_jax.planning.collectives import SLICES, Collective
from astra_jax.planning.network import HOP_SECONDS, SLICE_SECONDS, Wires
from astra_jax.planning.topology import Topology, mesh_of, parse_topology, places, split_slices


def test_names():
    slice_ = parse_topology("v5p:4x4x8")
    assert (slice_.chips, slice_.shape, slice_.compiled) == (128, (4, 4, 8), True)
    assert parse_topology("h100:64").chips == 64
    assert not parse_topology("h200:8").compiled
    two = parse_topology("2xv6e:16x16")
    assert (two.slices, two.shape, two.chips, two.chip.name) == (2, (16, 16), 512, "v6e")
    assert slice_.slices == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v5p", "must be CHIP:SIZE, as in v5p:4x4x4"),
        ("v5p:4x4x", "must be CHIP:SIZE"),
        ("v5q:4x4x4", "the chip v5q is unknown; did you mean v5"),
        ("banana:8", "there are v5p, v5e"),
        ("v5p:4x4", "v5p takes 3 dimensions"),
        ("h200:2x4", "h200 takes 1 dimension of"),
        ("h200:0", "at least 1 chip"),
        ("v5e:99999x99999", "65536 chips at most"),
        ("300xv6e:16x16", "65536 chips at most"),
        ("0xv6e:16x16", "at least 1 chip"),
        ("xv6e:16x16", "the chip xv6e is unknown; did you mean v6e"),
        ("2xh200:8", "GPUs do not come in slices, name them as h200:16"),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        parse_topology(name)


def test_gpus_stand_in_nodes_of_eight():
    topology = parse_topology("h100:16")
    mesh = mesh_of(topology, MeshConfig(data=2, fsdp=-1))
    assert dict(mesh.shape) == {"data": 2, "fsdp": 8, "context": 1, "tensor": 1}
    np.testing.assert_array_equal(places(topology, mesh)[[0, 7, 8]], [[0, 0], [0, 7], [1, 0]])
    with pytest.raises(UserError, match="mesh data=3 .* does not fit 16 devices; nearest"):
        mesh_of(topology, MeshConfig(data=3))


def wires(name, **sizes):
    topology = parse_topology(name)
    grid = np.stack(np.unravel_index(np.arange(topology.chips), topology.shape), -1)
    if not topology.compiled:
        grid = np.stack([np.arange(topology.chips) // 8, np.arange(topology.chips) % 8], -1)
    return Wires(topology, sizes, grid)


def test_a_ring_uses_both_directions_of_each_dimension_that_it_spans():
    pod = wires("v5p:4x4x4", data=4, fsdp=16)
    assert pod.bandwidth(("fsdp",), 16) == (4 * 100e9, 4)  # two dimensions of four, two hops each
    assert pod.bandwidth(("data",), 4) == (2 * 100e9, 2)
    assert pod.bandwidth(("data", "fsdp"), 64) == (6 * 100e9, 6)
    assert wires("v5e:4x4", data=4, fsdp=4).bandwidth(("fsdp",), 4) == (50e9, 2)  # a line: too short to be closed
    assert wires("v5e:16x16", data=16, fsdp=16).bandwidth(("fsdp",), 16) == (100e9, 8)


def test_an_axis_along_a_part_of_a_dimension_has_fewer_wires():
    pod = wires("v5p:4x4x4", data=4, fsdp=16)  # z is the last dimension of the grid, and fsdp's inner one
    halves = Wires(pod.topology, {"data": 32, "fsdp": 2}, pod.places)  # fsdp: z 0 and 1, data: z 0 and 2, and all x, y
    assert halves.bandwidth(("fsdp",), 2) == (100e9, 1)  # neighbours on a ring of four, with one wire between them
    # Two rings of four with both directions; of the third every second chip, whose wires two groups share.
    assert halves.bandwidth(("data",), 32) == ((2 + 2 + 2 / 2) * 100e9, 2 + 2 + 2)
    line = wires("v5e:1x8", data=4, fsdp=2)
    assert line.bandwidth(("data",), 4) == (50e9 / 2, 4)


def test_between_nodes_each_member_brings_its_adapter():
    cluster = wires("h100:64", data=8, fsdp=8)
    assert cluster.bandwidth(("fsdp",), 8) == (450e9, 1)  # within a node
    assert cluster.bandwidth(("data",), 8) == (50e9, 8)  # one of each node
    assert cluster.bandwidth(("data", "fsdp"), 64) == (8 * 50e9, 8)


def test_seconds_are_bytes_over_bandwidth_and_a_latency_a_run():
    pod = wires("v5p:4x4x4", data=4, fsdp=16)
    gather = Collective("all-gather", ("fsdp",), 16, runs=10, bytes=4e9)
    assert pod.seconds(gather) == pytest.approx(4e9 / 400e9 + 10 * 4 * HOP_SECONDS)


def test_between_slices_every_chip_has_its_share_of_the_data_centres_network():
    slices = wires("v5p:4x4x4", data=4, fsdp=16)
    exchange = Collective("all-reduce", (SLICES,), 2, runs=10, bytes=5e9)
    assert slices.seconds(exchange) == pytest.approx(5e9 / 6.25e9 + 10 * SLICE_SECONDS)


def test_the_config_may_leave_the_number_of_slices_to_the_machine():
    for name, slices in (("2xv5e:2x2", 2), ("v5e:2x2", 1)):
        with pytest.raises(
            UserError,
            match=f"mesh.dcn_data=4, but the slices of --topology {name} are {slices}: set mesh.dcn_data={slices}",
        ):
            mesh_of(parse_topology(name), MeshConfig(data=4, dcn_data=4))


def test_slices_of_a_mesh():
    chips = [dataclasses.make_dataclass("Chip", ["slice_index"], frozen=True)(index // 6) for index in range(12)]
    mesh = Mesh(np.array(chips, object).reshape(4, 3), ("data", "fsdp"))
    assert split_slices(mesh) == (2, {"data": 2, "fsdp": 3})
    assert split_slices(mesh_of(parse_topology("h100:16"), MeshConfig(data=2, fsdp=-1)))[0] == 1


def test_a_machine_without_compiler_says_so(monkeypatch):
    from jax.experimental import topologies

    def refuse(**_):
        raise ImportError("no libtpu")

    monkeypatch.setattr(topologies, "get_topology_desc", refuse)
    with pytest.raises(UserError, match=r"libtpu is not there .*pip install 'astra_jax\[plan\]'"):
        mesh_of(Topology("v5p:2x2x1", parse_topology("v5p:2x2x1").chip, (2, 2, 1)), MeshConfig())
