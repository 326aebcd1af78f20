"""V-COCO's verbs of COCO's people, one JSON line a person, as one more caption of their pictures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from astra_jax.errors import UserError
from astra_jax.pose.pictures import Picture
from astra_jax.pose.verbs import VERBS, Action, action_caption

MAX_BYTES = 2**28
Person = tuple[str, int]  # id of the picture; the person's row in the npz of its split, or the annotation's id


def read_actions(path: Path) -> dict[Person, tuple[Action, ...]]:
    """What people do, each under both of their numbers; people without an entry are not annotated.

    A line has `image_id`, `row` and, for COCO's own JSON, `coco_ann_id`; `actions` (lists that begin with verb, role
    and object) and `plain` (verbs alone). Whoever has no `coco_ann_id` is found in the npz only. Raises `UserError`,
    naming the line, for anything that is not so.
    """
    actions: dict[Person, tuple[Action, ...]] = {}
    for number, text in enumerate(_lines(path), 1):
        try:
            line = json.loads(text)
            found = [(action[0], action[1] or "", action[2] or "") for action in line["actions"]]
            found += [(verb, "", "") for verb in line["plain"]]
            image, numbers = line["image_id"], (line["row"], line.get("coco_ann_id", line["row"]))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: no person with actions, plain, row and image_id") from error
        if not all(isinstance(word, str) for action in found for word in action):
            raise UserError(f"{path}, line {number}: a verb, role or object that is no text")
        if not all(isinstance(n, int) for n in (image, *numbers)):
            raise UserError(f"{path}, line {number}: row, image_id and coco_ann_id must be whole numbers")
        if unknown := {verb for verb, _, _ in found} - set(VERBS):
            raise UserError(f"{path}, line {number}: {sorted(unknown)[0][:40]!r} is no verb of V-COCO")
        actions |= {(str(image), n): tuple(found) for n in numbers}
    return actions


def join_actions(pictures: Iterable[Picture], actions: Mapping[Person, tuple[Action, ...]]) -> list[Picture]:
    """The pictures with `verbs` where it is known what somebody does (`verbs.action_caption`)."""
    joined = []
    for picture in pictures:
        caption = action_caption([actions.get((picture.id, n), ()) for n in picture.numbers.tolist()])
        joined.append(dataclasses.replace(picture, verbs=caption))
    return joined


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} has more than {MAX_BYTES >> 20} MiB: this is no list of actions")
        with path.open(encoding="utf-8") as file:
            return list(file)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is no text ({error})") from error
