"""Whether a prompt speaks the language of a bank's captions, and of an action they know. All rules are our decision."""

from __future__ import annotations

import re
from collections.abc import Iterable

from astra_jax.pose.action_text import action_text
from astra_jax.pose.embedding import COMMON
from astra_jax.pose.word_lists import (
    BREAKS,
    CLOTHES,
    COLOURS,
    DETERMINERS,
    LOOKS,
    NUMBERS,
    PLACES,
    PLURAL,
    SETS,
    SINGULAR,
)

_WORD = re.compile(r"[^\W\d_]{3,}")
_ENDINGS = ("ing", "ed", "es", "s", "e")
MIN_KNOWN = 0.34  # of a prompt's words; fewer, and it is taken for another language


def stems(text: str) -> frozenset[str]:
    """The words of at least three letters without their English endings: "hugs", "hugging" and "hug" are one."""
    return frozenset(map(_stem, _WORD.findall(text.lower())))


def unknown(prompt: str, known: frozenset[str]) -> str:
    """What keeps a prompt's words from choosing among captions whose `stems` are `known`; "" if nothing does."""
    said = stems(prompt)
    if len(said & (known | _ENGLISH)) < MIN_KNOWN * len(said):
        return "is not in the English of the pose bank's captions"
    action = stems(action_text(prompt)) - _PEOPLE
    if not action:
        return "names no action"
    return "" if action & known else "shares no action word with the pose bank's captions"


def _stem(word: str) -> str:
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) >= len(e) + 3), "")
    word = word.removesuffix(ending)
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _all(*lists: Iterable[str]) -> frozenset[str]:
    return frozenset(_stem(word) for words in lists for word in words)


_PEOPLE = _all(("person", "people"))
_ENGLISH = _all(COMMON, BREAKS, CLOTHES, COLOURS, DETERMINERS, LOOKS, NUMBERS, PLACES, PLURAL, SETS, SINGULAR)
