"""How complex a scene's poses are: far from standing, and people over one another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from astra_jax.pose.oks import BOX_FILL, box_oks_matrix
from astra_jax.pose.skeleton import BODY_POINTS

# The mean of the 233 people of COCO train2017 whom V-COCO calls standing and who have all 17 joints labelled, each in
# the box of their joints; the box is as wide as the median of theirs. tests/pose/test_real_data.py computes it again.
STANDING = np.array(
    [(0.492, 0.040), (0.547, 0.016), (0.436, 0.017), (0.629, 0.024), (0.353, 0.025), (0.737, 0.145), (0.254, 0.154),
     (0.875, 0.279), (0.133, 0.292), (0.887, 0.355), (0.145, 0.366), (0.657, 0.482), (0.342, 0.484), (0.664, 0.732),
     (0.323, 0.728), (0.662, 0.963), (0.318, 0.968)]
)  # fmt: skip
STANDING_ASPECT = 0.425  # width / height
OVERLAP_WEIGHT = 0.5


def complexity(people: Float[np.ndarray, "P J 3"], boxes: Float[np.ndarray, "P 4"]) -> float:
    """0 for people who stand apart, towards 1.5: the mean of 1 - OKS with `STANDING`, plus half the boxes' mean IoU.

    A person is compared with the same joints of the standing one, the box of the joints stretched over the other's.
    Everybody must have a joint; `boxes` are (x, y, width, height). The formula is our decision.
    """
    apart = 1 - np.mean([_likeness(person[:BODY_POINTS].astype(np.float64)) for person in people])
    return float(apart + OVERLAP_WEIGHT * _mean_iou(boxes.astype(np.float64)))


def _likeness(person: Float[np.ndarray, "17 3"]) -> float:
    labelled = person[:, 2] > 0
    standing = np.concatenate([STANDING * [STANDING_ASPECT, 1], person[:, 2:]], axis=1)
    area = np.maximum(BOX_FILL * np.prod(np.ptp(standing[labelled, :2], axis=0), keepdims=True), 1e-6)
    return float(box_oks_matrix(standing[None], area, person[None])[0, 0])


def _mean_iou(boxes: Float[np.ndarray, "P 4"]) -> float:
    first, second = np.triu_indices(len(boxes), 1)
    if len(first) == 0:
        return 0.0
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    sides = np.maximum(np.minimum(high[first], high[second]) - np.maximum(low[first], low[second]), 0)
    shared, area = sides.prod(axis=1), boxes[:, 2:].prod(axis=1)
    return float((shared / np.maximum(area[first] + area[second] - shared, 1e-6)).mean())
