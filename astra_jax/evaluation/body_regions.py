"""Colours of a person's regions, read along the limbs of a pose: clothes and hair without their outlines."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

REGIONS = (
    "hair", "face", "head", "chest", "belly", "upper arms", "forearms", "thighs", "shins", "feet",
)  # fmt: skip
# What is worn together.
HEAD, TOP, LEGS = (0, 1, 2), (3, 4, 5, 6), (7, 8, 9)
MIN_PIXELS = 5  # a region of fewer tells nothing
MIN_RADIUS = 0.8  # pixels
# Joints of both sides, radius in torsos.
_LIMBS = (((5, 7), (6, 8), 0.12), ((7, 9), (8, 10), 0.09), ((11, 13), (12, 14), 0.15), ((13, 15), (14, 16), 0.1))


def region_masks(joints: Float[np.ndarray, "17 _"], size: tuple[int, int]) -> Bool[np.ndarray, "10 H W"]:
    """Which pixels of a picture of `size` = (height, width) belong to each of `REGIONS`, in their order.

    Regions are capsules around bones of `joints` (x, y in pixels; visibility is not read), as wide as cloth is for
    certain; both sides are one region. Where limbs cross, a pixel is in several. The shapes are our decision.
    """
    xy = joints[:, :2].astype(np.float64)
    neck, hips, ears = xy[[5, 6]].mean(axis=0), xy[[11, 12]].mean(axis=0), xy[[3, 4]].mean(axis=0)
    unit = max(float(np.linalg.norm(neck - hips)), 1.0)
    crown = ears + 0.28 * unit * _direction(neck, ears)

    def capsule(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
        return _capsule(a, b, max(radius * unit, MIN_RADIUS), size)

    def trunk(start: float, end: float) -> np.ndarray:
        return capsule(neck + start * (hips - neck), neck + end * (hips - neck), 0.2)

    masks = [capsule(crown, crown, 0.16), capsule(xy[0], xy[0], 0.12), capsule(ears, ears, 0.25)]
    masks += [trunk(0.15, 0.45), trunk(0.6, 0.9)]
    for left, right, radius in _LIMBS:
        masks.append(np.any([capsule(xy[a], xy[b], radius) for a, b in (left, right)], axis=0))
    feet = [capsule(xy[a], xy[a] + 0.14 * unit * _direction(xy[knee], xy[a]), 0.1) for knee, a in ((13, 15), (14, 16))]
    return np.stack([*masks, feet[0] | feet[1]])


def region_colours(
    picture: Float[np.ndarray, "H W 3"], masks: Bool[np.ndarray, "R H W"]
) -> tuple[Float[np.ndarray, "R 3"], Float[np.ndarray, "R 3"]]:
    """Mean colour of each region, and the standard deviation of its colours; NaN where it has under `MIN_PIXELS`."""
    weights = masks.reshape(len(masks), -1).astype(np.float64)
    counts = weights.sum(axis=1, keepdims=True)
    weights /= np.where(counts < MIN_PIXELS, np.nan, counts)
    pixels = picture.reshape(-1, 3).astype(np.float64)
    mean = weights @ pixels
    return mean, np.sqrt(np.maximum(weights @ pixels**2 - mean**2, 0))


def _capsule(a: np.ndarray, b: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose middles are within `radius` of the line from a to b."""
    y, x = np.ogrid[: size[0], : size[1]]
    x, y, along = x + 0.5 - a[0], y + 0.5 - a[1], b - a
    share = np.clip((x * along[0] + y * along[1]) / max(float(along @ along), 1e-9), 0, 1)
    return (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= radius**2


def _direction(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
