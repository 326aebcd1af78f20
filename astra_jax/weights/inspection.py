"""Trees and files as tables of names and shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from astra_jax.params import Params, flatten
from astra_jax.weights.tensors import Tensors


def describe_tree(params: Params) -> Iterator[str]:
    """One line a leaf (path, shape, size), then one a part, then the total; `params` may be abstract."""
    leaves = {path: tuple(leaf.shape) for path, leaf in flatten(params).items()}
    yield from _rows(leaves, {})
    sizes = {name: sum(math.prod(shape) for shape in _shapes(part)) for name, part in params.items()}
    yield ""
    for name, size in sorted(sizes.items(), key=lambda item: item[1]):
        yield f"{name}: {_number(size)}"
    yield f"total: {_number(sum(sizes.values()))}"


def describe_tensors(tensors: Tensors) -> Iterator[str]:
    """One line a tensor (name, dtype, shape, size), then the total."""
    shapes = {name: tensors.entries[name].shape for name in sorted(tensors.entries)}
    yield from _rows(shapes, {name: tensors.entries[name].dtype for name in shapes})
    yield ""
    yield f"total: {_number(sum(math.prod(shape) for shape in shapes.values()))} in {len(shapes)} tensors"


def _shapes(part: object) -> list[tuple[int, ...]]:
    leaves = flatten(part).values() if isinstance(part, dict) else [part]
    return [tuple(leaf.shape) for leaf in leaves]  # type: ignore[attr-defined]


def _rows(shapes: dict[str, tuple[int, ...]], notes: dict[str, str]) -> Iterator[str]:
    texts = {name: " x ".join(map(str, shape)) or "scalar" for name, shape in shapes.items()}
    widths = max(map(len, texts), default=0), max(map(len, texts.values()), default=0)
    for name, text in texts.items():
        note = f"{notes[name]:>4}  " if name in notes else ""
        yield f"{name:<{widths[0]}}  {note}{text:>{widths[1]}}  {math.prod(shapes[name]):>15,}"


def _number(parameters: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= unit:
            return f"{parameters:,} parameters ({parameters / unit:.2f} {name})"
    return f"{parameters} parameters"
