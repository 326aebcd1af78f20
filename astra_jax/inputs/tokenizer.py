"""Prompts to token ids: one byte-level BPE vocabulary that serves both text encoders.

Ids (our decision, so that one `tokenizer.json` fits the conventions of both encoders):

* 0 pads and 1 ends a T5 sequence, as in T5 v1.1 ("<pad>", "</s>");
* the last two start and end a CLIP sequence, as in CLIP ("<|startoftext|>", "<|endoftext|>"): CLIP's text encoder
  pools at the first token whose id is `vocab_size - 1`, and pads with the same id.

These four are in the vocabulary but no merge makes them, so no text, whatever it says, turns into one of them.

    python -m astra_jax.inputs.tokenizer --texts prompts.txt --vocab_size 2048 --out runs/tokenizer
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from absl import flags
from jaxtyping import Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.whole_files import write_whole

PAD, END = 0, 1
SPECIALS = ("<pad>", "</s>", "<|startoftext|>", "<|endoftext|>")
SMALLEST = 256 + len(SPECIALS)  # every byte has a token of its own
FILE = "tokenizer.json"
MAX_FILE_BYTES = 64 << 20
MAX_TEXT = 100_000  # characters of a prompt that are looked at: no encoder reads more


class Tokens(NamedTuple):
    """A text as ids of fixed length; `spans` are the characters [start, end) of each token, (0, 0) for none."""

    ids: Int[np.ndarray, "L"]
    spans: Int[np.ndarray, "L 2"]
    truncated: bool  # the end of the text did not fit


@runtime_checkable
class TextTokenizer(Protocol):
    """What the inputs need of a tokenizer (this module's, or a pair of foreign ones)."""

    def t5(self, text: str, length: int) -> Tokens:
        """Tokens, then the end token, padded with 0."""
        ...

    def clip(self, text: str, length: int) -> Tokens:
        """The start token, tokens, then the end token, padded with the end token."""
        ...

    def phrase(self, text: str, length: int) -> Tokens:
        """T5 tokens without the end token, padded with 0."""
        ...


class PromptTokenizer:
    """Wraps a `tokenizers.Tokenizer` made by `train_tokenizer`. A `TextTokenizer`."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()
        ids = tuple(tokenizer.token_to_id(token) for token in SPECIALS)
        if ids != (PAD, END, self.vocab_size - 2, self.vocab_size - 1):
            raise UserError(f"the tokenizer lacks the tokens {', '.join(SPECIALS)} at their places: train it again")

    def t5(self, text: str, length: int) -> Tokens:
        """Ids [length]: tokens, </s>, zeros. A longer text is cut before the </s> and `truncated` is set."""
        return fixed_length(self.tokenizer, text, length, (), (END,), PAD)

    def clip(self, text: str, length: int) -> Tokens:
        """Ids [length]: start, tokens, then only end-of-text. A longer text is cut and `truncated` is set."""
        start, end = self.vocab_size - 2, self.vocab_size - 1
        return fixed_length(self.tokenizer, text, length, (start,), (end,), end)

    def phrase(self, text: str, length: int) -> Tokens:
        """Ids [length]: tokens, zeros; no end token. A longer text is cut and `truncated` is set."""
        return fixed_length(self.tokenizer, text, length, (), (), PAD)

    def decode(self, ids: Sequence[int] | Int[np.ndarray, "L"]) -> str:
        """The text of ids; the four special ids say nothing. Bytes that are no UTF-8 become U+FFFD."""
        specials = {PAD, END, self.vocab_size - 2, self.vocab_size - 1}
        return self.tokenizer.decode([int(i) for i in ids if int(i) not in specials])


def fixed_length(
    tokenizer: Tokenizer, text: str, length: int, before: tuple[int, ...], after: tuple[int, ...], pad: int
) -> Tokens:
    """Ids [length]: `before`, the text's tokens cut to the room there is, `after`, then `pad`.

    Raises ValueError for a length without room for `before` and `after`.
    """
    room = length - len(before) - len(after)
    if room < 0:
        raise ValueError(f"a sequence of {length} tokens has no room for its special tokens")
    encoding = tokenizer.encode(clean(text)[:MAX_TEXT], add_special_tokens=False)
    inner, offsets = encoding.ids[:room], encoding.offsets[:room]
    ids = np.full(length, pad, np.int32)
    spans = np.zeros((length, 2), np.int32)
    sequence = (*before, *inner, *after)
    ids[: len(sequence)] = sequence
    if inner:
        spans[len(before) : len(before) + len(inner)] = offsets
    return Tokens(ids, spans, len(encoding.ids) > room or len(text) > MAX_TEXT)


def clean(text: str) -> str:
    """Text with U+FFFD for lone surrogates (bytes of the command line that are no UTF-8); as long as before."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE (GPT-2's) learnt from `texts`, with exactly `vocab_size` ids.

    Where the texts hold fewer pairs to merge than asked for, tokens that no text makes fill the vocabulary, so that the
    end-of-text id is `vocab_size - 1` all the same. Raises `UserError` if `vocab_size` cannot hold the 256 bytes and
    the special tokens, or if there is no text.
    """
    if vocab_size < SMALLEST:
        raise UserError(f"vocab_size {vocab_size} is too small: the bytes and special tokens alone need {SMALLEST}")
    texts = [clean(text) for text in texts if text.strip()]
    if not texts:
        raise UserError("no text to learn a tokenizer from: give one caption a line")
    learner = _byte_level(models.BPE())
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size - len(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
            special_tokens=[],
        ),
    )
    learnt = json.loads(learner.to_str())["model"]
    pad, end, start, stop = SPECIALS
    vocab = {pad: PAD, end: END}
    for token in sorted(learnt["vocab"], key=learnt["vocab"].__getitem__):
        vocab[token] = len(vocab)
    while len(vocab) < vocab_size - 2:
        vocab[f"<|unused{len(vocab)}|>"] = len(vocab)
    vocab[start], vocab[stop] = vocab_size - 2, vocab_size - 1
    return _byte_level(models.BPE(vocab=vocab, merges=[tuple(merge) for merge in learnt["merges"]]))


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Writes `folder/tokenizer.json` in one step (a file of another name, then a rename); returns its path."""
    path = pathlib.Path(folder).expanduser() / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, tokenizer.to_str(pretty=True).encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path


def load_tokenizer(folder: str | os.PathLike[str], config: ModelConfig | None = None) -> PromptTokenizer:
    """Reads `folder/tokenizer.json`; with `config`, also checks that the text encoders have its vocabulary.

    Raises `UserError` if the file is missing, is no tokenizer of this module, or does not fit `config`.
    """
    if not str(folder):
        raise UserError(
            "data.tokenizer is not set: name the folder with tokenizer.json, or make one with"
            " `python -m astra_jax.inputs.tokenizer --texts FILE --out DIR`"
        )
    path = pathlib.Path(folder).expanduser() / FILE
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path} is larger than {MAX_FILE_BYTES} bytes: this is no tokenizer")
        tokenizer = PromptTokenizer(_parse(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}: make one with"
            f" `python -m astra_jax.inputs.tokenizer --texts FILE --out {folder}`"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is no tokenizer of astra_jax.inputs.tokenizer ({error}): make it again") from error
    if config is not None:
        for name, size in (("t5", config.t5.vocab_size), ("clip_text", config.clip_text.vocab_size)):
            if size != tokenizer.vocab_size:
                raise UserError(
                    f"{path} has {tokenizer.vocab_size} tokens but config.model.{name}.vocab_size is {size}:"
                    " they must be equal"
                )
    return tokenizer


def _parse(text: str) -> Tokenizer:
    """Builds the tokenizer from the file's vocabulary and merges alone: nothing else in the file takes effect."""
    model = json.loads(text)["model"]
    if model["type"] != "BPE":
        raise ValueError(f"its model is {model['type']!r}")
    vocab = {str(token): int(index) for token, index in model["vocab"].items()}
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError("its ids are not 0, 1, 2, ...")
    merges = [(str(a), str(b)) for a, b in (m.split(" ") if isinstance(m, str) else m for m in model["merges"])]
    for a, b in merges:
        if a not in vocab or b not in vocab or a + b not in vocab or a + b in SPECIALS:
            raise ValueError(f"its merge {a!r} {b!r} leads outside the vocabulary")
    missing = set(pre_tokenizers.ByteLevel.alphabet()) - vocab.keys()
    if missing:
        raise ValueError("it lacks tokens for some bytes")
    return _byte_level(models.BPE(vocab=vocab, merges=merges))


def main(argv: Sequence[str]) -> None:
    """Learns a tokenizer from the lines of a text file."""
    del argv
    path = pathlib.Path(FLAGS.texts).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"--texts={path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--texts={path} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    tokenizer = train_tokenizer(lines, FLAGS.vocab_size)
    written = save_tokenizer(tokenizer, FLAGS.out)
    encodings = tokenizer.encode_batch([clean(line) for line in lines if line.strip()])
    lengths = [len(encoding.ids) for encoding in encodings]
    print(
        f"wrote {written}: {tokenizer.get_vocab_size()} tokens from {len(lengths)} texts;"
        f" a text takes {np.mean(lengths):.1f} tokens on average, {max(lengths)} at most"
    )


if __name__ == "__main__":
    from astra_jax import cli

    FLAGS = flags.FLAGS
    flags.DEFINE_string("texts", None, "a UTF-8 text file, one caption a line", required=True)
    flags.DEFINE_integer("vocab_size", 2048, "number of ids, the special ones included")
    flags.DEFINE_string("out", None, "the folder for tokenizer.json", required=True)
    cli.run(main)
