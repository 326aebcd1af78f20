"""The leaves of the text and image encoders under the names of transformers' files.

Up to version 4, transformers wrote CLIP's and SigLIP's tensors under "text_model." or "vision_model."; all published
files have that prefix. Version 5 writes an encoder of its own without it. Every table takes the prefix.

A published file may hold tensors that no leaf is made from (the pooling on top, a last block that is not read, the
other half of CLIP). The `*_unread` patterns name them in full, so that whatever else is left over is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable

from astra_jax.config import BertConfig, ClipConfig, ClipTextConfig, ClipVisionConfig, SiglipVisionConfig, T5Config
from astra_jax.weights.mapping import CONV, LINEAR, SAME, Layout, Naming, one, stack, under

TEXT_PREFIX = "text_model."
VISION_PREFIX = "vision_model."


def has_prefix(names: Iterable[str], prefix: str) -> str:
    """`prefix` if any of a file's names starts with it, else "": what the tables below take."""
    return prefix if any(name.startswith(prefix) for name in names) else ""


def t5_naming(config: T5Config) -> Naming:
    """Names of `T5EncoderModel` (a FLUX.1 folder's `text_encoder_2`), by path in the encoder's tree."""
    block = "encoder.block.{}.layer."
    naming: Naming = {
        "embedding/embedding": one("shared.weight"),
        # The first block's, shared by all.
        "relative_bias": one("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        "norm_out/scale": one("encoder.final_layer_norm.weight"),
    }
    for ours, theirs, layout in (
        ("norm1/scale", "0.layer_norm", SAME),
        *((f"{name}/kernel", f"0.SelfAttention.{name}", LINEAR) for name in ("q", "k", "v", "o")),
        ("norm2/scale", "1.layer_norm", SAME),
        *((f"{name}/kernel", f"1.DenseReluDense.{name}", LINEAR) for name in ("wi_0", "wi_1", "wo")),
    ):
        naming[f"layers/{ours}"] = stacked(f"{block}{theirs}.weight", config.layers, layout)
    return naming


def t5_unread() -> str:
    """A copy of the embedding that some files hold besides "shared.weight"."""
    return r"encoder\.embed_tokens\.weight"


def bert_naming(config: BertConfig, prefix: str = "") -> Naming:
    """Names of `BertModel`, by path in the encoder's tree; sentence embedders have no prefix, BERT itself "bert."."""
    naming = {
        "embedding/embedding": one(f"{prefix}embeddings.word_embeddings.weight"),
        "positions": one(f"{prefix}embeddings.position_embeddings.weight"),
        "segments": one(f"{prefix}embeddings.token_type_embeddings.weight"),
        **affine("norm_in", f"{prefix}embeddings.LayerNorm"),
    }
    rows = (
        ("q", "attention.self.query", "kernel", LINEAR),
        ("k", "attention.self.key", "kernel", LINEAR),
        ("v", "attention.self.value", "kernel", LINEAR),
        ("out", "attention.output.dense", "kernel", LINEAR),
        ("norm1", "attention.output.LayerNorm", "scale", SAME),
        ("fc1", "intermediate.dense", "kernel", LINEAR),
        ("fc2", "output.dense", "kernel", LINEAR),
        ("norm2", "output.LayerNorm", "scale", SAME),
    )
    return naming | affine_layers(rows, f"{prefix}encoder.layer.{{}}", config.layers)


def bert_unread(prefix: str = "") -> str:
    """The pooling layer, stored position numbers and the heads of BERT's own training."""
    return rf"{_escaped(prefix)}pooler\..*|{_escaped(prefix)}embeddings\.position_ids|cls\..*"


def clip_text_naming(config: ClipTextConfig, prefix: str = TEXT_PREFIX) -> Naming:
    """Names of `CLIPTextModel` (a FLUX.1 folder's `text_encoder`), by path in the encoder's tree."""
    return {
        "embedding/embedding": one(f"{prefix}embeddings.token_embedding.weight"),
        "positions": one(f"{prefix}embeddings.position_embedding.weight"),
        **_blocks(config.layers, prefix),
        **affine("norm_out", f"{prefix}final_layer_norm"),
    }


def clip_text_unread(prefix: str = TEXT_PREFIX) -> str:
    """The projections into CLIP's common space, its vision half and stored position numbers."""
    return (
        rf"{_escaped(prefix)}embeddings\.position_ids|text_projection\.weight|visual_projection\.weight|logit_scale"
        rf"|{_escaped(VISION_PREFIX)}.*"
    )


def clip_vision_naming(config: ClipVisionConfig, prefix: str = VISION_PREFIX) -> Naming:
    """Names of `CLIPVisionModel`, without its last block, by path in the encoder's tree."""
    return _clip_vision(config.layers - 1, prefix)


def clip_naming(config: ClipConfig) -> Naming:
    """Names of `CLIPModel`, both halves and the projections, by path in the tree of `ClipFeatures`."""
    return {
        **under("text", clip_text_naming(config.text)),
        **under("vision", _clip_vision(config.vision.layers, VISION_PREFIX)),
        **affine("norm_out", f"{VISION_PREFIX}post_layernorm"),
        "text_projection/kernel": one("text_projection.weight", layout=LINEAR),
        "vision_projection/kernel": one("visual_projection.weight", layout=LINEAR),
    }


def clip_unread() -> str:
    """The temperature of CLIP's training and stored position numbers."""
    halves = f"{_escaped(TEXT_PREFIX)}|{_escaped(VISION_PREFIX)}"
    return rf"logit_scale|({halves})embeddings\.position_ids"


def _clip_vision(layers: int, prefix: str) -> Naming:
    return {
        "class_token": one(f"{prefix}embeddings.class_embedding"),
        "patches/kernel": one(f"{prefix}embeddings.patch_embedding.weight", layout=CONV),
        "positions": one(f"{prefix}embeddings.position_embedding.weight"),
        **affine("norm_in", f"{prefix}pre_layrnorm"),  # published so
        **_blocks(layers, prefix),
    }


def clip_vision_unread(config: ClipVisionConfig, prefix: str = VISION_PREFIX) -> str:
    """The last block and the norm behind it, the projections, CLIP's text half and stored position numbers."""
    start = _escaped(prefix)
    return (
        rf"{start}encoder\.layers\.{config.layers - 1}\..*|{start}post_layernorm\.(weight|bias)"
        rf"|{start}embeddings\.position_ids|text_projection\.weight|visual_projection\.weight|logit_scale"
        rf"|{_escaped(TEXT_PREFIX)}.*"
    )


def clip_vision_extra(config: ClipVisionConfig, prefix: str = VISION_PREFIX) -> dict[str, tuple[int, ...]]:
    """Shapes of what `CLIPVisionModel` has besides: its last block and the norm behind it.

    Zeros in their place make a block that changes nothing, so that `hidden_states[-2]`, which is what is read of CLIP,
    stays where its readers look for it.
    """
    block, width = f"{prefix}encoder.layers.{config.layers - 1}.", config.width
    shapes: dict[str, tuple[int, ...]] = {}
    for name, *shape in (
        *((f"{block}self_attn.{name}_proj", width, width) for name in ("q", "k", "v", "out")),
        (f"{block}mlp.fc1", config.mlp_dim, width),
        (f"{block}mlp.fc2", width, config.mlp_dim),
        *((name, width) for name in (f"{block}layer_norm1", f"{block}layer_norm2", f"{prefix}post_layernorm")),
    ):
        shapes |= {f"{name}.weight": tuple(shape), f"{name}.bias": (shape[0],)}
    return shapes


def siglip_vision_naming(config: SiglipVisionConfig, prefix: str = VISION_PREFIX) -> Naming:
    """Names of `SiglipVisionModel`, without its pooling head, by path in the encoder's tree."""
    return {
        **affine("patches", f"{prefix}embeddings.patch_embedding", "kernel", CONV),
        "positions": one(f"{prefix}embeddings.position_embedding.weight"),
        **_blocks(config.layers, prefix),
        **affine("norm_out", f"{prefix}post_layernorm"),
    }


def siglip_vision_unread(prefix: str = VISION_PREFIX) -> str:
    """The pooling head, SigLIP's text half, its scale and bias, and stored position numbers."""
    start = _escaped(prefix)
    return rf"{start}head\..*|{start}embeddings\.position_ids|logit_scale|logit_bias|{_escaped(TEXT_PREFIX)}.*"


def vision_part(names: Iterable[str]) -> str:
    """Which image encoder a file's names speak of, "clip_vision" or "siglip_vision"; "" where it is neither.

    Most names are common to both. CLIP alone has a class token, SigLIP alone a bias of the patches.
    """
    bare = {name.removeprefix(VISION_PREFIX) for name in names}
    if "embeddings.class_embedding" in bare:
        return "clip_vision"
    return "siglip_vision" if "embeddings.patch_embedding.bias" in bare else ""


def _blocks(layers: int, prefix: str) -> Naming:
    """The blocks that CLIP and SigLIP have in common."""
    rows = (
        ("norm1", "layer_norm1", "scale", SAME),
        *((letter, f"self_attn.{letter}_proj", "kernel", LINEAR) for letter in "qkv"),
        ("out", "self_attn.out_proj", "kernel", LINEAR),
        ("norm2", "layer_norm2", "scale", SAME),
        ("fc1", "mlp.fc1", "kernel", LINEAR),
        ("fc2", "mlp.fc2", "kernel", LINEAR),
    )
    return affine_layers(rows, f"{prefix}encoder.layers.{{}}", layers)


def affine_layers(rows: Iterable[tuple[str, str, str, Layout]], block: str, layers: int) -> Naming:
    """Scanned modules with a weight and a bias: rows of our name, theirs in `block`, our weight's leaf, its layout."""
    naming: Naming = {}
    for ours, theirs, leaf, layout in rows:
        naming[f"layers/{ours}/{leaf}"] = stacked(f"{block}.{theirs}.weight", layers, layout)
        naming[f"layers/{ours}/bias"] = stacked(f"{block}.{theirs}.bias", layers)
    return naming


def affine(ours: str, theirs: str, leaf: str = "scale", layout: Layout = SAME) -> Naming:
    """A module with a weight and a bias, of our name and of theirs; `leaf` is our weight's, `layout` its."""
    return {f"{ours}/{leaf}": one(f"{theirs}.weight", layout=layout), f"{ours}/bias": one(f"{theirs}.bias")}


def stacked(template: str, layers: int, layout: Layout = SAME):
    """A leaf of scanned blocks; `template` has a place for the number of the block."""
    return stack(lambda index: (template.format(index),), layers, layout)


def _escaped(prefix: str) -> str:
    return prefix.replace(".", r"\.")
