"""People as COCO-17 joints: names, order, boxes and how well two skeletons agree (OKS). NumPy only.

A person is `[17, 3]`: x, y in pixels of the picture (x to the right, y down) and the COCO visibility v
(0 absent, 1 labelled but hidden, 2 visible).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from astra_jax.errors import UserError

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
LEFT_SHOULDER, RIGHT_SHOULDER = JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")
# COCO's per-joint spread of annotators, as a fraction of sqrt(area) (cocoapi, `Params.kpt_oks_sigmas`).
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
# Median of segment area / box area over COCO val2017 persons (0.535); our estimate where no segment is known.
BOX_FILL = 0.53
# Coordinates beyond this are no picture's; it keeps every later product far from overflow.
MAX_COORDINATE = 1e6


def check_people(people: np.ndarray, what: str) -> Float[np.ndarray, "P 17 3"]:
    """Validated people as float32.

    Raises `UserError`, its text starting with `what`, unless there is at least one person, each with 17 finite
    (x, y, v), v in {0, 1, 2} and at least one joint present.
    """
    people = np.asarray(people)
    if people.ndim != 3 or people.shape[1:] != (17, 3):
        raise UserError(f"{what}: people must have 17 COCO joints of (x, y, v), not an array of shape {people.shape}")
    if len(people) == 0:
        raise UserError(f"{what}: there is no person in it")
    people = people.astype(np.float32)
    if not np.isfinite(people).all() or np.abs(people).max() > MAX_COORDINATE:
        raise UserError(f"{what}: a joint's coordinate is not a finite number of pixels")
    if not np.isin(people[..., 2], (0, 1, 2)).all():
        raise UserError(f"{what}: a joint's visibility is none of 0 (absent), 1 (hidden), 2 (visible)")
    if not (people[..., 2] > 0).any(axis=1).all():
        raise UserError(f"{what}: a person has no joint with visibility above 0")
    return people


def neck(people: Float[np.ndarray, "P 17 3"]) -> Float[np.ndarray, "P 3"]:
    """The OpenPose neck: the middle of the shoulders. v is the smaller of theirs, so 0 unless both are present."""
    shoulders = people[:, [LEFT_SHOULDER, RIGHT_SHOULDER]]
    point = shoulders.mean(axis=1)
    point[:, 2] = shoulders[..., 2].min(axis=1)
    return point


def left_to_right(people: Float[np.ndarray, "P 17 3"]) -> Int[np.ndarray, "P"]:
    """The order that sorts people by the x of their necks; without a neck by the mean x of the joints present."""
    necks, present = neck(people), people[..., 2] > 0
    middle = (people[..., 0] * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return np.argsort(np.where(necks[:, 2] > 0, necks[:, 0], middle), kind="stable")


def boxes(people: Float[np.ndarray, "P 17 3"]) -> Float[np.ndarray, "P 4"]:
    """(x0, y0, x1, y1) in pixels around the joints present; zeros for a person without any."""
    present = (people[..., 2] > 0)[..., None]
    low = np.where(present, people[..., :2], np.inf).min(axis=1)
    high = np.where(present, people[..., :2], -np.inf).max(axis=1)
    return np.where(present.any(axis=1), np.concatenate([low, high], axis=1), 0.0).astype(people.dtype)


def areas(people: Float[np.ndarray, "P 17 3"]) -> Float[np.ndarray, "P"]:
    """Estimated segment areas in square pixels: `BOX_FILL` of the box around the joints, at least 1."""
    x0, y0, x1, y1 = boxes(people).T
    return np.maximum(BOX_FILL * (x1 - x0) * (y1 - y0), 1.0)


def oks_matrix(
    truth: Float[np.ndarray, "P 17 3"], areas: Float[np.ndarray, "P"], guesses: Float[np.ndarray, "Q 17 3"]
) -> Float[np.ndarray, "P Q"]:
    """Object keypoint similarity of every true person with every guess, 0 to 1, higher is better.

    OKS = mean over labelled joints i of exp(-d_i^2 / (2 s^2 k_i^2)), s^2 the true person's segment area in square
    pixels, k_i = 2 sigma_i (COCO keypoint evaluation). A guess's visibility plays no part, as in COCO.
    Raises `ValueError` for a true person without labelled joints (COCO's formula is undefined) or an area that is
    not positive.
    """
    labelled = truth[..., 2] > 0
    if not labelled.any(axis=1).all():
        raise ValueError("OKS needs at least one labelled joint in every true person")
    if not (areas > 0).all():
        raise ValueError("OKS needs positive areas")
    offset = truth[:, None, :, :2].astype(np.float64) - guesses[None, :, :, :2]
    error = (offset**2).sum(axis=-1) / (2 * SIGMAS) ** 2 / (areas[:, None, None] + np.spacing(1)) / 2
    return (np.exp(-error) * labelled[:, None]).sum(axis=-1) / labelled.sum(axis=1)[:, None]


def image_oks(
    truth: Float[np.ndarray, "P 17 3"], areas: Float[np.ndarray, "P"], guesses: Float[np.ndarray, "Q 17 3"]
) -> Float[np.ndarray, "P"]:
    """OKS of each true person with the guess that the best one-to-one assignment gives it; 0 for one left over.

    The assignment maximises the summed OKS (Hungarian method). Its mean is the picture's score. Raises as `oks_matrix`.
    """
    scores = oks_matrix(truth, areas, guesses)
    found = np.zeros(len(truth))
    rows, columns = linear_sum_assignment(-scores)
    found[rows] = scores[rows, columns]
    return found
