"""The factors of a LoRA in the published namings: UNO's `dit_lora.safetensors`, and that of diffusers and PEFT.

UNO keeps two linear maps, down [rank, in] and up [out, rank], in the attention processor of every block; those ending
in 1 belong to the picture stream and those in 2 to the text stream. diffusers names A and B after the modules that they
adapt. Where it cuts one of our maps into several modules (queries, keys, values), each has the same A and its rows of
B.
"""

from __future__ import annotations

import re

import numpy as np

from astra_jax.config import FUSED, ModelConfig
from astra_jax.errors import UserError
from astra_jax.weights.flux import diffusers_naming
from astra_jax.weights.mapping import LINEAR, Layout, Leaf, Naming, stack

PREFIX = "transformer."  # of diffusers' pipelines, whose other parts may have a LoRA, too

_UNO = {
    "double_blocks/img_qkv": "double_blocks.{}.processor.qkv_lora1",
    "double_blocks/img_proj": "double_blocks.{}.processor.proj_lora1",
    "double_blocks/txt_qkv": "double_blocks.{}.processor.qkv_lora2",
    "double_blocks/txt_proj": "double_blocks.{}.processor.proj_lora2",
    FUSED: "single_blocks.{}.processor.qkv_lora",
    "single_blocks/linear2": "single_blocks.{}.processor.proj_lora",
}


def uno_naming(config: ModelConfig) -> Naming:
    """Names of UNO's file, by path in the tree "lora"; raises `UserError` where `config.lora` has other places."""
    naming: Naming = {}
    for place, leaf in _adapted(config).items():
        if place not in _UNO or (place == FUSED and config.lora.fused_mlp):
            raise UserError(f"UNO's naming has no place for a LoRA of {place}: use the diffusers naming")
        for factor, side in (("a", "down"), ("b", "up")):
            template = f"{_UNO[place]}.{side}.weight"
            naming[f"{place}/{factor}"] = stack(lambda i, t=template: (t.format(i),), len(leaf.layers), LINEAR)
    return naming


def peft_naming(config: ModelConfig) -> Naming:
    """Names of diffusers' `pytorch_lora_weights.safetensors`, by path in the tree "lora"; any place has one."""
    naming: Naming = {}
    for place, leaf in _adapted(config).items():
        modules = modules_of(leaf, place, config)
        names = {
            side: tuple(tuple(f"{PREFIX}{module}.{side}.weight" for module in layer) for layer in modules)
            for side in ("lora_A", "lora_B")
        }
        rows = leaf.rows[: len(modules[0])]
        naming[f"{place}/a"] = Leaf(names["lora_A"], _shared(len(modules[0])), leaf.stacked)
        naming[f"{place}/b"] = Leaf(names["lora_B"], leaf.layout, leaf.stacked, rows)
    return naming


def modules_of(leaf: Leaf, place: str, config: ModelConfig) -> list[tuple[str, ...]]:
    """diffusers' modules that make each layer of `place`, whose kernel is `leaf` in its naming."""
    layers = [tuple(name.removesuffix(".weight") for name in names) for names in leaf.layers]
    if place == FUSED and not config.lora.fused_mlp:
        return [names[:3] for names in layers]  # queries, keys and values, without the MLP's input
    return layers


def _adapted(config: ModelConfig) -> Naming:
    """Place -> its kernel in diffusers' naming, for the places that `config.lora` finds."""
    kernels = diffusers_naming(config.transformer)
    places = {path.removesuffix("/kernel"): leaf for path, leaf in kernels.items() if path.endswith("/kernel")}
    return {place: leaf for place, leaf in places.items() if re.search(config.lora.places, place)}


def _shared(copies: int) -> Layout:
    """One matrix that the file has `copies` times."""
    return Layout(lambda x: LINEAR.load(x[: len(x) // copies]), lambda x: np.tile(LINEAR.save(x), (copies, 1)))
