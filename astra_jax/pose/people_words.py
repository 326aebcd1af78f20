"""What a text says of people: how many there are, whether a phrase names one, and the text with identity taken out.

English only, by word lists and position: no parser and no model, so captions and prompts can be compared anywhere.
All rules are our decision.
"""

from __future__ import annotations

import dataclasses
import re

from astra_jax.pose.word_lists import (
    ACTIVE,
    ARTICLES,
    BREAKS,
    CLOTHES,
    DETERMINERS,
    GENERIC,
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
_REACH = 4  # how many words before a noun may belong to it


@dataclasses.dataclass(frozen=True)
class _Mention:
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


def count_people(prompt: str) -> int | None:
    """How many people a prompt speaks of; 0 if of none, None if of an unknown number ("people dancing").

    Numbers and articles are added up ("two men and a child": 3). A noun that comes again with "the" is the one
    spoken of before. Individuals after "two people," spell the group out and add nothing. People without a number
    count for nothing beside people with one ("a man before a crowd": 1).
    """
    tokens = _tokens(prompt)
    total, unknown = 0, False
    seen: set[str] = set()  # nouns, and nouns with their ordinal
    groups: set[str] = set()  # nouns that came in the plural
    left, group_end = 0, 0  # how many of the last group no individual has been named for, and where it ends
    for mention in _mentions(tokens):
        if mention.ordinal:
            new = f"{mention.ordinal} {mention.noun}" not in seen and mention.noun not in groups
        else:
            # "the two people" after "a man and a woman" are those two; "his two friends" are not.
            again = mention.plural and total > 0 and mention.noun in GENERIC and not mention.owned
            new = not (mention.definite and (again or mention.noun in seen))
        if mention.count is None:
            unknown = True
        elif new and left and any(token in ",:;.(" for token in tokens[group_end : mention.start]):
            left -= min(mention.count, left)
        elif new:
            total += mention.count
            if mention.count > 1 and mention.noun in GENERIC:
                left, group_end = mention.count, mention.end
        seen |= {mention.noun, f"{mention.ordinal} {mention.noun}"}
        if mention.plural:
            groups.add(mention.noun)
    return None if unknown and total == 0 else total


def is_person(phrase: str) -> bool:
    """Whether a noun phrase names people: "the first boy" does, "a man's hat" and "a red backpack" do not."""
    tokens = _tokens(phrase)
    head_end = len(tokens)
    for i, token in enumerate(tokens):
        clause = _is_verb(token) and _names_person(tokens[i - 1])  # "a man riding a bike"
        if i and (clause or token in BREAKS or not token[0].isalnum()):
            if token == "of" and tokens[i - 1] in PARTS:
                continue
            head_end = i
            break
    return head_end > 0 and _names_person(tokens[head_end - 1])


def action_text(text: str) -> str:
    """The text with identity taken out: what is left says what people do, to whom and where.

    Lower case without articles, possessives and punctuation. Noun phrases for people become "person" or "people";
    what in them tells an action stays ("a smiling boy": "person smiling", "a surfer": "person surfer"). Clothing
    ("wearing a red hat", "in a blue shirt") goes. The result may be empty.
    """
    tokens = _tokens(text)
    words: list[str] = []
    position = 0
    for mention in _mentions(tokens):
        words += tokens[position : mention.start]
        words += ["people" if mention.plural else "person", *mention.kept]
        position = mention.end
    words = _without_clothes(words + tokens[position:])
    dropped = ARTICLES | POSSESSIVES
    return " ".join(word for word in words if word[0].isalnum() and word not in dropped)


def _tokens(text: str) -> list[str]:
    text = re.sub(r"['’]s\b", "", text.lower())
    return _TOKEN.findall(text)


def _names_person(token: str) -> bool:
    return token in SINGULAR or token in PLURAL or token in SETS


def _mentions(tokens: list[str]) -> list[_Mention]:
    found: list[_Mention] = []
    for i, token in enumerate(tokens):
        if token in SINGULAR or token in PLURAL:
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
            found.append(_Mention(start, end, "person", True, count, _definite(determiner), _owned(determiner), "", ()))
    return found


def _set_of_something(tokens: list[str], i: int) -> bool:
    """Whether the set word at `i` only measures what follows: "a couple of dogs", "a couple friends", "team shirt"."""
    rest = tokens[i + 1 : i + 2 + _REACH]
    if rest[:1] == ["of"]:
        return len(rest) < 2 or _number(rest[1]) is None or any(_names_person(token) for token in rest[2:3])
    return any(token in PLURAL for token in rest[:1])


def _modifiers(tokens: list[str], noun: int, floor: int) -> tuple[int, list[str]]:
    """Start of the noun phrase that ends with token `noun`, not before `floor`, and its words before the noun."""
    start = noun
    while start > floor and noun - start < _REACH + 2:
        word = tokens[start - 1]
        if word == "of" and start - 2 >= floor and tokens[start - 2] in PARTS:
            start -= 2
            continue
        closed = start < noun and tokens[start] in DETERMINERS
        if closed or word in BREAKS or not word[0].isalnum():
            break
        if _is_verb(word) and not (start >= floor + 2 and tokens[start - 2] in DETERMINERS):
            break  # "dog watching kids" against "a smiling boy"
        start -= 1
    opens = DETERMINERS | ORDINALS | PARTS | set(NUMBERS)
    first = next((i for i in range(start, noun) if tokens[i] in opens or tokens[i].isdecimal()), noun)
    # Bare words before a bare noun may be anything ("hugs children"): they stay where they are.
    return first, tokens[first:noun]


def _compound(between: list[str]) -> bool:
    return all(word == "tennis" or not (word in BREAKS or word.endswith(("s", "ed", "ing")) or not word.isalpha())
               for word in between)  # fmt: skip


def _mention(tokens: list[str], start: int, noun: int, words: list[str]) -> _Mention:
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
    kept = [word for word in words if _is_verb(word)]
    if name == "player" and words and words[-1] not in DETERMINERS and _number(words[-1]) is None:
        kept.append(words[-1])  # "a tennis player"
    if name in ACTIVE:
        kept.append(name)
    marks, kept_once = set(words), tuple(dict.fromkeys(kept))
    return _Mention(start, noun + 1, name, plural, count, _definite(marks), _owned(marks), ordinal, kept_once)


def _definite(words: set[str]) -> bool:
    return bool(words & ({"the", "this", "these", "those", "each", "every", "both", "all"} | POSSESSIVES))


def _owned(words: set[str]) -> bool:
    return bool(words & POSSESSIVES)


def _number(word: str) -> int | None:
    if word.isdecimal():
        return min(int(word[:4]), 1000)
    return NUMBERS.get(word)


def _without_clothes(words: list[str]) -> list[str]:
    kept: list[str] = []
    i = 0
    while i < len(words):
        worn = words[i] in ("wearing", "dressed", "clad")
        start = i + 1 + (worn and words[i + 1 : i + 2] == ["in"])
        end = _clothes_end(words, start) if worn or words[i] == "in" else 0
        if worn and not end:  # clothes we have no word for: up to the next clause
            end = next((j for j in range(start, len(words)) if _breaks(words[j])), len(words))
        if not end:
            kept.append(words[i])
        i = end or i + 1
    return kept


def _clothes_end(words: list[str], start: int) -> int:
    """End of the clothes that begin at `start` ("a red shirt and a hat"), 0 if there are none."""
    end = 0
    for i in range(start, min(start + _REACH, len(words))):
        if _breaks(words[i]):
            break
        if words[i] in CLOTHES:
            end = i + 1
    if end and words[end : end + 1] in (["and"], [","], ["with"]):
        return _clothes_end(words, end + 1) or end
    return end


def _breaks(word: str) -> bool:
    return _is_verb(word) or word in BREAKS or not word[0].isalnum() or word in ("person", "people")


def _is_verb(word: str) -> bool:
    return word.endswith("ing") and word not in NO_VERB
