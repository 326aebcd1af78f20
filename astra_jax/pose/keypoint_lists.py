"""Lists of keypoints and sizes as they stand in files that somebody else wrote, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.pose.skeleton import MAX_COORDINATE, MAX_SIDE

MIN_CONFIDENCE = 0.3  # a detector's point below it is absent (controlnet_aux's DWPose threshold)


def read_points(values: Any, path: Path, counts: tuple[int, ...], part: str = "joints") -> Float[np.ndarray, "n 3"]:
    """A flat list x, y, v, x, y, v ... of as many points as one of `counts` says.

    Raises `UserError`, naming the part, for anything else and for numbers that are not finite or no picture's.
    """
    if not isinstance(values, list) or len(values) not in [3 * n for n in counts]:
        length = len(values) / 3 if isinstance(values, list) else 0
        expected = " or ".join(map(str, counts))
        raise UserError(f"{path}: a person has {length:g} {part} of (x, y, v), expected {expected}")
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and abs(n) <= MAX_COORDINATE for n in values):
        raise UserError(f"{path}: a person's {part} are not made of finite numbers of pixels")
    return np.array(values, np.float64).reshape(-1, 3)


def confident(points: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
    """Points whose third number is a confidence, as COCO's: 2 where it is enough, else 0."""
    return _absent_at_origin(points, np.where(points[..., 2] >= MIN_CONFIDENCE, 2.0, 0.0))


def flagged(points: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
    """Points as COCO files have them: all with flags 0, 1, 2 (annotations), or with confidences (results)."""
    flags = points[..., 2]
    return _absent_at_origin(points, flags) if np.isin(flags, (0, 1, 2)).all() else confident(points)


def read_size(tree: dict[str, Any], height: str, width: str, path: Path) -> tuple[int, int] | None:
    """(height, width) in pixels under those two names; None unless both are there.

    Raises `UserError` for what is no whole number from 1 to 65536.
    """
    if height not in tree or width not in tree:
        return None
    size = tree[height], tree[width]
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= MAX_SIDE for n in size):
        raise UserError(f"{path}: {height} and {width} must be whole numbers of pixels from 1 to {MAX_SIDE}")
    return size


def _absent_at_origin(points: np.ndarray, flags: np.ndarray) -> np.ndarray:
    return np.where(flags[..., None] > 0, np.concatenate([points[..., :2], flags[..., None]], axis=-1), 0.0)
