"""Parameter trees by path: "transformer/img_in/kernel" names a leaf everywhere, in rules, regexes and files."""

from __future__ import annotations

from typing import Any

from flax import traverse_util

Params = dict[str, Any]


def flatten(params: Params) -> dict[str, Any]:
    """Path -> leaf of nested dicts, sorted by path; empty dicts vanish."""
    flat: dict[str, Any] = dict(traverse_util.flatten_dict(params, sep="/"))
    return {path: flat[path] for path in sorted(flat)}


def unflatten(flat: dict[str, Any]) -> Params:
    """The inverse of `flatten`."""
    return traverse_util.unflatten_dict(flat, sep="/")
