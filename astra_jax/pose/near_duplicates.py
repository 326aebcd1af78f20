"""Scenes whose people stand in the same poses, so that one is enough for a bank."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from tqdm import tqdm

from astra_jax.pose.oks import BOX_FILL, SIGMAS
from astra_jax.pose.skeleton import BODY_POINTS, boxes

SAME_POSE = 0.95  # OKS from which two people's poses are one; annotators agree to about 0.89
_ROWS, _COLUMNS = 256, 4096  # scenes that are compared at a time


def near_duplicates(
    scenes: Sequence[Float[np.ndarray, "_ _ 3"]], better: Sequence[float | int] | np.ndarray
) -> Bool[np.ndarray, "N"]:
    """Which scenes are near-duplicates of one that is kept; of two the `better` is kept, of equals the first.

    Two scenes with the same number of people are near-duplicates if every person, from left to right, has an OKS above
    `SAME_POSE` with the other's, where both scenes are moved and scaled into one box. A joint that only one of them has
    labelled counts as 0. Everybody must have a joint. All pairs are compared, in blocks; the rule is our decision.
    """
    dropped = np.zeros(len(scenes), bool)
    counts = np.array([len(scene) for scene in scenes])
    order = np.argsort(-np.asarray(better, np.float64), kind="stable")
    for count in np.unique(counts):
        alike = order[counts[order] == count]
        joints = np.stack([scenes[i][:, :BODY_POINTS] for i in alike]).astype(np.float32)
        dropped[alike] = _later_ones(*_normalised(joints), int(count))
    return dropped


def _normalised(joints: Float[np.ndarray, "N P 17 3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points with the scene's box at the origin and its longer side 1, which joints are there, and people's areas."""
    scenes, people = joints.shape[:2]
    corners = boxes(joints.reshape(-1, BODY_POINTS, 3)).reshape(scenes, people, 4)
    low, high = corners[..., :2].min(axis=1), corners[..., 2:].max(axis=1)
    side = np.maximum((high - low).max(axis=1), 1e-6)[:, None, None]
    points = (joints[..., :2] - low[:, None, None]) / side[..., None]
    sides = (corners[..., 2:] - corners[..., :2]) / side
    return points, joints[..., 2] > 0, np.maximum(BOX_FILL * sides.prod(axis=-1), 1e-6)


def _later_ones(points: np.ndarray, present: np.ndarray, areas: np.ndarray, count: int) -> Bool[np.ndarray, "N"]:
    """Which are alike an earlier one that is not itself dropped."""
    total = len(points)
    dropped = np.zeros(total, bool)
    padding = -total % _COLUMNS
    points, present, areas = (
        np.pad(array, [(0, padding)] + [(0, 0)] * (array.ndim - 1), constant_values=fill)
        for array, fill in ((points, 0), (present, False), (areas, 1))
    )
    with tqdm(total=total, desc=f"near-duplicates of {count}", unit="picture", disable=None, leave=False) as bar:
        for start in range(0, total, _ROWS):
            rows = slice(start, start + _ROWS)
            pairs = []
            for first in range(start // _COLUMNS * _COLUMNS, total, _COLUMNS):
                columns = slice(first, first + _COLUMNS)
                same = _same(points[rows], present[rows], areas[rows], points[columns], present[columns])
                pairs.append(np.argwhere(np.asarray(same)) + [start, first])
            for i, j in np.concatenate(pairs)[np.lexsort(np.concatenate(pairs).T[::-1])]:
                if i < j and not dropped[i]:
                    dropped[j] = True
            bar.update(min(_ROWS, total - start))
    return dropped


@jax.jit
def _same(
    a: Float[Array, "R P 17 2"],
    has_a: Bool[Array, "R P 17"],
    areas: Float[Array, "R P"],
    b: Float[Array, "C P 17 2"],
    has_b: Bool[Array, "C P 17"],
) -> Bool[Array, "R C"]:
    spread = 2 * areas[:, None, :, None] * jnp.asarray((2 * SIGMAS) ** 2, jnp.float32)
    error = ((a[:, None] - b[None]) ** 2).sum(axis=-1) / spread
    both, either = has_a[:, None] & has_b[None], has_a[:, None] | has_b[None]
    oks = (jnp.exp(-error) * both).sum(axis=-1) / jnp.maximum(either.sum(axis=-1), 1)
    return (oks > SAME_POSE).all(axis=-1)
