"""Published tensors into leaves: checked against the model first, then read layer by layer to where they belong.

At no time does the host hold more than the layer it reads and its own shards of the leaf it fills, so a file of 24 GB
needs 24 GB once, on the devices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding
from jaxtyping import Array, Shaped

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten, unflatten
from astra_jax.weights.mapping import Leaf, Naming, load_layers, naming_shapes, one, published_names
from astra_jax.weights.pretrained import DTYPES, WEIGHTS, find_pretrained, save_stream
from astra_jax.weights.sources import PathLike
from astra_jax.weights.tensors import READABLE, Tensors, open_tensors, some

Progress = Callable[[int], object]


def check_published(tensors: Tensors, naming: Naming, abstract: Params, unread: str = "") -> None:
    """Raises `UserError` unless `tensors` are exactly what `naming` makes the leaves of `abstract` from.

    `unread` is a regex of whole names that may be there besides.

    The one line names the tensors that are missing, unknown, of another shape or of a dtype that is not read. Only
    headers are looked at. Raises ValueError where `naming` and `abstract` disagree about the leaves.
    """
    leaves = flatten(abstract)
    if set(leaves) != set(naming):
        raise ValueError(f"the naming and the tree differ in {sorted(set(leaves) ^ set(naming))}")
    want = naming_shapes(naming, leaves)
    have = tensors.entries
    both = sorted(set(want) & set(have))
    unknown = sorted(name for name in set(have) - set(want) if not (unread and re.fullmatch(unread, name)))
    kinds = [(name, have[name].shape, have[name].dtype) for name in both]
    shapes = [f"{name} {list(shape)}, not {list(want[name])}" for name, shape, _ in kinds if shape != want[name]]
    dtypes = [f"{name} {dtype}" for name, _, dtype in kinds if dtype not in READABLE]
    problems = [
        f"{len(names)} {what} ({some(names, separator)})"
        for what, names, separator in (
            ("missing", sorted(set(want) - set(have)), ", "),
            ("unknown", unknown, ", "),
            ("of another shape", shapes, "; "),
            (f"of a dtype other than {', '.join(READABLE)}", dtypes, ", "),
        )
        if names
    ]
    if problems:
        raise UserError(
            f"{tensors.name} does not fit this model: {', '.join(problems)}: give the weights it was made for"
        )


def stream_layers(
    tensors: Tensors, leaf: Leaf, dtype: Any, progress: Progress | None = None
) -> Iterator[Shaped[np.ndarray, "..."]]:
    """The layers of one leaf in `dtype`; `progress` is called with the bytes of every tensor read.

    Raises `UserError` for a layer with NaN or infinite values, naming its tensors.
    """

    def read(name: str) -> Shaped[np.ndarray, "..."]:
        tensor = tensors.read(name)
        if progress is not None:
            progress(tensor.nbytes)
        return tensor

    for names, layer in zip(leaf.layers, load_layers(leaf, read), strict=True):
        yield _finite(layer, dtype, f"{tensors.name}: {some(list(names))}")


def _finite(values: Shaped[np.ndarray, "..."], dtype: Any, name: str) -> Shaped[np.ndarray, "..."]:
    with np.errstate(over="ignore", invalid="ignore"):
        cast = values.astype(dtype, copy=False)
    if not np.isfinite(cast).all():
        raise UserError(
            f"{name} has values that are NaN or infinite as {np.dtype(dtype).name}: "
            "the weights are damaged, or need a dtype of more range"
        )
    return cast


def load_published(
    tensors: Tensors,
    naming: Naming,
    abstract: Params,
    dtype: Any = np.float32,
    shardings: Params | None = None,
    progress: Progress | None = None,
    unread: str = "",
) -> Params:
    """The tree of `abstract` from published tensors; everything is checked before the first tensor is read.

    Args:
        tensors: opened files.
        naming: where each leaf comes from, by path in `abstract`.
        abstract: arrays or ShapeDtypeStructs; their dtypes do not matter.
        dtype: of the result.
        shardings: a `jax.sharding.Sharding` a leaf: the result is on those devices. None: numpy arrays.
        progress: called with the bytes of every tensor read.
        unread: as in `check_published`.

    Every process of a run calls it and keeps its own shards. Raises `UserError` as `check_published` and
    `stream_layers` do; nothing is returned then.
    """
    check_published(tensors, naming, abstract, unread)
    leaves, where = flatten(abstract), flatten(shardings) if shardings is not None else None
    loaded: dict[str, Any] = {}
    for path, leaf in naming.items():
        layers = stream_layers(tensors, leaf, dtype, progress)
        shape = tuple(leaves[path].shape)
        loaded[path] = _fill(layers, shape, leaf.stacked, dtype) if where is None else place(
            layers, shape, leaf.stacked, dtype, where[path]
        )  # fmt: skip
    return unflatten(loaded)


def own_naming(tree: Params) -> Naming:
    """The naming of our own files: every tensor is a leaf under its path."""
    return {path: one(path) for path in flatten(tree)}


def place_pretrained(
    folder: PathLike, abstract: Params, wanted: Container[str] | None = None, progress: Progress | None = None
) -> Params:
    """The parts of `abstract` that a folder of pretrained weights has, each tensor straight onto its devices.

    Args:
        folder: of pretrained weights, or a training run's workdir.
        abstract: part -> its tree of `jax.ShapeDtypeStruct` with the dtype and the sharding that the result has.
        wanted: the paths to read, all by default; the others are checked, and left out of the result.
        progress: called with the bytes of every piece read.

    A part that is there must fit whole; parts that `abstract` does not have are left out. Every process of a run calls
    it and keeps its own shards. Raises `UserError` as `load_published` does, and where no part is there.
    """
    path = find_pretrained(folder) / WEIGHTS
    with open_tensors(path) as tensors:
        parts = {name.partition("/")[0] for name in tensors.entries}
        common = {part: tree for part, tree in abstract.items() if part in parts}
        if not common:
            raise UserError(f"{folder} has {some(sorted(parts))} but this model needs {some(sorted(abstract))}")
        unread = "|".join(f"{re.escape(part)}/.*" for part in sorted(parts - set(common)))
        check_published(tensors, own_naming(common), common, unread)

        def pieces(name: str, leaf: jax.ShapeDtypeStruct) -> Iterator[Shaped[np.ndarray, "..."]]:
            # Blocks lie one behind the other, so the layers of a stacked leaf need not come all at once.
            stacked = len(leaf.shape) > 2
            for index in range(leaf.shape[0] if stacked else 1):
                piece = tensors.read_layer(name, index) if stacked else tensors.read(name)
                if progress is not None:
                    progress(piece.nbytes)
                yield _finite(piece, leaf.dtype, f"{path}: {name}")

        return unflatten(
            {
                name: place(pieces(name, leaf), leaf.shape, len(leaf.shape) > 2, leaf.dtype, leaf.sharding)
                for name, leaf in flatten(common).items()
                if wanted is None or name in wanted
            }
        )


def place(
    layers: Iterator[Shaped[np.ndarray, "..."]], shape: tuple[int, ...], stacked: bool, dtype: Any, sharding: Sharding
) -> Shaped[Array, "..."]:
    """An array on the devices of `sharding` from layers that come one at a time, each read once.

    `stacked`: the leading axis counts the layers; otherwise the one layer is the array.
    """
    devices = {
        device: tuple(slice(*part.indices(length)) for part, length in zip(index, shape, strict=True))
        for device, index in sharding.addressable_devices_indices_map(shape).items()
        if index is not None
    }
    # Devices that hold the same part share its buffer.
    keys = {device: tuple((part.start, part.stop) for part in index) for device, index in devices.items()}
    indices = {keys[device]: index for device, index in devices.items()}
    buffers = {key: np.empty(tuple(part.stop - part.start for part in index), dtype) for key, index in indices.items()}
    for number, layer in enumerate(layers):
        for key, index in indices.items():
            if not stacked:
                buffers[key][...] = layer[index]
            elif index[0].start <= number < index[0].stop:
                buffers[key][number - index[0].start] = layer[index[1:]]
    shards = [jax.device_put(buffers[key], device) for device, key in keys.items()]
    return jax.make_array_from_single_device_arrays(shape, sharding, shards)


def _fill(
    layers: Iterator[Shaped[np.ndarray, "..."]], shape: tuple[int, ...], stacked: bool, dtype: Any
) -> Shaped[np.ndarray, "..."]:
    filled = np.empty(shape, dtype)
    for number, layer in enumerate(layers):
        filled[number if stacked else ...] = layer
    return filled


def total_bytes(tensors: Tensors, naming: Naming) -> int:
    """Bytes that `load_published` will read, for a progress bar."""
    return sum(tensors.entries[name].bytes for name in published_names(naming) if name in tensors.entries)


def import_parts(
    parts: dict[str, tuple[Tensors, Naming]],
    abstract: Params,
    config: Config,
    folder: PathLike,
    dtype: str = "bfloat16",
    progress: Progress | None = None,
) -> None:
    """Writes published parts as a folder of pretrained weights, holding one layer in memory at a time.

    Args:
        parts: part -> opened files and their naming, already held to `abstract` by `check_published`.
        abstract: the shapes of at least those parts.
        config: goes to config.json.
        folder: as in `save_pretrained`, which raises the same errors; nothing is left behind on an error.
        dtype: of the file.
        progress: called with the bytes of every tensor read.
    """
    shapes = {f"{part}/{path}": tuple(leaf.shape) for part in parts for path, leaf in flatten(abstract[part]).items()}

    def chunks() -> Iterator[Shaped[np.ndarray, "..."]]:
        for name in shapes:
            part, _, path = name.partition("/")
            tensors, naming = parts[part]
            yield from stream_layers(tensors, naming[path], DTYPES[dtype], progress)

    save_stream(folder, config, shapes, chunks(), dtype)
