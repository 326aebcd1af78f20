"""Products of the MM-DiT and its LoRA, for one example."""

from __future__ import annotations

import re

from astra_jax.config import FUSED, ModelConfig
from astra_jax.costs.tally import Tally

_EMBEDDING = 256  # sinusoids of a time


def transformer(tally: Tally, config: ModelConfig, canvas: int, conditions: int, trained_latents: bool) -> None:
    """One velocity.

    Args:
        tally: receives the products.
        config: the model's sizes.
        canvas: tokens of the picture.
        conditions: tokens of the pose and of the references together.
        trained_latents: whether a gradient is wanted of the conditions' latents.

    Blocks of one kind are one scan, whose backward pass treats all of them alike: each has the gradients that the last
    one needs.
    """
    sizes = config.transformer
    width, hidden = sizes.width, int(sizes.width * sizes.mlp_ratio)
    text, images = config.text_length, canvas + conditions
    words = config.phrase_length * config.max_subjects  # that carry an offset

    def dense(path: str, rows: int, inner: int, columns: int, flows: bool, repeats: int = 1) -> None:
        tally.dense(f"transformer/{path}", rows, inner, columns, flows, repeats=repeats)
        if not (config.lora.rank and re.search(config.lora.places, path)):
            return
        rank, reach = config.lora.rank, 3 * width if path == FUSED and not config.lora.fused_mlp else columns
        tally.dense(f"lora/{path}", rows, inner, rank, flows, repeats=repeats, parameter="/a")
        grows = flows or tally.trains(f"lora/{path}/a")
        tally.dense(f"lora/{path}", rows, rank, reach, grows, repeats=repeats, parameter="/b")

    embedders = [("time_in", _EMBEDDING), ("guidance_in", _EMBEDDING), ("vector_in", sizes.pooled_dim)]
    for name, inner in embedders:
        if name == "guidance_in" and not sizes.guidance_embed:
            continue
        flows = name == "vector_in" and tally.trains("clip_text")
        dense(f"{name}/in_layer", 1, inner, width, flows)
        dense(f"{name}/out_layer", 1, width, width, flows or tally.trains(f"transformer/{name}/in_layer"))
    vector = tally.trains("clip_text", *(f"transformer/{name}" for name, _ in embedders))
    offsets = vector or tally.trains("dsm", "t5", config.image_encoder_part)
    dense("img_in", images, sizes.latent_dim, width, trained_latents)
    dense("txt_in", text, sizes.context_dim, width, tally.trains("t5"))

    flows = (
        offsets
        or trained_latents
        or tally.trains(*(f"{part}/{place}" for part in ("transformer", "lora") for place in _DOUBLE_INPUTS))
    )
    layers = sizes.double_blocks
    dense("double_blocks/img_mod", 1, width, 6 * width, vector, layers)
    dense("double_blocks/txt_mod", 1 + words, width, 6 * width, offsets, layers)
    placed = offsets or tally.trains("transformer/double_blocks/txt_mod")
    tally.scatter("transformer/double_blocks/place", text, words, 6 * width, placed, layers)
    for stream, rows in (("img", images), ("txt", text)):
        dense(f"double_blocks/{stream}_qkv", rows, width, 3 * width, flows, layers)
        dense(f"double_blocks/{stream}_proj", rows, width, width, flows, layers)
        dense(f"double_blocks/{stream}_mlp_in", rows, width, hidden, flows, layers)
        dense(f"double_blocks/{stream}_mlp_out", rows, hidden, width, flows, layers)
    head, length = width // sizes.heads, text + images
    tally.attention("transformer/double_blocks", length, length, sizes.heads, head, flows, repeats=layers)

    flows, layers = flows or tally.trains("transformer/single_blocks", "lora/single_blocks"), sizes.single_blocks
    dense("single_blocks/modulation", 1, width, 3 * width, vector, layers)
    dense("single_blocks/linear1", length, width, 3 * width + hidden, flows, layers)
    dense("single_blocks/linear2", length, width + hidden, width, flows, layers)
    tally.attention("transformer/single_blocks", length, length, sizes.heads, head, flows, repeats=layers)

    dense("final_mod", 1, width, 2 * width, vector)
    dense("final_linear", canvas, width, sizes.latent_dim, flows or vector or tally.trains("transformer/final_mod"))


_DOUBLE_INPUTS = ("img_in", "txt_in", "double_blocks")
