"""What of a parameter tree is trained, and what stays frozen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jax

from astra_jax.errors import UserError
from astra_jax.params import Params, flatten, unflatten


def leaves_with_paths(tree: Any) -> Iterator[tuple[str, Any]]:
    """Pairs (path, leaf) of any pytree: dict keys, struct fields and sequence positions joined by "/"."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield jax.tree_util.keystr(path, simple=True, separator="/"), leaf


def partition(params: Params, trainable: str) -> tuple[Params, Params]:
    """Splits nested dicts into (trainable, frozen): trainable are the leaves whose path `re.search(trainable)` finds.

    Raises `UserError` for a regex that does not compile or that matches no path.
    """
    try:
        pattern = re.compile(trainable)
    except re.error as error:
        raise UserError(f"train.trainable {trainable!r} is no regular expression: {error}") from error
    flat = flatten(params)
    chosen = {path: leaf for path, leaf in flat.items() if pattern.search(path)}
    if not chosen:
        raise UserError(
            f"train.trainable {trainable!r} matches no parameter; paths start with {', '.join(sorted(params))} "
            f"and look like {next(iter(flat))}"
        )
    return unflatten(chosen), unflatten({path: leaf for path, leaf in flat.items() if path not in chosen})


def merge(trainable: Params, frozen: Params) -> Params:
    """The whole tree again; raises ValueError where both hold the same path."""
    first, second = flatten(trainable), flatten(frozen)
    if both := sorted(set(first) & set(second)):
        raise ValueError(f"trainable and frozen parameters share {both[0]}")
    return unflatten(first | second)
