"""How well two skeletons agree: COCO's object keypoint similarity (OKS). NumPy and SciPy only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from astra_jax.pose.skeleton import BODY_POINTS, boxes

# COCO's per-joint spread of annotators, as a fraction of sqrt(area) (cocoapi, `Params.kpt_oks_sigmas`).
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
# Median of segment area / box area over COCO val2017 persons (0.535); our estimate where no segment is known.
BOX_FILL = 0.53


def areas(people: Float[np.ndarray, "P J 3"]) -> Float[np.ndarray, "P"]:
    """Estimated segment areas in square pixels: `BOX_FILL` of the box around the body's joints, at least 1."""
    x0, y0, x1, y1 = boxes(people[:, :BODY_POINTS]).T
    return np.maximum(BOX_FILL * (x1 - x0) * (y1 - y0), 1.0)


def oks_matrix(
    truth: Float[np.ndarray, "P 17 3"],
    areas: Float[np.ndarray, "P"],
    guesses: Float[np.ndarray, "Q 17 3"],
    boxes: Float[np.ndarray, "P 4"] | None = None,
) -> Float[np.ndarray, "P Q"]:
    """Object keypoint similarity of every true person with every guess, 0 to 1, higher is better.

    OKS = mean over labelled joints i of exp(-d_i^2 / (2 s^2 k_i^2)), s^2 the true person's segment area in square
    pixels, k_i = 2 sigma_i (COCO keypoint evaluation). A guess's visibility plays no part, as in COCO.

    Args:
      truth, guesses: joints in pixels of one picture.
      areas: segment areas of the true people.
      boxes: the true people's annotated (x, y, width, height). For a person without labelled joints COCO takes as d_i
        how far a guess's joint lies outside that box enlarged by its own size on every side, for all 17 joints.

    Raises `ValueError` for an area that is negative, or 0 for a person with labelled joints, and for a true person
    without labelled joints where no boxes are given.
    """
    labelled = truth[..., 2] > 0
    bare = ~labelled.any(axis=1)
    if bare.any() and boxes is None:
        raise ValueError("OKS needs a labelled joint in every true person, or boxes")
    if not ((areas > 0) | bare & (areas >= 0)).all():
        raise ValueError("OKS needs positive areas")
    points = guesses[None, :, :, :2].astype(np.float64)
    offset = truth[:, None, :, :2].astype(np.float64) - points
    if bare.any() and boxes is not None:
        place, extent = boxes[bare, None, None, :2].astype(np.float64), boxes[bare, None, None, 2:]
        offset[bare] = np.maximum(place - extent - points, 0) + np.maximum(points - place - 2 * extent, 0)
        labelled = labelled | ~labelled.any(axis=1, keepdims=True)
    error = (offset**2).sum(axis=-1) / (2 * SIGMAS) ** 2 / (areas[:, None, None] + np.spacing(1)) / 2
    return (np.exp(-error) * labelled[:, None]).sum(axis=-1) / labelled.sum(axis=1)[:, None]


def box_oks_matrix(
    truth: Float[np.ndarray, "P 17 3"], areas: Float[np.ndarray, "P"], guesses: Float[np.ndarray, "Q 17 3"]
) -> Float[np.ndarray, "P Q"]:
    """OKS of the poses' shapes alone: every guess is first moved and stretched, box on box, onto the true person.

    The boxes are those of the joints that the true person has labelled. A guess without width or height goes to the
    middle. Shapes and errors are those of `oks_matrix`; the measure is our decision.
    """
    return np.array(
        [
            oks_matrix(person[None], area[None], _onto(person, guesses))[0]
            for person, area in zip(truth, areas, strict=True)
        ]
    ).reshape(len(truth), len(guesses))


def _onto(person: Float[np.ndarray, "17 3"], guesses: Float[np.ndarray, "Q 17 3"]) -> Float[np.ndarray, "Q 17 3"]:
    labelled = person[:, 2] > 0
    if not labelled.any():
        return guesses
    place, points = person[labelled, :2].astype(np.float64), guesses[..., :2].astype(np.float64)
    low, high = points[:, labelled].min(axis=1, keepdims=True), points[:, labelled].max(axis=1, keepdims=True)
    scale = np.ptp(place, axis=0) / np.maximum(high - low, 1e-6)
    moved = (points - (low + high) / 2) * scale + (place.min(axis=0) + place.max(axis=0)) / 2
    return np.concatenate([moved, guesses[..., 2:]], axis=-1)


def assign(scores: Float[np.ndarray, "P Q"]) -> Int[np.ndarray, "P"]:
    """The column that the one-to-one assignment of the largest sum gives each row (Hungarian method); -1: none."""
    from scipy.optimize import linear_sum_assignment  # slow to import, and drawing pictures assigns nobody

    columns = np.full(len(scores), -1)
    rows, chosen = linear_sum_assignment(-scores)
    columns[rows] = chosen
    return columns


def image_oks(
    truth: Float[np.ndarray, "P 17 3"], areas: Float[np.ndarray, "P"], guesses: Float[np.ndarray, "Q 17 3"]
) -> Float[np.ndarray, "P"]:
    """OKS of each true person with the guess that the best assignment (`assign`) gives it; 0 for one left over.

    Its mean is the picture's score. Raises as `oks_matrix`.
    """
    return assigned(oks_matrix(truth, areas, guesses))


def assigned(scores: Float[np.ndarray, "P Q"]) -> Float[np.ndarray, "P"]:
    """Each row's score in the best assignment, 0 for a row left over."""
    columns = assign(scores)
    padded = np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
    return padded[np.arange(len(scores)), columns]
