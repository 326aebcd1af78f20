"""A text encoder in the folder transformers writes: which of ours it is, its sizes, and its weights.

`config.json` names BERT (sentence embedders such as all-MiniLM-L6-v2), CLIP's text encoder (also as a half of CLIP) or
the encoder of T5 v1.1; FLUX.1's `text_encoder` and `text_encoder_2` are such folders.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from astra_jax.config import BertConfig, ClipTextConfig, T5Config
from astra_jax.errors import UserError
from astra_jax.params import Params
from astra_jax.weights import encoders
from astra_jax.weights.encoder_settings import TEXT_SIZES, read_eps, read_settings, read_sizes, require
from astra_jax.weights.importing import load_published
from astra_jax.weights.pretrained import fingerprint_files
from astra_jax.weights.sources import find_source
from astra_jax.weights.tensors import Tensors

TextConfig = BertConfig | ClipTextConfig | T5Config

_MISSING = "is no folder of a text encoder ({error}): give one with config.json, model.safetensors and tokenizer.json"
# What a config must say where it says anything: our encoders compute nothing else.
_REQUIRED = {
    "bert": {"hidden_act": "gelu", "position_embedding_type": "absolute"},
    "clip_text_model": {"hidden_act": "quick_gelu"},
    "t5": {"feed_forward_proj": "gated-gelu"},
}
_FIELDS: dict[str, tuple[type, dict[str, str]]] = {
    "bert": (BertConfig, {**TEXT_SIZES, "segments": "type_vocab_size"}),
    "clip_text_model": (ClipTextConfig, TEXT_SIZES),
    "t5": (T5Config, {
        "vocab_size": "vocab_size", "width": "d_model", "layers": "num_layers", "heads": "num_heads",
        "head_dim": "d_kv", "mlp_dim": "d_ff", "buckets": "relative_attention_num_buckets",
        "max_distance": "relative_attention_max_distance",
    }),
}  # fmt: skip
# Sizes that transformers leaves out where they are its defaults.
_DEFAULTS = {"max_distance": 128, "buckets": 32, "segments": 2, "length": 77}


def read_text_config(folder: pathlib.Path) -> TextConfig:
    """The sizes of the text encoder in `folder`.

    Raises `UserError` for a folder without `config.json`, for a damaged one, and for an encoder that is none of the
    three or computes otherwise than ours.
    """
    path = folder / "config.json"
    tree = read_settings(path, _MISSING)
    if tree.get("model_type") == "clip" and isinstance(tree.get("text_config"), dict):
        tree = {**tree["text_config"], "model_type": "clip_text_model"}
    kind = tree.get("model_type")
    if kind not in _FIELDS:
        raise UserError(f"{path} is of a {str(kind)[:40]!r}: text encoders are read of {', '.join(_FIELDS)}")
    require(path, tree, _REQUIRED[kind])
    make, fields = _FIELDS[kind]
    sizes: dict[str, Any] = read_sizes(path, tree, fields, _DEFAULTS)
    if kind == "bert":
        sizes["norm_eps"] = read_eps(path, tree, 1e-12)
    return make(**sizes)


def load_text_encoder(folder: pathlib.Path, config: TextConfig, abstract: Params) -> tuple[Params, str]:
    """The encoder's parameters as float32, and the fingerprint of its files.

    `abstract` has the shapes of the encoder's tree. Raises `UserError` as `find_source` and `load_published` do: for
    pickles, for a folder without safetensors, for weights of other sizes than `config`.
    """
    source = find_source(folder)
    with Tensors(source) as tensors:
        naming, unread = _table(config, tensors.entries)
        return load_published(tensors, naming, abstract, unread=unread), fingerprint_files(source.files)


def _table(config: TextConfig, names: Mapping[str, Any]) -> tuple[encoders.Naming, str]:
    if isinstance(config, T5Config):
        return encoders.t5_naming(config), encoders.t5_unread()
    if isinstance(config, BertConfig):
        prefix = encoders.has_prefix(names, "bert.")
        return encoders.bert_naming(config, prefix), encoders.bert_unread(prefix)
    prefix = encoders.has_prefix(names, encoders.TEXT_PREFIX)
    return encoders.clip_text_naming(config, prefix), encoders.clip_text_unread(prefix)
