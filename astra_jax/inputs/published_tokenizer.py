"""The two tokenizers of a FLUX.1 folder: CLIP's in `tokenizer`, T5's in `tokenizer_2`, both through transformers.

Texts become the ids that transformers gives, marks such as "</s>" or "<|endoftext|>" written in a text included.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

from tokenizers import pre_tokenizers

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.inputs.tokenizer import END, PAD, TextTokenizer, Tokens, fixed_length
from astra_jax.inputs.tokenizer import load_tokenizer as load_own_tokenizer
from astra_jax.weights.tokenizer_folder import CLIP_FOLDER, T5_FOLDER, is_published, load_tokenizer, plain

# One set of each must be there. transformers can read T5's spiece.model too, but needs sentencepiece for it.
_CLIP_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_T5_FILES = (("tokenizer.json",),)
_T5_SPECIALS = {"<pad>": PAD, "</s>": END, "<unk>": 2}
_SPACE = "\u2581"  # a T5 token that stands for the space before a word and for no character of it


class PublishedTokenizer:
    """CLIP's and T5's tokenizers as one `TextTokenizer`.

    Both are transformers' tokenizers of the kind that runs in the tokenizers library. Raises `UserError` if T5's pad,
    end and unknown tokens have other ids than 0, 1 and 2, and if CLIP lacks its start or end token or a byte.
    """

    def __init__(self, clip: Any, t5: Any):
        self.clip_tokenizer, self.t5_tokenizer = plain(clip), plain(t5)
        for token, index in _T5_SPECIALS.items():
            if self.t5_tokenizer.token_to_id(token) != index:
                raise UserError(f"T5's tokenizer must have {token!r} at {index}: take {T5_FOLDER} of a FLUX.1 folder")
        vocab = self.clip_tokenizer.get_vocab()
        self.clip_vocab_size, self.t5_vocab_size = (
            max(tokenizer.get_vocab().values()) + 1 for tokenizer in (self.clip_tokenizer, self.t5_tokenizer)
        )
        ids = (clip.bos_token_id, clip.eos_token_id, clip.pad_token_id)
        missing = {
            mark for byte in pre_tokenizers.ByteLevel.alphabet() for mark in (byte, f"{byte}</w>")
        } - vocab.keys()
        # CLIP's encoder reads the text's feature at the last id, and whatever no token stands for becomes that id.
        if None in ids or ids[1] != self.clip_vocab_size - 1 or missing:
            raise UserError(
                f"CLIP's tokenizer lacks its start, end or pad token, {len(missing)} single bytes, or its end token is"
                f" not the last: take {CLIP_FOLDER} of a FLUX.1 folder"
            )
        self.clip_start, self.clip_end, self.clip_pad = ids

    def t5(self, text: str, length: int) -> Tokens:
        """Ids [length]: tokens, </s>, zeros. A longer text is cut before the </s> and `truncated` is set."""
        return self._t5(text, length, (END,))

    def clip(self, text: str, length: int) -> Tokens:
        """Ids [length]: start, tokens, end, then the tokenizer's own pad id. A longer text is cut before the end."""
        return fixed_length(self.clip_tokenizer, text, length, (self.clip_start,), (self.clip_end,), self.clip_pad)

    def phrase(self, text: str, length: int) -> Tokens:
        """Ids [length]: T5's tokens, zeros; no end token. A longer text is cut and `truncated` is set."""
        return self._t5(text, length, ())

    def _t5(self, text: str, length: int, after: tuple[int, ...]) -> Tokens:
        tokens = fixed_length(self.t5_tokenizer, text, length, (), after, PAD)
        # A lone space before a word is no part of the word (XVerse drops it from a subject's tokens).
        tokens.spans[tokens.ids == self.t5_tokenizer.token_to_id(_SPACE)] = 0
        return tokens


def load_published_tokenizer(folder: str | os.PathLike[str], config: ModelConfig | None = None) -> PublishedTokenizer:
    """Reads `folder/tokenizer` and `folder/tokenizer_2`; with `config`, also checks that they fit the text encoders.

    Nothing is fetched from a network and no code of the folder runs. Raises `UserError` if a file is missing or
    damaged, or if the vocabularies do not fit `config`.
    """
    # Imported here because it takes seconds, which only those pay who have such a folder.
    from transformers import CLIPTokenizer, T5Tokenizer

    folder = pathlib.Path(folder).expanduser()
    clip = load_tokenizer(CLIPTokenizer, folder / CLIP_FOLDER, _CLIP_FILES)
    t5 = load_tokenizer(T5Tokenizer, folder / T5_FOLDER, _T5_FILES)
    tokenizer = PublishedTokenizer(clip, t5)
    if config is not None:
        # T5's embedding has more rows than its vocabulary; CLIP's end token must be the last row.
        if tokenizer.t5_vocab_size > config.t5.vocab_size:
            raise UserError(
                f"{folder / T5_FOLDER} has {tokenizer.t5_vocab_size} tokens but config.model.t5.vocab_size is"
                f" {config.t5.vocab_size}: it must not be smaller"
            )
        if tokenizer.clip_vocab_size != config.clip_text.vocab_size:
            raise UserError(
                f"{folder / CLIP_FOLDER} has {tokenizer.clip_vocab_size} tokens but config.model.clip_text.vocab_size"
                f" is {config.clip_text.vocab_size}: they must be equal"
            )
    return tokenizer


def open_tokenizer(folder: str | os.PathLike[str], config: ModelConfig) -> TextTokenizer:
    """The tokenizer of a folder: tokenizer.json of ours, or the two of a folder in FLUX.1's published layout.

    Raises `UserError` as `load_tokenizer` and `load_published_tokenizer` do.
    """
    if str(folder) and is_published(pathlib.Path(folder).expanduser()):
        return load_published_tokenizer(folder, config)
    return load_own_tokenizer(folder, config)
