"""Texts to unit vectors by a pretrained text encoder: BERT (MiniLM), CLIP's or T5's, from a folder the user has.

BERT's and T5's vectors are the mean of their tokens' features (Sentence-BERT, arXiv 1908.10084; Sentence-T5, arXiv
2108.08877), CLIP's is the feature at the end of the text before CLIP's projection, as FLUX.1 takes it. The weights
stay where they are: a bank keeps their fingerprint and is searched with the same folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from tokenizers import Tokenizer

from astra_jax.config import BertConfig, ClipTextConfig
from astra_jax.errors import UserError
from astra_jax.models.bert import BertEncoder, mean_pool
from astra_jax.models.clip import ClipTextEncoder
from astra_jax.models.t5 import T5Encoder
from astra_jax.pose.files import read_json
from astra_jax.weights.text_encoders import TextConfig, load_text_encoder, read_text_config
from astra_jax.weights.tokenizer_folder import encoder_tokenizer

MAX_TOKENS = 77  # of a text; captions have a quarter of it
BATCH = 64
_STEP = 8  # texts are padded to a multiple of it: few programs, little waste
_CARD = "encoder.json"
_MAX_CARD_BYTES = 1 << 16
Pool = Callable[[Any, Int[Array, "B L"], Bool[Array, "B L"]], Float[Array, "B D"]]


class EncoderEmbedder:
    """A `TextEmbedder` by a text encoder with pretrained weights.

    Attributes:
      kind: "bert", "clip" or "t5".
      dim: width of its vectors.
      fingerprint: of its weights; a bank is searched with the weights it was built with.
    """

    # On COCO val2017 captions as they are find the picture more often, action texts more often the verb; at 0.7 MiniLM
    # finds the verb as often as by action texts alone and loses 0.004 of recall@10 (`benchmarks/retrieval_quality.py`).
    raw_share = 0.7

    def __init__(self, kind: str, config: TextConfig, params: Any, tokenizer: Tokenizer, fingerprint: str):
        self.kind, self.dim, self.fingerprint = kind, config.width, fingerprint
        self._tokenizer, self._params = tokenizer, jax.tree.map(jnp.asarray, params)
        self._length = min(MAX_TOKENS, getattr(config, "length", MAX_TOKENS))
        # CLIP reads its feature at the first end token, so whatever pads must be that token.
        self._pad = config.vocab_size - 1 if isinstance(config, ClipTextConfig) else 0
        self._pool = jax.jit(_pool(config))

    @classmethod
    def from_folder(cls, folder: str | Path) -> EncoderEmbedder:
        """Reads config.json, safetensors and tokenizer of a folder in transformers' layout.

        The tokenizer may lie beside the encoder, as in FLUX.1's folders (`text_encoder` and `tokenizer`). Raises
        `UserError` for a folder that lacks one of them, holds a pickle, or whose parts do not fit together.
        """
        folder = Path(folder).expanduser()
        config = read_text_config(folder)
        encoder, kind = _encoder(config)
        tokens = jnp.zeros((1, 1), jnp.int32)
        abstract = jax.eval_shape(encoder.init, jax.random.key(0), tokens)["params"]
        tokenizer = encoder_tokenizer(folder, kind)
        most = max(tokenizer.get_vocab().values(), default=0) + 1
        if most > config.vocab_size:
            raise UserError(f"{folder}: its tokenizer has {most} tokens, its encoder {config.vocab_size}: they differ")
        params, fingerprint = load_text_encoder(folder, config, abstract)
        return cls(kind, config, params, tokenizer, fingerprint)

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """Unit float32 rows, equal to the last bits of a float whatever the other texts are.

        Zeros for a text without a letter or digit. A text is read up to `MAX_TOKENS` tokens.
        """
        rows = np.zeros((len(texts), self.dim), np.float32)
        said = [i for i, text in enumerate(texts) if any(c.isalnum() for c in text)]
        ids = [self._ids(encoding.ids) for encoding in self._tokenizer.encode_batch([texts[i] for i in said])]
        padded = np.array([min(-(-len(row) // _STEP) * _STEP, self._length) for row in ids], int)
        for length in np.unique(padded).tolist():
            alike = np.flatnonzero(padded == length)
            for chosen in np.split(alike, range(BATCH, len(alike), BATCH)):
                batch = 1 << (len(chosen) - 1).bit_length()
                tokens, mask = np.full((batch, length), self._pad, np.int32), np.zeros((batch, length), bool)
                for row, i in enumerate(chosen):
                    tokens[row, : len(ids[i])], mask[row, : len(ids[i])] = ids[i], True
                rows[[said[i] for i in chosen]] = np.asarray(self._pool(self._params, tokens, mask))[: len(chosen)]
        return rows

    def _ids(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= self._length else [*ids[: self._length - 1], ids[-1]]  # the end token stays

    def save(self, folder: Path) -> None:
        """Writes encoder.json: what the weights are, not the weights."""
        card = {"kind": self.kind, "dim": self.dim, "fingerprint": self.fingerprint}
        (folder / _CARD).write_text(json.dumps(card), encoding="utf-8")

    def check(self, folder: Path) -> None:
        """Raises `UserError` unless `save` of an embedder with the same weights wrote `folder`."""
        card = read_json(folder / _CARD, _MAX_CARD_BYTES)
        if not isinstance(card, dict) or card.get("fingerprint") != self.fingerprint:
            raise UserError("the pose bank was built with other weights of its embedder: give their folder")


def _encoder(config: TextConfig) -> tuple[Any, str]:
    if isinstance(config, BertConfig):
        return BertEncoder(config), "bert"
    if isinstance(config, ClipTextConfig):
        return ClipTextEncoder(config), "clip"
    return T5Encoder(config), "t5"


def _pool(config: TextConfig) -> Pool:
    encoder, kind = _encoder(config)
    if kind == "clip":

        def last(params: Any, tokens: Int[Array, "B L"], mask: Bool[Array, "B L"]) -> Float[Array, "B D"]:
            pooled = encoder.apply({"params": params}, tokens)
            return pooled / jnp.maximum(jnp.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)

        return last
    return lambda params, tokens, mask: mean_pool(encoder.apply({"params": params}, tokens, mask), mask)
