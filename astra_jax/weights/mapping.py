"""How published tensors make the leaves of a parameter tree, and back: tables of names, and the two walks over them.

A `Naming` has one `Leaf` for every path of a tree. A leaf of scanned blocks is stacked from its layers; a layer that
several published tensors make (separate q, k and v of what is one matrix here) is their concatenation along the output
axis. PyTorch keeps linear weights as [out, in] and convolutions as [out, in, height, width].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

Array = Shaped[np.ndarray, "..."]
Read = Callable[[str], Array]


@dataclasses.dataclass(frozen=True)
class Layout:
    """A rearrangement of one (concatenated) published tensor, and its inverse."""

    load: Callable[[Array], Array]
    save: Callable[[Array], Array]


def _swap(x: Array) -> Array:
    first, second = np.split(x, 2, axis=0)
    return np.concatenate([second, first], axis=0)


SAME = Layout(lambda x: x, lambda x: x)
LINEAR = Layout(lambda x: x.T, lambda x: x.T)
CONV = Layout(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
# A 1x1 convolution that is a matrix here.
POINTWISE = Layout(lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None])


# What PyTorch keeps as a batch of one.
UNBATCHED = Layout(lambda x: x[0], lambda x: x[None])


def swapped(layout: Layout) -> Layout:
    """`layout` of a tensor whose two halves along the output axis stand the other way round in the file."""
    return Layout(lambda x: layout.load(_swap(x)), lambda x: _swap(layout.save(x)))


@dataclasses.dataclass(frozen=True)
class Leaf:
    """Where one leaf comes from.

    Attributes:
        layers: the published names of each layer; one layer where the leaf is not stacked.
        layout: of every layer, after its tensors are concatenated along axis 0.
        stacked: whether the leaf has a leading layer axis.
        rows: lengths along axis 0 of a layer's tensors; empty: equal parts.
    """

    layers: tuple[tuple[str, ...], ...]
    layout: Layout = SAME
    stacked: bool = False
    rows: tuple[int, ...] = ()


Naming = dict[str, Leaf]


def one(*names: str, layout: Layout = SAME, rows: tuple[int, ...] = ()) -> Leaf:
    """A leaf that is not stacked."""
    return Leaf((names,), layout, False, rows)


def under(part: str, naming: Naming) -> Naming:
    """`naming` of a module that is the part `part` of another."""
    return {f"{part}/{path}": leaf for path, leaf in naming.items()}


def stack(template: Callable[[int], tuple[str, ...]], layers: int, layout: Layout = SAME, rows: tuple[int, ...] = ()):
    """A leaf of `layers` stacked layers; `template` gives the published names of one of them."""
    return Leaf(tuple(template(index) for index in range(layers)), layout, True, rows)


def load_layers(leaf: Leaf, read: Read) -> Iterator[Array]:
    """The leaf's layers one after another from published tensors; `read` returns a tensor by its name."""
    for names in leaf.layers:
        parts = [read(name) for name in names]
        yield leaf.layout.load(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=0))


def load_leaf(leaf: Leaf, read: Read) -> Array:
    """The whole leaf from published tensors; `read` returns a tensor by its name."""
    layers = list(load_layers(leaf, read))
    return np.stack(layers) if leaf.stacked else layers[0]


def save_layer(leaf: Leaf, index: int, layer: Array) -> dict[str, Array]:
    """The published tensors of one layer, views where possible."""
    names = leaf.layers[index]
    whole = leaf.layout.save(layer)
    cuts = np.cumsum(leaf.rows)[:-1] if leaf.rows else len(names)
    return dict(zip(names, np.split(whole, cuts, axis=0), strict=True))


def save_leaf(leaf: Leaf, array: Array) -> dict[str, Array]:
    """The inverse of `load_leaf`: published tensors by name."""
    tensors: dict[str, Array] = {}
    for index, layer in zip(range(len(leaf.layers)), array if leaf.stacked else [array], strict=True):
        tensors |= {name: np.ascontiguousarray(part) for name, part in save_layer(leaf, index, layer).items()}
    return tensors


def published_shapes(leaf: Leaf, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of every published tensor of a leaf of `shape`; raises ValueError for a wrong number of layers."""
    if leaf.stacked and shape[0] != len(leaf.layers):
        raise ValueError(f"a leaf of {shape[0]} layers has names for {len(leaf.layers)}")
    layer = np.broadcast_to(np.zeros((), np.int8), shape[1:] if leaf.stacked else shape)  # takes no memory
    parts = [part.shape for part in save_layer(leaf, 0, layer).values()]
    return {name: part for names in leaf.layers for name, part in zip(names, parts, strict=True)}


def naming_shapes(naming: Naming, leaves: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """`published_shapes` of all leaves; `leaves` has an array or its shape under every path of `naming`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path, leaf in naming.items():
        shapes |= published_shapes(leaf, tuple(leaves[path].shape))
    return shapes


def published_names(naming: Naming) -> list[str]:
    """All published names, sorted."""
    return sorted(name for leaf in naming.values() for names in leaf.layers for name in names)
