"""Machines by name: "v5p:4x4x4" is a slice of a TPU pod, "h200:8" so many GPUs in nodes of eight."""

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
    """`shape` is the torus of a TPU slice; GPUs have one dimension, and nothing but analysis."""

    name: str
    chip: Chip
    shape: tuple[int, ...]

    @property
    def chips(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    @property
    def compiled(self) -> bool:
        """Whether the real compiler can be had without the hardware."""
        return self.chip.platform == "tpu"


def parse_topology(name: str) -> Topology:
    """The machine that CHIP:SIZE names; raises `UserError` for any other text."""
    form = "CHIP:SIZE, as in v5p:4x4x4, v5e:8x8 or h200:8"
    match = re.fullmatch(r"([a-z0-9]+):(\d{1,5}(?:x\d{1,5})*)", name)
    if not match:
        raise UserError(f"--topology {name!r} must be {form}")
    known = {chip.name: chip for chip in CHIPS}
    if match.group(1) not in known:
        near = difflib.get_close_matches(match.group(1), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UserError(f"--topology {name!r}: the chip {match.group(1)} is unknown; {hint}")
    chip, shape = known[match.group(1)], tuple(int(size) for size in match.group(2).split("x"))
    dimensions = {"v5p": 3, "v5e": 2, "v6e": 2}.get(chip.name, 1)
    if len(shape) != dimensions or 0 in shape or math.prod(shape) > _MOST_CHIPS:
        raise UserError(
            f"--topology {name!r}: {chip.name} takes {dimensions} dimension{'s' * (dimensions > 1)} of at least 1 chip"
            f" and {_MOST_CHIPS} chips at most; {form}"
        )
    return Topology(name, chip, shape)


@dataclasses.dataclass(frozen=True)
class PlannedGpu:
    """Stands in a mesh for a GPU of some other machine; nothing can be compiled for it or put on it."""

    id: int
    process_index: int  # the node
    device_kind: str
    platform: str = "gpu"


def mesh_of(topology: Topology, config: MeshConfig) -> Mesh:
    """The mesh of the config over the machine, whose devices exist in name alone.

    Raises `UserError` for sizes that do not fit the number of chips, and where libtpu is missing.
    """
    chip = topology.chip
    if not topology.compiled:
        return make_mesh(config, [PlannedGpu(i, i // chip.wraps, chip.kind) for i in range(topology.chips)])
    return make_mesh(config, tpu_devices(topology))


def tpu_devices(topology: Topology) -> list[Any]:
    """Devices that programs can be compiled for and not run on; raises `UserError` without libtpu."""
    from jax.errors import JaxRuntimeError
    from jax.experimental import topologies

    try:
        devices = topologies.get_topology_desc(topology_name=topology.name, platform="tpu").devices
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


def block_device(topology: Topology) -> Any:
    """A device to compile a part of the model for: the TPU compiler's first, or this machine's CPU."""
    return tpu_devices(topology)[0] if topology.compiled else jax.devices("cpu")[0]
