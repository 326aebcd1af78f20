"""The config.json of an encoder's published folder: read, bounded, and held to what is computed here."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from astra_jax.errors import UserError

_MAX_CONFIG_BYTES = 1 << 20
_MAX_SIZE = 1 << 20  # of any width, length or vocabulary: beyond it a config is damaged
_MAX_LAYERS = 1 << 10
# Our names of sizes -> those that nearly all of transformers' configs have.
SIZES = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}
MLP = {"mlp_dim": "intermediate_size"}
TEXT_SIZES = {"vocab_size": "vocab_size", **SIZES, **MLP, "length": "max_position_embeddings"}


def read_settings(path: pathlib.Path, missing: str) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises `UserError` for a file that is not there, saying `missing` of its folder ("{error}" in it becomes the
    reason), and for one that is too large or damaged.
    """
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise UserError(f"{path} has more than {_MAX_CONFIG_BYTES} bytes: this is no encoder's config")
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path.parent} {missing.format(error=f'no config.json: {error.strerror}')}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): copy or download it again") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path} must hold a JSON object: copy or download it again")
    return tree


def require(path: pathlib.Path, tree: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises `UserError` where `tree`, read from `path`, says something else than `values`; it may say nothing."""
    for name, value in values.items():
        if tree.get(name, value) != value:
            raise UserError(f"{path} says {name} {str(tree[name])[:40]!r}: only {value!r} is computed here")


def read_sizes(
    path: pathlib.Path, tree: Mapping[str, Any], fields: Mapping[str, str], defaults: Mapping[str, int]
) -> dict[str, int]:
    """Our names of sizes -> their values in `tree`, read from `path`.

    `fields` has their name for each of ours; `defaults` what is meant where they leave one out. Raises `UserError` for
    a size that is missing or none.
    """
    sizes = {ours: tree.get(theirs, defaults.get(ours)) for ours, theirs in fields.items()}
    limits = {name: _MAX_LAYERS if name == "layers" else _MAX_SIZE for name in sizes}
    odd = [fields[name] for name, size in sizes.items() if type(size) is not int or not 0 < size <= limits[name]]
    if odd:
        raise UserError(f"{path} has no proper {', '.join(odd)}: copy or download it again")
    return {name: int(size) for name, size in sizes.items() if size is not None}


def read_eps(path: pathlib.Path, tree: Mapping[str, Any], default: float) -> float:
    """`layer_norm_eps`; raises `UserError` where it is none."""
    eps = tree.get("layer_norm_eps", default)
    if not isinstance(eps, (int, float)) or not 0 < eps < 1:
        raise UserError(f"{path} has no proper layer_norm_eps: copy or download it again")
    return float(eps)
