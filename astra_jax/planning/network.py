"""How long collectives take on the links of a machine: bytes over bandwidth, and a latency a hop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from astra_jax.planning.collectives import SLICES, Collective
from astra_jax.planning.topology import Topology

# Our assumptions: for each chip that a message passes, and for one from slice to slice.
HOP_SECONDS, SLICE_SECONDS = 1e-6, 50e-6


@dataclasses.dataclass(frozen=True)
class Wires:
    """The chips of a mesh and the wires between them; of several slices one stands for all."""

    topology: Topology
    sizes: dict[str, int]  # of the mesh axes, in a slice
    places: Int[np.ndarray, "chips dims"]  # of the chips of the flattened mesh, in a slice

    def bandwidth(self, axes: Sequence[str], group: int) -> tuple[float, int]:
        """(bytes/s that a chip can send, hops) for collectives in groups of `group` chips along some mesh axes.

        In a torus the group uses both directions of each dimension that it spans, one where it is not closed to a ring.
        Members that stand `stride` chips apart share their wires with the groups of the chips between them. Between
        nodes of GPUs every member in a node brings its own network adapter.
        """
        chip = self.topology.chip
        members = self._members(axes)[:group]
        spans = [np.unique(places) for places in members.T]
        if chip.platform == "gpu":
            nodes = len(spans[0])
            if nodes == 1:
                return chip.link, 1
            return min(chip.link, chip.network * len(members) / nodes), nodes
        links, hops = 0.0, 0
        for size, span in zip(self.topology.shape, spans, strict=True):
            if len(span) > 1:
                stride = int(np.diff(span).min())
                ring = size % chip.wraps == 0 and len(span) * stride == size
                links += (2 if ring else 1) / stride
                hops += len(span) * stride // 2
        return chip.link * (links or 1.0), hops

    def _members(self, axes: Sequence[str]) -> Int[np.ndarray, "group dims"]:
        """Places of the chips that differ from the first one along these axes alone."""
        ids = np.arange(math.prod(self.sizes.values())).reshape(tuple(self.sizes.values()))
        chosen = ids[tuple(slice(None) if axis in axes else 0 for axis in self.sizes)]
        return self.places[chosen.reshape(-1)]

    def seconds(self, collective: Collective) -> float:
        """Time of all its runs in a step, one after the other; between slices every chip has its share of a network."""
        if collective.axes == (SLICES,):
            return collective.bytes / self.topology.chip.network + collective.runs * SLICE_SECONDS
        bandwidth, hops = self.bandwidth(collective.axes, collective.group)
        return collective.bytes / bandwidth + collective.runs * hops * HOP_SECONDS
