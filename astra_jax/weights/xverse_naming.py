"""XVerse's T-Mod adapter (its `modulation_adapter`) as our DSM: the same resamplers under other names.

XVerse's norms take their shift and scale from a linear map of a time embedding that is always zero, so that the map's
bias, shift before scale, is all there is of it: our scale is 1 + theirs. The map's weights, which only ever meet zeros,
have no counterpart here. The attention's queries, keys and values are one matrix there and three here.
"""

from __future__ import annotations

import numpy as np

from astra_jax.config import DsmConfig
from astra_jax.weights.mapping import LINEAR, SAME, Array, Layout, Naming, one

# A regex of the whole names of tensors that no leaf is made from.
XVERSE_UNREAD = r".*\.ln_(1|2|ff)\.linear\.weight"
TIME_WIDTH = 64  # of the time embedding that is always zero

_RESAMPLERS = {"shared": "net", "blocks": "net2"}
_NORMS = {"query_norm": "ln_1", "feature_norm": "ln_2", "mlp_norm": "ln_ff"}


def xverse_naming(config: DsmConfig) -> Naming:
    """Names of XVerse's adapter by path in the tree "dsm"; XVerse's published size is `config.XVERSE_DSM`.

    Several leaves come from one tensor, which `save_leaf` writes in parts: zero outside of a leaf's own rows.
    """
    naming: Naming = {}
    for ours, theirs in _RESAMPLERS.items():
        naming |= _linear(f"{ours}/phrase_in", f"{theirs}.text_proj_in")
        naming |= _linear(f"{ours}/image_in", f"{theirs}.image_proj_in")
        naming |= _linear(f"{ours}/proj", f"{theirs}.proj_out.0")
        naming[f"{ours}/out_norm/scale"] = one(f"{theirs}.proj_out.1.weight")
        naming[f"{ours}/out_norm/bias"] = one(f"{theirs}.proj_out.1.bias")
        for layer in range(config.layers):
            naming |= _block(f"{ours}/block_{layer}", f"{theirs}.perceiver_blocks.{layer}")
    return naming


def _block(ours: str, theirs: str) -> Naming:
    naming: Naming = {}
    for norm, name in _NORMS.items():
        tensor = f"{theirs}.{name}.linear.bias"
        naming[f"{ours}/{norm}/bias"] = one(tensor, layout=_rows(0, 2, SAME))
        naming[f"{ours}/{norm}/scale"] = one(tensor, layout=_rows(1, 2, _ABOUT_ONE))
    for row, part in enumerate(("query", "key", "value")):
        naming[f"{ours}/{part}/kernel"] = one(f"{theirs}.attn.in_proj_weight", layout=_rows(row, 3, LINEAR))
        naming[f"{ours}/{part}/bias"] = one(f"{theirs}.attn.in_proj_bias", layout=_rows(row, 3, SAME))
    naming |= _linear(f"{ours}/out", f"{theirs}.attn.out_proj")
    naming |= _linear(f"{ours}/mlp_in", f"{theirs}.mlp.c_fc")
    return naming | _linear(f"{ours}/mlp_out", f"{theirs}.mlp.c_proj")


def _linear(ours: str, theirs: str) -> Naming:
    return {
        f"{ours}/kernel": one(f"{theirs}.weight", layout=LINEAR),
        f"{ours}/bias": one(f"{theirs}.bias"),
    }


_ABOUT_ONE = Layout(lambda x: 1 + x.astype(np.float32), lambda x: x - 1)


def _rows(index: int, parts: int, layout: Layout) -> Layout:
    """`layout` of one of `parts` equal parts along the output axis; saved among zeros in the place of the others."""

    def load(x: Array) -> Array:
        return layout.load(np.split(x, parts, axis=0)[index])

    def save(x: Array) -> Array:
        rows = layout.save(x)
        return np.concatenate([rows if part == index else np.zeros_like(rows) for part in range(parts)], axis=0)

    return Layout(load, save)


def xverse_extra(config: DsmConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that XVerse's file has besides: weights that only ever meet zeros."""
    return {
        f"{resampler}.perceiver_blocks.{layer}.{norm}.linear.weight": (2 * config.width, TIME_WIDTH)
        for resampler in _RESAMPLERS.values()
        for layer in range(config.layers)
        for norm in _NORMS.values()
    }
