"""Where the pictures of a bank come from: one function for all files, with what is known of them joined."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from astra_jax.errors import UserError
from astra_jax.pose.coco import join_captions, read_keypoints
from astra_jax.pose.files import read_json
from astra_jax.pose.jsonl_pictures import read_jsonl
from astra_jax.pose.openpose_folder import read_openpose_folder
from astra_jax.pose.pictures import Picture
from astra_jax.pose.vcoco import join_actions, read_actions

MAX_ID_BYTES = 2**26


def read_pictures(keypoints: Path, captions: Path | None = None, actions: Path | None = None) -> Iterable[Picture]:
    """The pictures of `keypoints` with their captions.

    Args:
      keypoints: a folder (`openpose_folder`), *.jsonl (`jsonl_pictures`), *.npz or COCO's JSON (`coco`).
      captions: COCO's captions_*.json.
      actions: V-COCO's verbs of the people (`vcoco`), which make one more caption.

    Raises `UserError` as the readers do, and for captions or actions of other pictures.
    """
    if keypoints.is_dir():
        pictures: Iterable[Picture] = read_openpose_folder(keypoints)
    elif keypoints.suffix == ".jsonl":
        pictures = read_jsonl(keypoints)
    else:
        pictures = read_keypoints(keypoints)
    if captions is not None:
        pictures = _joined(join_captions(before := list(pictures), captions), before, captions, keypoints)
    if actions is not None:
        pictures = _joined(join_actions(before := list(pictures), read_actions(actions)), before, actions, keypoints)
    return pictures


def read_ids(path: Path) -> frozenset[str]:
    """Ids of pictures: a JSON list, or a text with one a line. Raises `UserError` for anything else."""
    if path.suffix == ".json":
        ids = read_json(path, MAX_ID_BYTES)
        if not isinstance(ids, list) or any(isinstance(i, bool) or not isinstance(i, (int, str)) for i in ids):
            raise UserError(f"{path} must be a list of ids, or a text with one a line")
        return frozenset(map(str, ids))
    try:
        if path.stat().st_size > MAX_ID_BYTES:
            raise UserError(f"{path} has more than {MAX_ID_BYTES >> 20} MiB: this is no list of ids")
        # The names of a folder's pictures may have blanks: an id is the whole line.
        return frozenset(line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is no text ({error})") from error


def _joined(after: list[Picture], before: list[Picture], path: Path, keypoints: Path) -> list[Picture]:
    told = (new.verbs or len(new.captions) > len(old.captions) for new, old in zip(after, before, strict=True))
    if before and not any(told):
        raise UserError(f"{path} says nothing of the pictures of {keypoints}: do they belong together?")
    return after
