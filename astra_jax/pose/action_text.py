"""What a text says people do, to whom and with what: identity, clothes, looks and the place are taken out.

Captions and prompts go through the same function, so that "a king hugging his son on the beach" and "two men hugging
in a park" meet in their action. English only, by word lists and position; all rules are our decision.
"""

from __future__ import annotations

from astra_jax.pose.mentions import REACH, is_verb, mentions, tokenise
from astra_jax.pose.verbs import verbs_of
from astra_jax.pose.word_lists import (
    ARTICLES,
    BREAKS,
    CLOTHES,
    COLOURS,
    LOOKS,
    PLACED,
    PLACES,
    POSSESSIVES,
    PURSUITS,
)

_LOOSE = frozenset({"and", "or", "while", "with", "as", "in", "at", "on", "of", "is", "are", "to", "by", "near"})
_PLACE_REACH = 7  # how many words a place may take ("in front of a very large old building")


def action_text(text: str) -> str:
    """The text with all taken out that is no action: lower case, without articles, possessives and punctuation.

    Noun phrases for people become "person" or "people"; what in them tells an action stays ("a smiling boy": "person
    smiling", "a surfer": "person surfer"). Clothes ("wearing a red hat", "in a blue shirt"), looks ("with a beard")
    and places ("on the beach", "in front of a house") go; a place keeps what is done there ("on a tennis court":
    "tennis"). The result may be empty.
    """
    tokens = tokenise(text)
    words: list[str] = []
    position = 0
    for mention in mentions(tokens):
        words += tokens[position : mention.start]
        words += ["people" if mention.plural else "person", *mention.kept]
        position = mention.end
    words = _without_places(_without_clothes(words + tokens[position:]))
    dropped = ARTICLES | POSSESSIVES
    kept = [word for word in words if word[0].isalnum() and word not in dropped]
    while kept and kept[-1] in _LOOSE:
        kept.pop()
    return " ".join(kept)


def _without_clothes(words: list[str]) -> list[str]:
    kept: list[str] = []
    i = 0
    while i < len(words):
        worn = words[i] in ("wearing", "dressed", "clad")
        start = i + 1 + (worn and words[i + 1 : i + 2] == ["in"])
        end = _clothes_end(words, start) if worn or words[i] in ("in", "with") else 0
        if worn and not end:  # clothes we have no word for: up to the next clause
            end = next((j for j in range(start, len(words)) if _breaks(words[j])), len(words))
        if not end:
            kept.append(words[i])
        i = end or i + 1
    return kept


def _clothes_end(words: list[str], start: int) -> int:
    """End of the clothes or looks that begin at `start` ("a red shirt and a hat"), 0 if there are none."""
    end = 0
    for i in range(start, min(start + REACH, len(words))):
        if _breaks(words[i]):
            break
        # A colour is worn where no thing follows: "in black", but "in a black car".
        worn = words[i] in COLOURS and _is_head(words, i)
        if worn or words[i] in CLOTHES or words[i] in LOOKS:
            end = i + 1
    if end and words[end : end + 1] in (["and"], [","], ["with"]):
        return _clothes_end(words, end + 1) or end
    return end


def _without_places(words: list[str]) -> list[str]:
    kept: list[str] = []
    i = 0
    while i < len(words):
        end = _place_end(words, i + 1) if words[i] in PLACED else 0
        if end:
            kept += [word for word in words[i:end] if word in PURSUITS]
        elif words[i] not in ("outdoors", "indoors", "outside"):
            kept.append(words[i])
        i = end or i + 1
    return kept


def _place_end(words: list[str], start: int) -> int:
    """End of the place that begins at `start`, behind its preposition; 0 if there is none."""
    end = 0
    for i in range(start, min(start + _PLACE_REACH, len(words))):
        linking = words[i] == "of" or (words[i] == "to" and words[i - 1] == "next")
        if _breaks(words[i]) and not linking and words[i] not in PURSUITS:
            break
        if words[i] in PLACES and _is_head(words, i):  # "on the beach", but "on a beach chair"
            end = i + 1
    return end


def _is_head(words: list[str], i: int) -> bool:
    """Whether a noun phrase ends with word `i`: a break or a verb follows ("in the park throws a ball")."""
    after = words[i + 1] if i + 1 < len(words) else "."
    return _breaks(after) or after in ("plays", "does", "takes", "poses") or bool(verbs_of(after))


def _breaks(word: str) -> bool:
    return is_verb(word) or word in BREAKS | PLACED or not word[0].isalnum() or word in ("person", "people")
