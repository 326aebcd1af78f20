"""What one run of a benchmark found, and its JSON: everything, with exact numbers, read back to the same value."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import re
import typing
from collections.abc import Mapping
from typing import Any

from astra_jax.errors import UserError
from astra_jax.evaluation.figures import Figure
from astra_jax.pose.files import read_json
from astra_jax.whole_files import write_whole

FILE, FORMAT = "result.json", 1
MAX_BYTES = 1 << 29
MODEL, CEILING, FLOOR = "model", "ceiling", "floor"
DIGITS = 4  # of the headline's figures
MISTAKES = ("swap_rate", "fusion_rate", "person_count_error")  # figures of which less is better


@dataclasses.dataclass(frozen=True)
class SampleRecord:
    """One picture and what it scored.

    Attributes:
      case, index: whose picture it is, and which of them.
      prompt: as it was asked for.
      picture: its file; like all of a result's file names relative to the folder that holds the result.
      values: figure -> its values in this picture (`samples.Scores.values`).
      pictures: caption -> file of what is shown beside it.
    """

    case: str
    index: int
    prompt: str
    picture: str
    values: Mapping[str, tuple[float, ...]]
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Result:
    """One run of a benchmark. Mappings keep their order.

    Attributes:
      benchmark: its name.
      headline: the figures that matter most, in their order.
      weights: fingerprint of the model; empty for pictures that somebody else drew.
      settings: how it was drawn and scored, as JSON values.
      figures: who -> figure's name -> figure; who is `MODEL`, `CEILING` or `FLOOR`.
      calibration: what the estimators reach on pictures whose truth is known.
      notes: what a reader must know.
      samples: one of each picture of the model.
    """

    benchmark: str
    headline: tuple[str, ...]
    weights: str
    settings: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Figure]]
    calibration: Mapping[str, Figure]
    notes: tuple[str, ...]
    samples: tuple[SampleRecord, ...]

    def names(self) -> list[str]:
        """All figures: the headline's first, then the others as they come."""
        others = (name for figures in self.figures.values() for name in figures)
        return [*dict.fromkeys(name for name in (*self.headline, *others) if self.has(name))]

    def has(self, name: str) -> bool:
        """Whether anybody has this figure."""
        return any(name in figures for figures in self.figures.values())


def lower_is_better(name: str) -> bool:
    """Whether a figure counts mistakes; "swap_rate_2p" is of a part of the cases and does as "swap_rate" does."""
    return re.sub(r"_\dp$", "", name) in MISTAKES


def headline(result: Result) -> dict[str, Any]:
    """The last printed line: benchmark, number of pictures, and every figure of the headline.

    None where no picture has a value of it (nobody found is nobody taken for another); with `_ceiling` and `_floor`
    those of the controls, where they are known.
    """
    line: dict[str, Any] = {"benchmark": result.benchmark, "count": len(result.samples)}
    for name in result.headline:
        for who, suffix in ((MODEL, ""), (CEILING, "_ceiling"), (FLOOR, "_floor")):
            if (figure := result.figures.get(who, {}).get(name)) is not None:
                line[name + suffix] = round(figure.value, DIGITS)
            elif who == MODEL:
                line[name] = None
    return line


def to_json(result: Result) -> str:
    """All of it as JSON; raises `ValueError` for numbers that are not finite."""
    return json.dumps({"format": FORMAT, **_plain(result)}, indent=1, allow_nan=False) + "\n"


def write_result(folder: pathlib.Path, result: Result) -> pathlib.Path:
    """Writes `FILE`, which appears when it is whole; returns its path. Raises OSError."""
    path = folder / FILE
    write_whole(path, to_json(result).encode())
    return path


def read_result(folder: pathlib.Path) -> Result:
    """What `write_result` wrote. Raises `UserError` for a file that is missing, too large or none of ours."""
    path = folder / FILE
    fields = read_json(path, MAX_BYTES)
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise UserError(f"{path} is no result of this version: evaluate again")
    try:
        return _value(fields, Result)
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}): evaluate again") from error


def file_in(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """The file of that name in a result's folder, if it is there; none for a name that leads out of it."""
    path = folder / name
    try:
        return path if path.resolve().is_relative_to(folder.resolve()) and path.is_file() else None
    except (ValueError, OSError, RuntimeError):  # no name for a file: too long, a NUL in it, links in a circle
        return None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _value(tree: Any, kind: Any) -> Any:
    """A decoded JSON value as `kind`: a dataclass, a mapping, a tuple or a plain value; raises where it is none."""
    if kind is Any:
        return tree
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(tree, dict) or tree.keys() != hints.keys():
            raise ValueError(f"{kind!r} has {', '.join(hints)}")
        return typing.cast(type, kind)(**{name: _value(tree[name], hint) for name, hint in hints.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(tree, dict):
            raise ValueError("a mapping is missing")
        return {key: _value(item, arguments[1]) for key, item in tree.items()}
    if origin is tuple:
        if not isinstance(tree, list):
            raise ValueError("a list is missing")
        return tuple(_value(item, arguments[0]) for item in tree)
    if type(tree) is not kind or (kind is float and not math.isfinite(tree)):
        raise ValueError(f"{tree!r:.80} is no {kind.__name__}")
    return tree
