"""Products of the text encoders, the image encoder and the identity adapter, for one example."""

from __future__ import annotations

from astra_jax.config import ModelConfig, SiglipVisionConfig
from astra_jax.costs.tally import Tally


def t5(tally: Tally, config: ModelConfig) -> None:
    """The prompt, and every subject's phrase by itself."""
    sizes = config.t5
    inner, flows = sizes.heads * sizes.head_dim, tally.trains("t5")
    for length, count in ((config.text_length, 1), (config.phrase_length, config.max_subjects)):
        for name, width_in, width_out in (
            ("q", sizes.width, inner),
            ("k", sizes.width, inner),
            ("v", sizes.width, inner),
            ("o", inner, sizes.width),
            ("wi_0", sizes.width, sizes.mlp_dim),
            ("wi_1", sizes.width, sizes.mlp_dim),
            ("wo", sizes.mlp_dim, sizes.width),
        ):
            tally.dense(f"t5/layers/{name}", length, width_in, width_out, flows, count, sizes.layers)
        tally.attention("t5/layers", length, length, sizes.heads, sizes.head_dim, flows, count, sizes.layers)


def clip_blocks(
    tally: Tally, part: str, length: int, width: int, hidden: int, heads: int, layers: int, count: int = 1,
    reads: bool = False,
) -> None:  # fmt: skip
    """Pre-norm transformer blocks, CLIP's and SigLIP's; `reads`: whether a gradient is wanted of what they read."""
    flows = reads or tally.trains(part)
    for name, width_in, width_out in (
        ("q", width, width),
        ("k", width, width),
        ("v", width, width),
        ("out", width, width),
        ("fc1", width, hidden),
        ("fc2", hidden, width),
    ):
        tally.dense(f"{part}/layers/{name}", length, width_in, width_out, flows, count, layers)
    tally.attention(f"{part}/layers", length, length, heads, width // heads, flows, count, layers)


def clip_text(tally: Tally, config: ModelConfig) -> None:
    """The prompt again."""
    sizes = config.clip_text
    clip_blocks(tally, "clip_text", sizes.length, sizes.width, sizes.mlp_dim, sizes.heads, sizes.layers)


def image_encoder(tally: Tally, config: ModelConfig) -> None:
    """Every subject's photo; CLIP's last block is not run."""
    sizes, part = config.image_encoder, config.image_encoder_part
    layers = sizes.layers if isinstance(sizes, SiglipVisionConfig) else sizes.layers - 1
    patches, subjects = (sizes.image_size // sizes.patch) ** 2, config.max_subjects
    tally.dense(f"{part}/patches", patches, 3 * sizes.patch**2, sizes.width, False, subjects)
    clip_blocks(tally, part, sizes.tokens, sizes.width, sizes.mlp_dim, sizes.heads, layers, subjects)


def dsm(tally: Tally, config: ModelConfig) -> None:
    """Two resamplers for every subject: one offset for all double blocks, and one for each of them."""
    sizes, model, width = config.dsm, config.transformer.width, config.dsm.width
    phrase, tokens, subjects = config.phrase_length, config.image_encoder.tokens, config.max_subjects
    text, image = tally.trains("t5"), tally.trains(config.image_encoder_part)
    for name, outputs in (("shared", model), ("blocks", model * config.transformer.double_blocks)):
        part = f"dsm/{name}"
        tally.dense(f"{part}/phrase_in", phrase, config.t5.width, width, text, subjects)
        tally.dense(f"{part}/image_in", tokens, config.image_encoder.width, width, image, subjects)
        flows = text or image or tally.trains(f"{part}/phrase_in", f"{part}/image_in")
        for layer in range(sizes.layers):
            block = f"{part}/block_{layer}"
            flows = flows or tally.trains(block)
            tally.dense(f"{block}/query", phrase, width, width, flows, subjects)
            for name_in in ("key", "value"):
                tally.dense(f"{block}/{name_in}", phrase + tokens, width, width, flows, subjects)
            head = width // sizes.heads
            tally.attention(block, phrase, phrase + tokens, sizes.heads, head, flows, subjects)
            tally.dense(f"{block}/out", phrase, width, width, flows, subjects)
            tally.dense(f"{block}/mlp_in", phrase, width, 4 * width, flows, subjects)
            tally.dense(f"{block}/mlp_out", phrase, 4 * width, width, flows, subjects)
        tally.dense(f"{part}/proj", phrase, width, outputs, flows, subjects)
