"""Products of the MM-DiT and its LoRA, for one example.

Blocks of one kind are one scan, whose backward pass treats all of them alike: each has the gradients that the last one
needs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from astra_jax.config import FUSED, ModelConfig
from astra_jax.costs.tally import Tally

_EMBEDDING = 256  # sinusoids of a time
_PARTS = ("transformer", "lora")
_IMAGE_MAPS = ("mod", "qkv", "norm", "proj", "mlp_in", "mlp_out")

Pictures = Sequence[tuple[int, int]]  # condition pictures: how many, and tokens of each of them


def transformer(tally: Tally, config: ModelConfig, canvas: int, pictures: Pictures, trained_latents: bool) -> None:
    """One velocity, and what the transformer does in `Astra.encode` for it.

    Args:
        tally: receives the products.
        config: the model's sizes.
        canvas: tokens of the picture.
        pictures: the pose and the references.
        trained_latents: whether a gradient is wanted of the conditions' latents.
    """
    conditions = sum(count * tokens for count, tokens in pictures)
    if config.condition_attention == "full":
        velocity(tally, config, canvas, conditions, 0, trained_latents and conditions > 0)
        return
    flows = cache(tally, config, pictures, trained_latents)
    velocity(tally, config, canvas, 0, conditions, flows)


def cache(tally: Tally, config: ModelConfig, pictures: Pictures, trained_latents: bool) -> bool:
    """Keys and values of condition pictures that are cached; whether a gradient is wanted of the double blocks'."""
    sizes, maps = config.transformer, Maps(tally, config)
    width, head = sizes.width, sizes.width // sizes.heads
    pictures = [(count, tokens) for count, tokens in pictures if count * tokens]
    if config.condition_scope == "all" and pictures:
        pictures = [(1, sum(count * tokens for count, tokens in pictures))]
    doubles = False
    for count, tokens in pictures:
        rows = count * tokens
        vector = maps.vector()
        maps.dense("img_in", rows, sizes.latent_dim, width, trained_latents)
        inputs = ("img_in", *(f"double_blocks/img_{name}" for name in _IMAGE_MAPS))
        doubles = vector or trained_latents or tally.trains(*(f"{part}/{place}" for part in _PARTS for place in inputs))
        maps.stream("img", rows, count, vector, doubles)
        layers = sizes.double_blocks
        tally.attention("transformer/double_blocks", tokens, tokens, sizes.heads, head, doubles, count, layers)
        flows, layers = doubles or maps.trains_single, sizes.single_blocks
        maps.single(rows, count, vector, flows)
        tally.attention("transformer/single_blocks", tokens, tokens, sizes.heads, head, flows, count, layers)
    return doubles


def velocity(
    tally: Tally, config: ModelConfig, canvas: int, conditions: int, cached: int, trained_conditions: bool
) -> None:
    """One velocity with so many condition tokens in the sequence and cached; is a gradient wanted of what these are?"""
    sizes, maps = config.transformer, Maps(tally, config)
    width, head = sizes.width, sizes.width // sizes.heads
    text, images = config.text_length, canvas + conditions
    words = config.phrase_length * config.max_subjects  # that carry an offset
    vector = maps.vector()
    offsets = vector or (words > 0 and tally.trains("dsm", "t5", config.image_encoder_part))
    maps.dense("img_in", images, sizes.latent_dim, width, trained_conditions and conditions > 0)
    maps.dense("txt_in", text, sizes.context_dim, width, tally.trains("t5"))

    inputs = ("img_in", "txt_in", "double_blocks")
    flows = offsets or trained_conditions or tally.trains("t5")
    flows = flows or tally.trains(*(f"{part}/{place}" for part in _PARTS for place in inputs))
    layers = sizes.double_blocks
    maps.stream("img", images, 1, vector, flows)
    maps.stream("txt", text, 1 + words, offsets, flows)
    placed = offsets or tally.trains("transformer/double_blocks/txt_mod")
    tally.scatter("transformer/double_blocks/place", text, words, 6 * width, placed, layers)
    length = text + images
    keys = length + cached
    tally.attention("transformer/double_blocks", length, keys, sizes.heads, head, flows, repeats=layers)

    flows, layers = flows or maps.trains_single, sizes.single_blocks
    maps.single(length, 1, vector, flows)
    tally.attention("transformer/single_blocks", length, keys, sizes.heads, head, flows, repeats=layers)

    maps.dense("final_mod", 1, width, 2 * width, vector)
    last = flows or vector or tally.trains("transformer/final_mod")
    maps.dense("final_linear", canvas, width, sizes.latent_dim, last)


class Maps:
    """The transformer's linear maps, each with its LoRA if it has one."""

    def __init__(self, tally: Tally, config: ModelConfig) -> None:
        self.tally, self.config = tally, config
        self.trains_single = tally.trains("transformer/single_blocks", "lora/single_blocks")

    def dense(self, path: str, rows: int, inner: int, columns: int, flows: bool, repeats: int = 1) -> None:
        """The map at `path`, `repeats` layers of it."""
        tally, config = self.tally, self.config
        tally.dense(f"transformer/{path}", rows, inner, columns, flows, repeats=repeats)
        if not (config.lora.rank and re.search(config.lora.places, path)):
            return
        rank, reach = config.lora.rank, 3 * inner if path == FUSED and not config.lora.fused_mlp else columns
        tally.dense(f"lora/{path}", rows, inner, rank, flows, repeats=repeats, parameter="/a")
        grows = flows or tally.trains(f"lora/{path}/a")
        tally.dense(f"lora/{path}", rows, rank, reach, grows, repeats=repeats, parameter="/b")

    def vector(self) -> bool:
        """The modulation vector of one time; returns whether a gradient is wanted of it."""
        sizes, tally = self.config.transformer, self.tally
        embedders = [("time_in", _EMBEDDING), ("guidance_in", _EMBEDDING), ("vector_in", sizes.pooled_dim)]
        for name, inner in embedders:
            if name == "guidance_in" and not sizes.guidance_embed:
                continue
            flows = name == "vector_in" and tally.trains("clip_text")
            self.dense(f"{name}/in_layer", 1, inner, sizes.width, flows)
            flows = flows or tally.trains(f"transformer/{name}/in_layer")
            self.dense(f"{name}/out_layer", 1, sizes.width, sizes.width, flows)
        return tally.trains("clip_text", *(f"transformer/{name}" for name, _ in embedders))

    def stream(self, name: str, rows: int, modulations: int, modulated: bool, flows: bool) -> None:
        """One stream's maps in all double blocks, for so many tokens and modulation vectors.

        `modulated`: whether a gradient is wanted of these vectors; `flows`: of the tokens.
        """
        sizes, width = self.config.transformer, self.config.transformer.width
        hidden, layers = int(width * sizes.mlp_ratio), sizes.double_blocks
        self.dense(f"double_blocks/{name}_mod", modulations, width, 6 * width, modulated, layers)
        self.dense(f"double_blocks/{name}_qkv", rows, width, 3 * width, flows, layers)
        self.dense(f"double_blocks/{name}_proj", rows, width, width, flows, layers)
        self.dense(f"double_blocks/{name}_mlp_in", rows, width, hidden, flows, layers)
        self.dense(f"double_blocks/{name}_mlp_out", rows, hidden, width, flows, layers)

    def single(self, rows: int, modulations: int, modulated: bool, flows: bool) -> None:
        """The single blocks' maps; arguments as for `stream`."""
        sizes, width = self.config.transformer, self.config.transformer.width
        hidden, layers = int(width * sizes.mlp_ratio), sizes.single_blocks
        self.dense("single_blocks/modulation", modulations, width, 3 * width, modulated, layers)
        self.dense("single_blocks/linear1", rows, width, 3 * width + hidden, flows, layers)
        self.dense("single_blocks/linear2", rows, width + hidden, width, flows, layers)
