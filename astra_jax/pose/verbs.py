"""V-COCO's verbs (Gupta and Malik, arXiv 1505.04474): in the words of a text, and as captions of annotated people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Verb -> a regular expression of the words that tell it.
_WORDS = {
    "carry": r"carry|carries|carried|carrying",
    "catch": r"catch\w*|caught",
    "cut": r"cuts?|cutting|slic(e|es|ing)",
    "drink": r"drinks?|drinking|drank|sips?|sipping",
    "eat": r"eats?|eating|eaten|ate|bit(e|es|ing)",
    "hit": r"hits?|hitting|swings?|swinging|swung|bats|batting|serv(e|es|ing)",
    "hold": r"holds?|holding|held",
    "jump": r"jump\w*|leap\w*",
    "kick": r"kick\w*",
    "lay": r"lay|lays|laying|lies?|lying|laid",
    "look": r"look\w*|watch(es|ing)?|star(e|es|ing)|gaz(e|es|ing)",
    "point": r"points?|pointing",
    "read": r"reads?|reading",
    "ride": r"rid(e|es|ing|den|er|ers)|rode",
    "run": r"runs?|running|ran|jog\w*",
    "sit": r"sits?|sitting|sat|seated",
    "skateboard": r"skateboard\w*|skat(e|es|ing|er|ers)",
    "ski": r"skis?|skiing|skiers?",
    "smile": r"smil(e|es|ing)",
    "snowboard": r"snowboard\w*",
    "stand": r"stands?|standing|stood",
    "surf": r"surf\w*",
    "talk_on_phone": r"(talk|speak|chat)\w* (on|into) (\w+ ){0,3}?(cell|phone|cellphone|telephone)",
    "throw": r"throw\w*|threw|pitch(es|ing|er)|toss\w*",
    "walk": r"walk\w*",
    "work_on_computer": r"(us|work|typ|sit)\w* (\w+ ){0,5}?(laptops?|computers?|keyboard)",
}
VERBS = tuple(_WORDS)
_PATTERNS = {verb: re.compile(rf"\b(?:{words})\b") for verb, words in _WORDS.items()}
# Verb and V-COCO's role of the object -> the phrase; "{}" is the object. Roles: "obj" what it is done to, "instr" with
# or on what.
_PHRASES = {
    ("cut", "instr"): "cutting with {}",
    ("drink", "instr"): "drinking from {}",
    ("eat", "instr"): "eating with {}",
    ("hit", "instr"): "hitting with {}",
    ("jump", "instr"): "jumping with {}",
    ("lay", "instr"): "lying on {}",
    ("look", "obj"): "looking at {}",
    ("ride", "instr"): "riding {}",
    ("sit", "instr"): "sitting on {}",
    ("skateboard", "instr"): "skateboarding on {}",
    ("ski", "instr"): "skiing on {}",
    ("snowboard", "instr"): "snowboarding on {}",
    ("surf", "instr"): "surfing on {}",
    ("talk_on_phone", "instr"): "talking on {}",
    ("work_on_computer", "instr"): "working on {}",
}
_PARTICIPLES = {
    "cut": "cutting", "hit": "hitting", "lay": "lying", "ride": "riding", "run": "running", "sit": "sitting",
    "smile": "smiling", "talk_on_phone": "talking on phone", "work_on_computer": "working on computer",
}  # fmt: skip
_SAYS_LITTLE = ("look", "hold", "stand")  # done by many beside something else: said last
MAX_ACTIONS = 4  # of one person in a caption
Action = tuple[str, str, str]  # verb, role, object; role and object are empty where there is none


def verbs_of(text: str) -> frozenset[str]:
    """V-COCO's verbs that the words of a text tell; "a surfer rides" tells two. English, by word lists."""
    lower = text.lower()
    return frozenset(verb for verb, pattern in _PATTERNS.items() if pattern.search(lower))


def action_caption(people: Sequence[Iterable[Action]]) -> str:
    """A caption from the annotated actions of a picture's people, in the form of `action_text`.

    "person riding bicycle and person holding umbrella": at most `MAX_ACTIONS` of each person, those that say much
    first, people without any left out. Empty if nobody does anything. It is one more caption of a bank's entry.
    """
    said = []
    for actions in people:
        ordered = sorted(dict.fromkeys(actions), key=lambda action: (action[0] in _SAYS_LITTLE, action))
        # "riding bicycle" makes "riding" by itself superfluous.
        told = {verb for verb, _, thing in ordered if thing}
        phrases = [_phrase(*action) for action in ordered if action[2] or action[0] not in told]
        if phrases:
            said.append(f"person {', '.join(phrases[:MAX_ACTIONS])}")
    return " and ".join(said)


def _phrase(verb: str, role: str, thing: str) -> str:
    plain = _PARTICIPLES.get(verb) or f"{verb}ing"
    if not thing:
        return plain
    return _PHRASES.get((verb, role), f"{plain} {{}}").format(thing)
