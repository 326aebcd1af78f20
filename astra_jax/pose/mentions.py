"""The noun phrases of a text that name people, found by word lists and position.

English only: no parser and no model, so captions and prompts can be read anywhere. All rules are our decision.
"""

from __future__ import annotations

import dataclasses
import re

from astra_jax.pose.word_lists import (
    ACTIVE,
    ANIMALS,
    BREAKS,
    CLOTHES,
    DETERMINERS,
    NO_VERB,
    NUMBERS,
    ORDINALS,
    PARTS,
    PLURAL,
    POSSESSIVES,
    SETS,
    SINGULAR,
)

_TOKEN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*|\d+|[,.;:!?()]")
REACH = 4  # how many words before a noun may belong to it


@dataclasses.dataclass(frozen=True)
class Mention:
    """A noun phrase for people: tokens `start` to `end` (excluded); `count` None where nobody says how many."""

    start: int
    end: int
    noun: str
    plural: bool
    count: int | None
    definite: bool
    owned: bool
    ordinal: str
    kept: tuple[str, ...]


def tokenise(text: str) -> list[str]:
    """Words in lower case, numbers and marks; a possessive "'s" is dropped."""
    return _TOKEN.findall(re.sub(r"['’]s\b", "", text.lower()))


def names_person(token: str) -> bool:
    """Whether a word by itself stands for people."""
    return token in SINGULAR or token in PLURAL or token in SETS


def mentions(tokens: list[str]) -> list[Mention]:
    """The mentions of people in what `tokenise` gave, in order; they do not overlap."""
    found: list[Mention] = []
    for i, token in enumerate(tokens):
        if (token in SINGULAR or token in PLURAL) and not _describes(tokens, i):
            start, modifiers = _modifiers(tokens, i, found[-1].end if found else 0)
            previous = found[-1] if found else None
            if previous and previous.end >= i - 1 and not modifiers and _compound(tokens[previous.end : i]):
                # "woman tennis player" is one noun phrase.
                start, modifiers = previous.start, tokens[previous.start : i]
                found.pop()
            found.append(_mention(tokens, start, i, modifiers))
        elif token in SETS and not _set_of_something(tokens, i):
            start, _ = _modifiers(tokens, i, found[-1].end if found else 0)
            count, end = SETS[token], i + 1
            if tokens[i + 1 : i + 2] == ["of"] and i + 2 < len(tokens) and _number(tokens[i + 2]) is not None:
                count, end = _number(tokens[i + 2]), i + 3  # "a family of four"
            determiner = {tokens[start]}
            found.append(Mention(start, end, "person", True, count, _definite(determiner), _owned(determiner), "", ()))
    return found


def _describes(tokens: list[str], i: int) -> bool:
    """Whether the noun at `i` only describes what follows: "male dancer", "baby elephant", "biker shirt"."""
    rest = tokens[i + 1 : i + 3]
    if tokens[i] in ("male", "female", "adult"):
        ends = next((n for n, word in enumerate(rest) if word in BREAKS or not word[0].isalnum()), len(rest))
        if any(word in SINGULAR or word in PLURAL for word in rest[:ends]):
            return True
    thing = bool(rest) and (rest[0] in ANIMALS or rest[0] in CLOTHES)
    return thing or (tokens[i] in ("model", "figure") and rest[:1] == ["of"])


def _set_of_something(tokens: list[str], i: int) -> bool:
    """Whether the set word at `i` only measures what follows: "a couple of dogs", "a couple friends", "team shirt"."""
    rest = tokens[i + 1 : i + 2 + REACH]
    if rest[:1] == ["of"]:
        # "a family of four at dinner" is people, "a group of 20 small photos" and "of three friends" are what follows.
        ends = len(rest) < 3 or rest[2] in BREAKS or is_verb(rest[2]) or not rest[2][0].isalnum()
        return len(rest) < 2 or _number(rest[1]) is None or not ends
    return any(token in PLURAL for token in rest[:1])


def _modifiers(tokens: list[str], noun: int, floor: int) -> tuple[int, list[str]]:
    """Start of the noun phrase that ends with token `noun`, not before `floor`, and its words before the noun."""
    start = noun
    while start > floor and noun - start < REACH + 2:
        word = tokens[start - 1]
        if word == "of" and start - 2 >= floor and tokens[start - 2] in PARTS:
            start -= 2
            continue
        closed = start < noun and tokens[start] in DETERMINERS
        if closed or word in BREAKS or not word[0].isalnum():
            break
        if is_verb(word) and not (start >= floor + 2 and tokens[start - 2] in DETERMINERS):
            break  # "dog watching kids" against "a smiling boy"
        start -= 1
    opens = DETERMINERS | ORDINALS | PARTS | set(NUMBERS)
    first = next((i for i in range(start, noun) if tokens[i] in opens or tokens[i].isdecimal()), noun)
    # Bare words before a bare noun may be anything ("hugs children"): they stay where they are.
    return first, tokens[first:noun]


def _compound(between: list[str]) -> bool:
    return all(word == "tennis" or not (word in BREAKS or word.endswith(("s", "ed", "ing")) or not word.isalpha())
               for word in between)  # fmt: skip


def _mention(tokens: list[str], start: int, noun: int, words: list[str]) -> Mention:
    token = tokens[noun]
    plural, name = token in PLURAL, PLURAL.get(token, token)
    numbers = [_number(word) for word in words if _number(word) is not None]
    if plural:
        count = numbers[-1] if numbers else None
    else:
        count = 0 if "no" in words else 1
    if start > 0 and tokens[start - 1] == "without":
        count = 0
    ordinal = next((word for word in words if word in ORDINALS), "")
    kept = [word for word in words if is_verb(word)]
    if name == "player" and words and words[-1] not in DETERMINERS and _number(words[-1]) is None:
        kept.append(words[-1])  # "a tennis player"
    if name in ACTIVE:
        kept.append(name)
    marks, kept_once = set(words), tuple(dict.fromkeys(kept))
    return Mention(start, noun + 1, name, plural, count, _definite(marks), _owned(marks), ordinal, kept_once)


def _definite(words: set[str]) -> bool:
    return bool(words & ({"the", "this", "these", "those", "each", "every", "both", "all"} | POSSESSIVES))


def _owned(words: set[str]) -> bool:
    return bool(words & POSSESSIVES)


def _number(word: str) -> int | None:
    if word.isdecimal():
        return min(int(word[:4]), 1000)
    return NUMBERS.get(word)


def is_verb(word: str) -> bool:
    """Whether a word is taken for a present participle ("riding")."""
    return word.endswith("ing") and word not in NO_VERB
