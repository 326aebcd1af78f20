"""Splits a prompt into the actions of its people: "a man riding a bike and a woman walking a dog" are two.

One action that several people share or do to each other stays one ("a man and a woman dancing", "a man hugs a child").
English only, by word lists and position; all rules are our decision.
"""

from __future__ import annotations

import dataclasses

from astra_jax.pose.mentions import Mention, is_verb, mentions, tokenise
from astra_jax.pose.people_words import count_people
from astra_jax.pose.verbs import verbs_of
from astra_jax.pose.word_lists import ARTICLES, BREAKS

# What may stand between two people who act by themselves. Other prepositions tie them together ("talking to a woman").
_BETWEEN = ("and", "while", "as", ",", ";", ".", ":", "beside", "near", "behind", "next to", "in front of", "and then")
_TOGETHER = frozenset({"together", "him", "them", "another", "other"})  # "each other", "holding the other's hand"
_ALONE = frozenset({"one", "another", "first", "second", "third", "other", "last"})  # "one kneeling, the other sitting"


@dataclasses.dataclass(frozen=True)
class Clause:
    """What some people of a prompt do together; `text` names them and their action."""

    people: int
    text: str


@dataclasses.dataclass(frozen=True)
class _Part:
    subject: Mention
    words: tuple[str, ...]  # from the subject's first word on
    rest: tuple[str, ...]  # behind the subject


def clauses(prompt: str) -> tuple[Clause, ...]:
    """The actions of a prompt in the order of its words; empty if it speaks of nobody or of an unknown number.

    People without a verb of their own share the next one ("a man and a woman dancing"), or else the one before. The
    numbers of people add up to `count_people`; a prompt of which this would not hold is one clause.
    """
    total = count_people(prompt)
    if not total:
        return ()
    whole = (Clause(total, " ".join(tokenise(prompt))),)
    tokens = _individuals(tokenise(prompt))
    parts = _joined(_without_introductions(_parts(tokens)))
    texts = [" ".join(_trimmed(part.words)) for part in parts]
    counts = [count_people(text) for text in texts]
    # "two men hugging each other" stay among themselves, "holding the other's hand" ties one part to another.
    tied = any(count == 1 and _TOGETHER & set(part.rest) for count, part in zip(counts, parts, strict=True))
    if len(parts) < 2 or tied or None in counts or 0 in counts or sum(count or 0 for count in counts) != total:
        return whole
    return tuple(Clause(count, text) for count, text in zip(counts, texts, strict=True) if count)


def _individuals(tokens: list[str]) -> list[str]:
    """Tokens in which "one kneeling" and "the other is sitting" name a person: "one person kneeling"."""
    out: list[str] = []
    for i, token in enumerate(tokens):
        out.append(token)
        after = tokens[i + 1] if i + 1 < len(tokens) else ""
        opens = i and tokens[i - 1] in (",", ":", ";", ".", "and", "while", "the", "(")
        if token in _ALONE and opens and (is_verb(after) or after in ("is", "in", "on", "with")):
            out.append("person")
    return out


def _parts(tokens: list[str]) -> list[_Part]:
    """One part for every person mentioned at the start or behind `_BETWEEN`."""
    starts = [mention for mention in mentions(tokens) if _opens(tokens, mention.start)]
    ends = [*(mention.start for mention in starts[1:]), len(tokens)]
    return [
        _Part(mention, tuple(tokens[mention.start : end]), tuple(_trimmed(tokens[mention.end : end])))
        for mention, end in zip(starts, ends, strict=False)  # one end more where nobody opens a part
    ]


def _opens(tokens: list[str], start: int) -> bool:
    before = " ".join(tokens[:start])
    if not any(before == words or before.endswith(f" {words}") for words in _BETWEEN):
        # "there is a man", "a photo of a man": nothing is done before the first person.
        return not any(is_verb(token) for token in tokens[:start]) and not mentions(tokens[:start])
    return True


def _trimmed(words: list[str] | tuple[str, ...]) -> list[str]:
    """Words without what only joins them to the next part."""
    kept = list(words)
    endings = sorted((words.split() for words in _BETWEEN), key=len, reverse=True)
    while cut := next((len(end) for end in endings if kept[-len(end) :] == end), 0):
        kept = kept[:-cut]
    return kept


def _without_introductions(parts: list[_Part]) -> list[_Part]:
    """Parts without people that are only announced: "two men, the first man waving, ..." or "a boy and a girl, the boy
    waving, ..."."""
    kept = []
    for i, part in enumerate(parts):
        later = [other for other in parts[i + 1 :] if other.rest]
        group = part.subject.plural and len(later) == (part.subject.count or 0) and len(parts) == len(later) + 1
        again = any(other.subject.definite and other.subject.noun == part.subject.noun for other in later)
        if part.rest or not (group or again):
            kept.append(part)
    return kept


def _joined(parts: list[_Part]) -> list[_Part]:
    """Parts in which everybody acts: people without an action are joined to the next part, or else to the last."""
    out: list[_Part] = []
    waiting: list[_Part] = []
    for part in parts:
        waiting.append(part)
        if _acts(part):
            out.append(_join(waiting))
            waiting = []
    if waiting:
        out[-1:] = [_join([*out[-1:], *waiting])]
    return out


def _acts(part: _Part) -> bool:
    """Whether a part has a verb: a participle, one of V-COCO's, or what stands where a verb would."""
    first, *others = [word for word in part.rest if word not in ("is", "are")] or [""]
    if part.subject.kept or any(is_verb(word) for word in (first, *others)) or verbs_of(" ".join(part.rest)):
        return True
    # "a man hugs", "two boys wrestle", "a man is asleep"
    inflected = part.subject.plural or first.endswith("s") or part.rest[:1] in (("is",), ("are",))
    return inflected and first.isalpha() and first not in BREAKS | ARTICLES


def _join(parts: list[_Part]) -> _Part:
    words: list[str] = []
    for i, part in enumerate(parts):
        words += [*(_trimmed(part.words)), *(["and"] if i + 1 < len(parts) else [])]
    return _Part(parts[0].subject, tuple(words), tuple(word for part in parts for word in part.rest))
