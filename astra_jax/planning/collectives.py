"""Which collectives a compiled program runs, over which axes of the mesh, and what they move."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from astra_jax.planning.hlo import Instruction, elements, parse, shape_bytes

KINDS = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all", "collective-permute")
SLICES = "slices"  # stands for the part of the data axis that runs over the slices of a machine


@dataclasses.dataclass(frozen=True)
class Collective:
    """Collectives of one kind over the same axes, all runs of a step together."""

    kind: str
    axes: tuple[str, ...]  # along which the members of a group differ: of the mesh, or `SLICES`
    group: int  # members of a group
    runs: int
    bytes: float  # that one chip sends in a step

    def named(self) -> str:
        """ "all-gather over fsdp"."""
        return f"{self.kind} over {' x '.join(self.axes) or 'one chip'}"


def find_collectives(text: str, sizes: dict[str, int], slices: int = 1) -> list[Collective]:
    """The collectives of an optimised HLO module, most bytes first.

    Args:
        text: `compiled.as_text()`.
        sizes: of the mesh axes, in order; partition i of the program is place i of the flattened mesh. Of several
            slices every one has a program like this, and these are the sizes within it.
        slices: how many there are.

    A ring over g chips sends size (g - 1) / g for a gather, a scatter and an exchange of arrays whose whole has `size`
    bytes, and twice that for an all-reduce.
    """
    sums: dict[tuple[str, tuple[str, ...], int], tuple[int, float]] = {}

    def add(kind: str, axes: tuple[str, ...], group: int, times: int, sent: float) -> None:
        runs, total = sums.get((kind, axes, group), (0, 0.0))
        sums[kind, axes, group] = (runs + times, total + times * sent)

    for computation, instruction, times in parse(text).runs():
        if instruction.opcode == "send" and (between := _MEGASCALE.search(instruction.rest)):
            # To the host, which exchanges it with those of the other slices.
            kind, size = between.group(1).lower().replace("_", "-"), shape_bytes(elements(instruction.shape)[0])
            sent = 2 * size * (slices - 1) / slices if kind == "all-reduce" else float(size * (slices - 1))
            add(kind, (SLICES,), slices, times, sent)
            continue
        kind = instruction.opcode.removesuffix("-start")
        if kind not in KINDS or times == 0:
            continue
        groups = replica_groups(instruction.rest, int(np.prod(list(sizes.values()))))
        if groups.shape[1] < 2:
            continue
        # The TPU compiler writes a reduce-scatter as a fusion of an all-reduce and the slice of it that is kept.
        if kind == "all-reduce" and "all-reduce-scatter" in computation:
            kind = "reduce-scatter"
            sent = shape_bytes(instruction.shape) * (groups.shape[1] - 1) / groups.shape[1]
        else:
            sent = bytes_sent(kind, instruction, groups.shape[1])
        add(kind, varying_axes(groups, sizes), groups.shape[1], times, sent)
    found = [Collective(*key, runs, total) for key, (runs, total) in sums.items()]
    return sorted(found, key=lambda collective: -collective.bytes)


_MEGASCALE = re.compile(r'_xla_megascale_transfer_type="(\w+)"')


def bytes_sent(kind: str, instruction: Instruction, group: int) -> float:
    """Bytes that one chip of a ring of `group` sends for one collective."""
    parts = elements(instruction.shape)
    if instruction.opcode.endswith("-start") and kind in ("all-gather", "collective-permute"):
        parts = parts[1:2]  # (what goes in, what comes out, ...)
    size, share = sum(shape_bytes(part) for part in parts), (group - 1) / group
    if kind == "all-reduce":
        return 2 * size * share
    if kind == "reduce-scatter":
        return float(size * (group - 1))
    return float(size) if kind == "collective-permute" else size * share


def replica_groups(text: str, count: int) -> Int[np.ndarray, "groups members"]:
    """The groups of partitions of a collective over `count`, from its attributes.

    Four spellings: [2,4]<=[4,2]T(1,0), {{0,1},{2,3}}, mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'a'}, and
    source_target_pairs, each of which is a group. No groups at all mean everybody. Raises ValueError for a fifth one.
    """
    if pairs := re.search(r"source_target_pairs=\{(\{.*?\})\}", text):
        return _lists(pairs.group(1))
    attribute = re.search(r"replica_groups=(.*)", text)
    if attribute is None or attribute.group(1).startswith("{}"):
        return np.arange(count)[None]
    value = attribute.group(1)
    if iota := re.match(r"\[(\d+),(\d+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", value):
        rows, columns, shape, order = iota.groups()
        ids = np.arange(count).reshape(_numbers(shape))
        return (ids.transpose(_numbers(order)) if order else ids).reshape(int(rows), int(columns))
    if value.startswith("{{"):
        return _lists(value[1 : value.index("}}") + 1])
    if mesh := re.match(r"mesh\[([^\]]*)\](?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))? \{([^}]*)\}", value):
        axes, shape, order, chosen = mesh.groups()
        ids = np.arange(count).reshape(_numbers(shape)) if shape else np.arange(count)
        return _mesh_groups(axes, ids.transpose(_numbers(order)) if order else ids, chosen)
    raise ValueError(f"replica groups of an unknown form: {value[:80]}")


def _mesh_groups(mesh: str, ids: Int[np.ndarray, "..."], axes: str) -> Int[np.ndarray, "groups members"]:
    """Groups along some axes of a mesh of partitions; 'a':(m)n is the middle of a split of a into m, n, the rest."""
    sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", mesh)}
    chosen = [(name, int(before or 1), int(part or sizes[name])) for name, before, part in _AXIS.findall(axes)]
    shape, members = [], []
    for name, size in sizes.items():
        begun = 1
        for _, before, part in sorted((axis for axis in chosen if axis[0] == name), key=lambda axis: axis[1]):
            shape += [before // begun, part]
            members.append(len(shape) - 1)
            begun = before * part
        shape.append(size // begun)
    others = [axis for axis in range(len(shape)) if axis not in members]
    group = int(np.prod([shape[axis] for axis in members]))
    return ids.reshape(shape).transpose(others + members).reshape(-1, group)


_AXIS = re.compile(r"'([^']+)'(?::\((\d+)\)(\d+))?")


def varying_axes(groups: Int[np.ndarray, "groups members"], sizes: dict[str, int]) -> tuple[str, ...]:
    """The axes along which the members of any group differ."""
    places = np.stack(np.unravel_index(groups, tuple(sizes.values())), -1)
    differ = (places != places[:, :1]).any((0, 1))
    return tuple(axis for axis, differs in zip(sizes, differ, strict=True) if differs)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _lists(text: str) -> Int[np.ndarray, "groups members"]:
    """{0,1},{2,3} as an array; TPU programs have no groups of unequal size."""
    return np.array([_numbers(group) for group in re.findall(r"\{([\d,]+)\}", text)])


def total_bytes(collectives: Sequence[Collective]) -> float:
    """Bytes that one chip sends in a step."""
    return float(sum(collective.bytes for collective in collectives))
