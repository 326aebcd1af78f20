"""The device mesh, rule tables from parameter paths to partition specs, and batches on the mesh.

Rule tables follow big_vision and t5x: regexes on paths. Ours must match every leaf exactly once, so that no table
depends on its order and a renamed parameter cannot fall back to being replicated unseen.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from astra_jax.config import Config, MeshConfig
from astra_jax.errors import UserError
from astra_jax.training.partition import leaves_with_paths

AXES = ("data", "fsdp", "context", "tensor")
BATCH_AXES = ("data", "fsdp")

SpecFunction = Callable[[tuple[int, ...], Mesh], PartitionSpec]
Spec = PartitionSpec | SpecFunction
Rules = tuple[tuple[str, Spec], ...]


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of all `devices` (default: every device of every process) with the axes data, fsdp, context, tensor.

    One size may be -1 and takes the devices that are left. The axes are Auto: the compiler completes the shardings.
    With `dcn_data` above 1 the data axis runs first over so many slices (TPUs) or processes (other devices), and all
    other axes stay within one. On a TPU pod an axis takes whole dimensions of the torus where sizes allow that, and
    else a part of some (as maxtext and t5x have it; `python -m astra_jax.plan` tells what that costs). Raises
    `UserError` for sizes whose product is not the number of devices, naming the nearest sizes that fit, and for a
    `dcn_data` that is not the number of slices.
    """
    devices = jax.devices() if devices is None else list(devices)
    sizes = [getattr(config, axis) for axis in AXES]
    if sizes.count(-1) > 1 or any(size < 1 and size != -1 for size in sizes):
        raise UserError(f"{_describe(sizes)}: sizes are at least 1 and at most one of them is -1 (the devices left)")
    known = math.prod(size for size in sizes if size != -1)
    if (-1 in sizes and len(devices) % known) or (-1 not in sizes and known != len(devices)):
        nearest = _nearest_sizes(sizes, len(devices))
        raise UserError(f"{_describe(sizes)} does not fit {len(devices)} devices; nearest: {_describe(nearest)}")
    sizes = [len(devices) // known if size == -1 else size for size in sizes]
    slices = _slices(devices, config.dcn_data)
    if sizes[0] % slices:
        raise UserError(f"mesh.data={sizes[0]} does not divide over mesh.dcn_data={slices}: choose a multiple of it")
    if slices == 1:
        grid = mesh_utils.create_device_mesh(sizes, devices, allow_split_physical_axes=True)
    else:
        grid = mesh_utils.create_hybrid_device_mesh(
            (sizes[0] // slices, *sizes[1:]),
            (slices, 1, 1, 1),
            devices,
            process_is_granule=not _has_slices(devices),
            allow_split_physical_axes=True,
        )
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def _slices(devices: Sequence[Any], wanted: int) -> int:
    """`wanted`, the number of groups of devices that the slow network connects, if there are so many."""
    if wanted < 1:
        raise UserError(f"mesh.dcn_data must be at least 1, not {wanted}")
    kind, attribute = ("slices", "slice_index") if _has_slices(devices) else ("processes", "process_index")
    found = len({getattr(device, attribute) for device in devices})
    # Devices of one process or of many may well be one group; TPU slices never are.
    if wanted == found or (wanted == 1 and kind == "processes"):
        return wanted
    raise UserError(f"mesh.dcn_data={wanted}, but the devices are in {found} {kind}: set mesh.dcn_data={found}")


def _has_slices(devices: Sequence[Any]) -> bool:
    return devices[0].platform == "tpu" and hasattr(devices[0], "slice_index")


def _describe(sizes: Sequence[int]) -> str:
    return "mesh " + " ".join(f"{axis}={size}" for axis, size in zip(AXES, sizes, strict=True))


def _nearest_sizes(wanted: Sequence[int], devices: int) -> tuple[int, ...]:
    """The factorisation of `devices` with the smallest sum of |log(size / wanted)|; a wanted -1 costs nothing.

    Of equals the one that changes the fewest axes.
    """
    divisors = [n for n in range(1, devices + 1) if devices % n == 0]

    def cost(sizes: tuple[int, ...]) -> tuple[float, int]:
        pairs = [(size, want) for size, want in zip(sizes, wanted, strict=True) if want != -1]
        distance = sum(abs(math.log(size / want)) for size, want in pairs)
        return round(distance, 9), sum(size != want for size, want in pairs)

    products = itertools.product(divisors, repeat=len(wanted))
    return min((sizes for sizes in products if math.prod(sizes) == devices), key=cost)


def fsdp(first: int = 0, small: int = 2**16, tensor: int | None = None) -> SpecFunction:
    """A spec that splits a leaf's largest dimension divisible by the fsdp axis, from dimension `first` on.

    `first=1` keeps the layer dimension of scanned blocks whole, `first=-2` all but the last two. Dimension `tensor`
    (-1: a linear map's outputs, -2: its inputs) is split over the tensor axis where there is one, and another over
    fsdp. A leaf of fewer than `small` elements that has no such dimension is replicated; a larger one raises
    `UserError`.
    """

    def spec(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
        axes: list[str | None] = [None] * len(shape)

        def split(name: str, dimensions: list[int]) -> None:
            size = mesh.shape[name]
            divisible = [(shape[axis], -axis) for axis in dimensions if axes[axis] is None and shape[axis] % size == 0]
            if size == 1 or (not divisible and math.prod(shape) < small):
                return
            if not divisible:
                raise UserError(f"mesh.{name}={size} divides no dimension of {shape}: choose a smaller mesh.{name}")
            axes[-max(divisible)[1]] = name

        if tensor is not None:
            split("tensor", [len(shape) + tensor])
        split("fsdp", list(range(first if first >= 0 else len(shape) + first, len(shape))))
        while axes and axes[-1] is None:
            axes.pop()
        return PartitionSpec(*axes)

    return spec


def match_rule(path: str, rules: Rules) -> tuple[str, Spec]:
    """The one rule whose regex is found in `path`; raises ValueError if there is none or more than one."""
    matches = [(pattern, spec) for pattern, spec in rules if re.search(pattern, path)]
    if not matches:
        raise ValueError(f"no sharding rule matches {path}")
    if len(matches) > 1:
        raise ValueError(f"{path} matches {len(matches)} sharding rules: {', '.join(p for p, _ in matches)}")
    return matches[0]


def shardings(tree: Any, rules: Rules, mesh: Mesh) -> Any:
    """A `NamedSharding` for every leaf of `tree` (arrays or ShapeDtypeStructs), scalars replicated.

    Paths of Adam's moments and of the EMA end with the parameter's path, so regexes anchored at the end alone serve
    all of them. Raises ValueError for a leaf that no rule or more than one rule matches, and for a spec whose axes do
    not divide the leaf.
    """

    def one(path: str, leaf: Any) -> NamedSharding:
        if leaf.ndim == 0:
            return NamedSharding(mesh, PartitionSpec())
        _, spec = match_rule(path, rules)
        if callable(spec):
            spec = spec(leaf.shape, mesh)
        sharding = NamedSharding(mesh, spec)
        try:
            sharding.shard_shape(leaf.shape)
        except ValueError as error:
            raise ValueError(f"{path} {leaf.shape} cannot be split as {spec} over {dict(mesh.shape)}") from error
        return sharding

    treedef = jax.tree.structure(tree)
    return jax.tree.unflatten(treedef, [one(path, leaf) for path, leaf in leaves_with_paths(tree)])


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading dimension is split over the data and fsdp axes."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises `UserError` unless `batch_size` (of all processes together) divides over the data and fsdp axes."""
    shards = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    if batch_size < 1 or batch_size % shards:
        nearest = max(1, round(batch_size / shards)) * shards
        raise UserError(
            f"train.batch_size {batch_size} does not divide over mesh data x fsdp = {shards}; nearest: {nearest}"
        )


@functools.lru_cache(maxsize=8)
def process_share(mesh: Mesh) -> tuple[tuple[int, ...], int]:
    """(parts, count): which of the `count` equal parts of a batch's rows this process's devices hold, in order.

    They need not lie side by side: where the mesh follows a pod's wiring, a machine's chips may be far apart in it.
    Processes that share the work on an example hold the same parts.
    """
    count = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    places = batch_sharding(mesh).addressable_devices_indices_map((count,)).values()
    return tuple(sorted({place[0].indices(count)[0] for place in places if place is not None})), count


def check_axes(config: Config, mesh: Mesh) -> None:
    """Raises `UserError` for sizes of the context and tensor axes that the objective's model does not divide over."""
    context, tensor = mesh.shape["context"], mesh.shape["tensor"]
    if config.train.objective == "autoencoder":
        if context * tensor > 1:
            raise UserError(
                "mesh.context and mesh.tensor must be 1 for the autoencoder, which has no tokens or heads to split:"
                " use mesh.data or mesh.fsdp"
            )
        return
    if config.train.objective == "keypoints":
        if context * tensor > 1:
            raise UserError("mesh.context and mesh.tensor must be 1 for keypoints, small networks: use mesh.data")
        return
    heads = config.model.transformer.heads
    if heads % (context * tensor):
        nearest = min((n for n in range(1, heads + 1) if heads % n == 0), key=lambda n: abs(n - context * tensor))
        raise UserError(
            f"mesh.context x mesh.tensor = {context * tensor} does not divide the transformer's {heads} heads;"
            f" nearest: {nearest}"
        )


def check_run(config: Config, mesh: Mesh) -> None:
    """Raises `UserError` where the mesh does not divide a run's model (`check_axes`) or batch (`check_batch_size`)."""
    check_axes(config, mesh)
    check_batch_size(config.train.batch_size, mesh)


def shard_batch(batch: Any, mesh: Mesh) -> Any:
    """Puts this process's numpy arrays on the mesh, examples split over the data and fsdp axes.

    Every process brings its `process_share` of the global batch. Raises `UserError` for a batch that does not divide.
    """
    sharding = batch_sharding(mesh)
    parts, count = process_share(mesh)

    def put(leaf: Any) -> jax.Array:
        leaf = np.asarray(leaf)
        rows = leaf.shape[0] // len(parts)  # a part
        check_batch_size(leaf.shape[0] * count // len(parts), mesh)
        begins = {part * rows: place * rows for place, part in enumerate(parts)}

        def piece(index: Any) -> np.ndarray:
            begin = begins[index[0].indices(rows * count)[0]]
            return leaf[begin : begin + rows]

        return jax.make_array_from_callback((rows * count, *leaf.shape[1:]), sharding, piece)

    return jax.tree.map(put, batch)
