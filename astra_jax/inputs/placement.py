"""Which tokens of the prompt name which subject: the adapter adds a subject's offsets to exactly these.

XVerse (arXiv 2506.21416) places the span of the noun; here the whole phrase is placed ("the first man"), our decision.
The tokens of a phrase are the prompt's own tokens over that span, so both correspond one to one whatever the case or
the space before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from astra_jax.errors import UserError
from astra_jax.inputs.tokenizer import TextTokenizer, Tokens, clean


def place(
    prompt: str, phrases: Sequence[str], tokenizer: TextTokenizer, text_length: int, phrase_length: int
) -> tuple[Int[np.ndarray, "N Lp"], Int[np.ndarray, "N Lp"]]:
    """Finds each subject's phrase in the prompt; returns (phrase_tokens, placement), both [N, phrase_length].

    `phrase_tokens` are ids padded with 0, `placement` the positions of these tokens in `tokenizer.t5(prompt,
    text_length)`, padded with -1. See `find_phrases` for which words are taken. Raises `UserError` if a phrase is
    empty or absent, reaches beyond the part of the prompt that fits, or has more than `phrase_length` tokens.
    """
    tokens = tokenizer.t5(prompt, text_length)
    phrase_tokens = np.zeros((len(phrases), phrase_length), np.int32)
    placement = np.full((len(phrases), phrase_length), -1, np.int32)
    for n, (start, end) in enumerate(find_phrases(prompt, phrases)):
        positions = _positions(tokens, start, end)
        # A truncated prompt may hold the span's first tokens only: the last character must be covered.
        if positions.size == 0 or (tokens.truncated and tokens.spans[positions, 1].max() < end):
            raise UserError(
                f"the phrase {phrases[n]!r} lies beyond the first {text_length} tokens of the prompt {_short(prompt)}:"
                " shorten the prompt"
            )
        if len(positions) > phrase_length:
            raise UserError(
                f"the phrase {phrases[n]!r} has {len(positions)} tokens, at most {phrase_length} fit: shorten it"
            )
        placement[n, : len(positions)] = positions
        phrase_tokens[n, : len(positions)] = tokens.ids[positions]
    return phrase_tokens, placement


def find_phrases(prompt: str, phrases: Sequence[str]) -> list[tuple[int, int]]:
    """The characters [start, end) of each phrase in the prompt: whole words, any case, any white space between them.

    The k-th subject with an equal phrase gets the k-th occurrence. No two subjects share a word: longer phrases choose
    first, so with "old man" and "man" in "an old man and a man" the latter is the second man. Raises `UserError` for
    an empty phrase and for one that is absent or whose occurrences are all taken.
    """
    prompt = clean(prompt)
    spans: dict[int, tuple[int, int]] = {}
    for n in sorted(range(len(phrases)), key=lambda n: -len("".join(phrases[n].split()))):
        words = clean(phrases[n]).split()
        if not words:
            raise UserError(f"subject {n + 1} has an empty phrase: name its words in the prompt {_short(prompt)}")
        found = [match.span() for match in _whole_words(words).finditer(prompt)]
        free = [span for span in found if all(span[1] <= s or e <= span[0] for s, e in spans.values())]
        if not found:
            raise UserError(
                f"the phrase {phrases[n]!r} is not in the prompt {_short(prompt)}: write the subject's words as they"
                " stand there"
            )
        if not free:
            raise UserError(
                f"the phrase {phrases[n]!r} occurs too few times in the prompt {_short(prompt)}: every subject needs"
                " words of its own, such as 'the first man' and 'the second man'"
            )
        spans[n] = free[0]
    return [spans[n] for n in range(len(phrases))]


def _whole_words(words: Sequence[str]) -> re.Pattern[str]:
    # A phrase may begin or end in a sign ("R2-D2!"); a boundary is asked for only next to letters and digits.
    text = r"\s+".join(re.escape(word) for word in words)
    before = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", words[-1]) else ""
    return re.compile(before + text + after, re.IGNORECASE)


def _positions(tokens: Tokens, start: int, end: int) -> Int[np.ndarray, "K"]:
    """Positions of the tokens that share a character with [start, end)."""
    return np.flatnonzero((tokens.spans[:, 0] < end) & (tokens.spans[:, 1] > start))


def _short(prompt: str, length: int = 200) -> str:
    return repr(prompt if len(prompt) <= length else prompt[: length - 3] + "...")
