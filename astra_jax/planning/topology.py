"""Machines by name: "v5p:4x4x4" is a slice of a TPU pod, "2xv6e:16x16" two, "h200:8" so many GPUs in nodes of eight."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Int

from astra_jax.config import MeshConfig
from astra_jax.costs.chips import CHIPS, Chip
from astra_jax.errors import UserError
from astra_jax.training.mesh import make_mesh

_MOST_CHIPS = 2**16


@dataclasses.dataclass(frozen=True)
class Topology:
    """`shape` is the torus of a TPU slice; GPUs have one dimension, and nothing but analysis.

    The data centre's network connects `slices` of them.
    """

    name: str
    chip: Chip
    shape: tuple[int, ...]
    slices: int = 1

    @property
    def chips(self) -> int:
        """How many there are."""
        return math.prod(self.shape) * self.slices

    @property
    def compiled(self) -> bool:
        """Whether the real compiler can be had without the hardware."""
        return self.chip.platform == "tpu"


def parse_topology(name: str) -> Topology:
    """The machine that CHIP:SIZE names; raises `UserError` for any other text."""
    form = "CHIP:SIZE, as in v5p:4x4x4, v5e:8x8 or h200:8, or SLICESxCHIP:SIZE, as in 2xv6e:16x16"
    match = re.fullmatch(r"(?:(\d{1,5})x)?([a-z0-9]+):(\d{1,5}(?:x\d{1,5})*)", name)
    if not match:
        raise UserError(f"--topology {name!r} must be {form}")
    known = {chip.name: chip for chip in CHIPS}
    slices, kind, size = match.groups(default="1")
    if kind not in known:
        near = difflib.get_close_matches(kind, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UserError(f"--topology {name!r}: the chip {kind} is unknown; {hint}")
    topology = Topology(name, known[kind], tuple(int(side) for side in size.split("x")), int(slices))
    chip, shape = topology.chip, topology.shape
    dimensions = {"v5p": 3, "v5e": 2, "v6e": 2}.get(chip.name, 1)
    if len(shape) != dimensions or not 0 < topology.chips <= _MOST_CHIPS:
        raise UserError(
            f"--topology {name!r}: {chip.name} takes {dimensions} dimension{'s' * (dimensions > 1)} of at least 1 chip"
            f" and {_MOST_CHIPS} chips at most; {form}"
        )
    if topology.slices > 1 and not topology.compiled:
        raise UserError(f"--topology {name!r}: GPUs do not come in slices, name them as {kind}:{topology.chips}")
    return topology


@dataclasses.dataclass(frozen=True)
class PlannedGpu:
    """Stands in a mesh for a GPU of some other machine; nothing can be compiled for it or put on it."""

    id: int
    process_index: int  # the node
    device_kind: str
    platform: str = "gpu"


def mesh_of(topology: Topology, config: MeshConfig) -> Mesh:
    """The mesh of the config over the machine, whose devices exist in name alone.

    `dcn_data` is the number of a TPU's slices also where the config leaves it at 1. Raises `UserError` for sizes that
    do not fit the number of chips or slices, and where libtpu is missing.
    """
    chip, slices = topology.chip, topology.slices
    if not topology.compiled:
        return make_mesh(config, [PlannedGpu(i, i // chip.wraps, chip.kind) for i in range(topology.chips)])
    if config.dcn_data not in (1, slices):
        raise UserError(
            f"mesh.dcn_data={config.dcn_data}, but the slices of --topology {topology.name} are {slices}: set"
            f" mesh.dcn_data={slices}, or name the machine with its slices, as in 2xv6e:16x16"
        )
    return make_mesh(dataclasses.replace(config, dcn_data=slices), tpu_devices(topology))


def tpu_devices(topology: Topology) -> list[Any]:
    """Devices that programs can be compiled for and not run on; raises `UserError` without libtpu."""
    from jax.errors import JaxRuntimeError
    from jax.experimental import topologies

    name = f"{topology.chip.name}:{'x'.join(map(str, topology.shape))}"
    several = {} if topology.slices == 1 else {"num_slices": topology.slices}
    try:
        devices = topologies.get_topology_desc(topology_name=name, platform="tpu", **several).devices
    except JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--topology {topology.name}: the TPU compiler refuses it: {reason}") from error
    except (ImportError, NotImplementedError, RuntimeError, OSError) as error:
        raise UserError(
            f"--topology {topology.name} needs the TPU compiler, and libtpu is not there ({error}): "
            "pip install 'astra_jax[plan]', or name GPUs, as in h200:8"
        ) from error
    if len(devices) != topology.chips:
        raise UserError(f"--topology {topology.name}: the TPU compiler knows {len(devices)} devices of it")
    return list(devices)


def places(topology: Topology, mesh: Mesh) -> Int[np.ndarray, "chips dims"]:
    """Where the chips of the flattened mesh stand: torus coordinates, or (node, place in it) of GPUs."""
    devices = list(mesh.devices.flat)
    if topology.compiled:
        return np.array([device.coords[: len(topology.shape)] for device in devices])
    return np.array([(device.process_index, device.id % topology.chip.wraps) for device in devices])


def split_slices(mesh: Mesh) -> tuple[int, dict[str, int]]:
    """(number of slices, sizes of the mesh within each). Whole slices follow one another along the data axis."""
    slices = len({getattr(device, "slice_index", 0) for device in mesh.devices.flat})
    return slices, dict(mesh.shape) | {"data": mesh.shape["data"] // slices}


def block_device(topology: Topology) -> Any:
    """A device to compile a part of the model for: the TPU compiler's first, or this machine's CPU."""
    return tpu_devices(dataclasses.replace(topology, slices=1))[0] if topology.compiled else jax.devices("cpu")[0]
