"""Words for a scene: who (a noun each), what they do, and where; nothing about anybody's looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ORDINALS = ("first", "second", "third")
# {who} takes the people with their clauses as noun phrases, {is} the same as clauses with a verb, {where} the place.
_TEMPLATES = (
    "{who}, {where}",
    "{who} {where}",
    "{where}, {is}",
    "{is} {where}",
    "a picture of {who}, {where}",
    "{where}: {who}",
)


@dataclass(frozen=True)
class Prompt:
    """A prompt and the words in it that stand for each person, in the order of the people."""

    text: str
    phrases: tuple[str, ...]


def name_people(kinds: Sequence[str]) -> tuple[str, ...]:
    """A phrase for each person: "a man", or "the first man", "the second man" where several share the noun."""
    phrases, seen = [], dict.fromkeys(kinds, 0)
    for kind in kinds:
        phrases.append(f"a {kind}" if list(kinds).count(kind) == 1 else f"the {_ORDINALS[seen[kind]]} {kind}")
        seen[kind] += 1
    return tuple(phrases)


def write_prompt(
    rng: np.random.Generator,
    kinds: Sequence[str],
    background: str,
    clauses: Sequence[str] | None,
    joint_clause: str | None,
) -> Prompt:
    """The prompt of a scene, in lower case.

    Args:
      rng: chooses the wording.
      kinds: nouns from left to right ("man", "woman", "boy", "girl").
      background: the place with its preposition ("on the beach").
      clauses: what each person does ("waving hello"), or None when they do something together.
      joint_clause: what they do together ("hugging each other"), or None.

    Returns:
      The text and the phrases; each phrase stands in the text exactly once, in the order of the people.

    Raises:
      ValueError: not exactly one of `clauses` (one for each person) and `joint_clause` is given, or there are not one
        to three people.
    """
    if not 1 <= len(kinds) <= len(_ORDINALS):
        raise ValueError(f"a scene has one to three people, not {len(kinds)}")
    if (clauses is None) == (joint_clause is None) or (clauses is not None and len(clauses) != len(kinds)):
        raise ValueError("give one clause for each person, or one joint clause for all")
    phrases = name_people(kinds)
    if clauses is None:
        who = f"{_enumerate(phrases)} {joint_clause}"
        verb = "are" if len(kinds) > 1 else "is"
        act = f"{_enumerate(phrases)} {verb} {joint_clause}"
    else:
        who = _enumerate([f"{phrase} {clause}" for phrase, clause in zip(phrases, clauses, strict=True)])
        sentences = [f"{phrase} is {clause}" for phrase, clause in zip(phrases, clauses, strict=True)]
        act = " while ".join([", ".join(sentences[:-1]), sentences[-1]]) if len(sentences) > 1 else sentences[0]
    template = _TEMPLATES[int(rng.integers(len(_TEMPLATES)))]
    return Prompt(template.format(**{"who": who, "is": act, "where": background}), phrases)


def _enumerate(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
