"""Reads V-COCO's verbs per person, one JSON line a person with the row of the keypoints' npz that they belong to."""

from __future__ import annotations

import json
from pathlib import Path

from astra_jax.errors import UserError
from astra_jax.pose.verbs import VERBS, Action

MAX_BYTES = 2**28


def read_actions(path: Path, split: str) -> dict[int, tuple[Action, ...]]:
    """Row of the npz of `split` ("val2017") -> what that person does; rows without an entry are not annotated.

    A line has `coco_split`, `row`, `actions` (lists that begin with verb, role and object) and `plain` (verbs alone).
    Raises `UserError`, naming the line, for anything that is not so.
    """
    actions: dict[int, tuple[Action, ...]] = {}
    for number, text in enumerate(_lines(path), 1):
        try:
            line = json.loads(text)
            found = [(action[0], action[1] or "", action[2] or "") for action in line["actions"]]
            found += [(verb, "", "") for verb in line["plain"]]
            row, where = line["row"], line["coco_split"]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: no person with actions, plain, row and coco_split") from error
        if not all(isinstance(word, str) for action in found for word in action) or not isinstance(row, int):
            raise UserError(
                f"{path}, line {number}: a verb, role or object that is no text, or a row that is no number"
            )
        if unknown := {verb for verb, _, _ in found} - set(VERBS):
            raise UserError(f"{path}, line {number}: {sorted(unknown)[0][:40]!r} is no verb of V-COCO")
        if where == split:
            actions[row] = tuple(found)
    return actions


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} has more than {MAX_BYTES >> 20} MiB: this is no list of actions")
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is no text ({error})") from error
