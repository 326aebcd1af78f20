"""Who a puppet is: every visible attribute of a person, apart from the pose.

Training and test identities are disjoint by rule: a digest of the attributes decides the split (our decision).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from data.puppets import palette

KINDS = ("man", "woman", "boy", "girl")
PATTERNS = ("plain", "stripes", "bars", "dots", "checks", "halves", "star", "diagonal")
SLEEVES = ("long", "short", "none")
BOTTOMS = ("trousers", "shorts", "skirt", "dress")
HAIR_STYLES = ("bald", "short", "curly", "mohawk", "bob", "long", "bun", "ponytail", "pigtails")
HATS = ("none", "cap", "beanie", "sunhat", "tophat", "headband", "bow", "crown")
BEARDS = ("none", "full", "moustache")
EXTRAS = ("none", "scarf", "tie", "belt", "satchel")
TEST_SHARE = 8  # one identity in eight belongs to the test split


@dataclasses.dataclass(frozen=True)
class Identity:
    """One person's look. Colours are names of `palette`; `top_second` and `bottom_second` colour the patterns."""

    kind: str
    skin: str
    hair_style: str
    hair: str
    top: str
    top_pattern: str
    top_second: str
    sleeves: str
    bottom_kind: str
    bottom: str
    bottom_pattern: str
    bottom_second: str
    shoes: str
    hat: str
    hat_colour: str
    glasses: str  # "none" or the frame's colour
    beard: str
    extra: str
    extra_colour: str

    @property
    def split(self) -> str:
        """The split this identity belongs to, "train" or "test"."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return "test" if hashlib.sha256(text.encode()).digest()[0] % TEST_SHARE == 0 else "train"

    def to_dict(self) -> dict[str, str]:
        """The attributes as a JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Identity:
        """The inverse of `to_dict`. Raises `ValueError` for a missing, unknown or misspelt attribute."""
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise ValueError(f"an identity has exactly the attributes {sorted(names)}, not {sorted(values)}")
        for name, allowed in _ALLOWED.items():
            if values[name] not in allowed:
                raise ValueError(f"identity attribute {name}={values[name]!r} is not one of {sorted(allowed)}")
        return cls(**values)


_COLOURS = tuple(palette.CLOTHES)
_ALLOWED: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "skin": tuple(palette.SKIN),
    "hair_style": HAIR_STYLES,
    "hair": tuple(palette.HAIR),
    "top": _COLOURS,
    "top_pattern": PATTERNS,
    "top_second": _COLOURS,
    "sleeves": SLEEVES,
    "bottom_kind": BOTTOMS,
    "bottom": _COLOURS,
    "bottom_pattern": PATTERNS,
    "bottom_second": _COLOURS,
    "shoes": _COLOURS,
    "hat": HATS,
    "hat_colour": _COLOURS,
    "glasses": ("none", *_COLOURS),
    "beard": BEARDS,
    "extra": EXTRAS,
    "extra_colour": _COLOURS,
}
# How likely each choice is; the order of the values is that of the tuples above.
_HAIR_WEIGHTS = {
    "man": (18, 46, 14, 9, 3, 6, 2, 2, 0),
    "woman": (0, 7, 15, 2, 20, 26, 12, 14, 4),
    "boy": (2, 56, 22, 12, 5, 3, 0, 0, 0),
    "girl": (0, 2, 10, 1, 17, 22, 10, 19, 19),
}
_BOTTOM_WEIGHTS = {"man": (78, 22, 0, 0), "woman": (44, 10, 22, 24), "boy": (50, 50, 0, 0), "girl": (28, 14, 30, 28)}
_HAT_WEIGHTS = {
    "man": (60, 12, 10, 4, 9, 4, 0, 1),
    "woman": (64, 4, 7, 12, 2, 6, 3, 2),
    "boy": (54, 22, 15, 1, 1, 3, 0, 4),
    "girl": (54, 6, 10, 7, 0, 5, 12, 6),
}
_BEARD_WEIGHTS = {"man": (52, 32, 16), "woman": (100, 0, 0), "boy": (100, 0, 0), "girl": (100, 0, 0)}
_HAIR_COLOUR_WEIGHTS = (20, 16, 14, 13, 15, 6, 4, 4, 4, 4)


def sample_identity(rng: np.random.Generator, kind: str, split: str = "train") -> Identity:
    """A random identity of `kind` ("man", "woman", "boy", "girl") that belongs to `split` ("train", "test").

    Raises `ValueError` for an unknown kind or split.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', not {split!r}")
    while True:
        identity = _draw(rng, kind)
        if identity.split == split:
            return identity


def _choose(rng: np.random.Generator, values: tuple[str, ...], weights: tuple[int, ...] | None = None) -> str:
    p = None if weights is None else np.asarray(weights, dtype=np.float64) / sum(weights)
    return values[int(rng.choice(len(values), p=p))]


def _colour(rng: np.random.Generator, *others: str, apart: float = 130.0) -> str:
    """A clothes colour at least `apart` (sRGB distance) from each of `others`."""
    while True:
        name = _choose(rng, _COLOURS)
        if all(palette.distance(palette.CLOTHES[name], palette.CLOTHES[other]) >= apart for other in others):
            return name


def _draw(rng: np.random.Generator, kind: str) -> Identity:
    child = kind in ("boy", "girl")
    top = _colour(rng)
    bottom_kind = _choose(rng, BOTTOMS, _BOTTOM_WEIGHTS[kind])
    bottom = top if bottom_kind == "dress" else _colour(rng, top)
    skirt = bottom_kind in ("skirt", "dress")
    extra_weights = (72, 16, 0, 4, 8) if child else (58, 14, 12 if kind == "man" else 1, 8, 8)
    return Identity(
        kind=kind,
        skin=_choose(rng, tuple(palette.SKIN)),
        hair_style=_choose(rng, HAIR_STYLES, _HAIR_WEIGHTS[kind]),
        hair=_choose(rng, tuple(palette.HAIR), _HAIR_COLOUR_WEIGHTS),
        top=top,
        top_pattern=_choose(rng, PATTERNS, (34, 14, 9, 11, 8, 10, 8, 6)),
        top_second=_colour(rng, top),
        sleeves=_choose(rng, SLEEVES, (46, 40, 14)),
        bottom_kind=bottom_kind,
        bottom=bottom,
        bottom_pattern=_choose(rng, PATTERNS, (60, 12, 8, 12, 8, 0, 0, 0) if skirt else (80, 6, 8, 0, 6, 0, 0, 0)),
        bottom_second=_colour(rng, bottom),
        shoes=_colour(rng, bottom, apart=90.0),
        hat=_choose(rng, HATS, _HAT_WEIGHTS[kind]),
        hat_colour=_colour(rng),
        glasses=_choose(rng, ("none", "black", "red", "blue"), (78, 12, 5, 5)),
        beard=_choose(rng, BEARDS, _BEARD_WEIGHTS[kind]),
        extra=_choose(rng, EXTRAS, extra_weights),
        extra_colour=_colour(rng, top),
    )
