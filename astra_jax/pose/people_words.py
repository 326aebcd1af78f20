"""What a text says of people: how many there are, and whether a phrase names one (see `mentions` for how)."""

from __future__ import annotations

from astra_jax.pose.mentions import is_verb, mentions, names_person, tokenise
from astra_jax.pose.word_lists import BREAKS, GENERIC, PARTS


def count_people(prompt: str) -> int | None:
    """How many people a prompt speaks of; 0 if of none, None if of an unknown number ("people dancing").

    Numbers and articles are added up ("two men and a child": 3). A noun that comes again with "the" is the one
    spoken of before. Individuals after "two people," spell the group out and add nothing. People without a number
    count for nothing beside people with one ("a man before a crowd": 1).
    """
    tokens = tokenise(prompt)
    total, unknown = 0, False
    seen: set[str] = set()  # nouns, and nouns with their ordinal
    groups: set[str] = set()  # nouns that came in the plural
    # How many of the last group no individual has been named for, where it ends, and whether anybody may belong to it.
    left, group_end, generic = 0, 0, False
    for mention in mentions(tokens):
        if mention.ordinal:
            new = f"{mention.ordinal} {mention.noun}" not in seen and mention.noun not in groups
        else:
            # "the two people" after "a man and a woman" are those two; "his two friends" are not.
            again = mention.plural and total > 0 and mention.noun in GENERIC and not mention.owned
            new = not (mention.definite and (again or mention.noun in seen))
            # "two people, ... and the woman", "two women, ... one woman": one of those spoken of.
            one = mention.count == 1 and not mention.owned
            known = generic or mention.noun in groups
            if one and left and known and (mention.definite or tokens[mention.start] == "one"):
                left, new = left - 1, False
        if mention.count is None:
            unknown = True
        elif new and left and generic and any(token in ",:;.(" for token in tokens[group_end : mention.start]):
            left -= min(mention.count, left)
        elif new:
            total += mention.count
            if mention.count > 1 and mention.plural:
                left, group_end, generic = mention.count, mention.end, mention.noun in GENERIC
        seen |= {mention.noun, f"{mention.ordinal} {mention.noun}"}
        if mention.plural:
            groups.add(mention.noun)
    return None if unknown and total == 0 else total


def is_person(phrase: str) -> bool:
    """Whether a noun phrase names people: "the first boy" does, "a man's hat" and "a red backpack" do not."""
    tokens = tokenise(phrase)
    head_end = len(tokens)
    for i, token in enumerate(tokens):
        clause = is_verb(token) and names_person(tokens[i - 1])  # "a man riding a bike"
        if i and (clause or token in BREAKS or not token[0].isalnum()):
            if token == "of" and tokens[i - 1] in PARTS:
                continue
            head_end = i
            break
    return head_end > 0 and names_person(tokens[head_end - 1])
