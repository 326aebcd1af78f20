"""Portraits as references of a benchmark's people, and how much the people of a picture look like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from scipy.optimize import linear_sum_assignment

from astra_jax.errors import UserError
from astra_jax.evaluation.encoders import PictureEncoder
from astra_jax.inputs.photos import load_photo
from astra_jax.inputs.requests import Photo

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MOST = 1000  # portraits of a pool


class Portraits:
    """A pool of portraits: the pictures of a folder, in the order of their names."""

    def __init__(self, folder: Path):
        """Raises `UserError` for a folder that is missing, without pictures or with more than `MOST`."""
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give one with portraits ({', '.join(SUFFIXES)})")
        self.paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if not 1 <= len(self.paths) <= MOST:
            raise UserError(
                f"{folder} has {len(self.paths)} pictures ({', '.join(SUFFIXES)}): give 1 to {MOST} portraits"
            )

    def draw(self, count: int, seed: Sequence[int]) -> list[Path]:
        """`count` portraits, different ones as far as the pool has so many, by numbers that are the seed."""
        order = np.random.default_rng(list(seed)).permutation(len(self.paths))
        return [self.paths[order[i % len(order)]] for i in range(count)]


def people_crops(
    picture: UInt8[np.ndarray, "H W 3"], boxes: Float[np.ndarray, "P 4"]
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """What of a picture lies in each box (x, y, width, height); one black pixel for a box outside of it."""
    crops = []
    limits = np.array([picture.shape[1], picture.shape[0]])
    for box in boxes.astype(np.float64):
        low = np.clip(np.floor(box[:2]), 0, limits).astype(int)
        high = np.clip(np.ceil(box[:2] + box[2:]), 0, limits).astype(int)
        crop = picture[low[1] : high[1], low[0] : high[0]]
        crops.append(crop if crop.size else np.zeros((1, 1, 3), np.uint8))
    return crops


def likeness(
    encoder: PictureEncoder,
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    boxes: Sequence[Float[np.ndarray, "P 4"]],
    references: Sequence[Sequence[Photo]],
) -> list[Mapping[str, Sequence[float]]]:
    """How alike pictures and the portraits of their people are, in cosines of an encoder.

    X_people: of each portrait and the person that the best one-to-one assignment gives it, nobody having said who is
    who; people are what lies in the boxes. X_image: of each portrait and the whole picture (as in UNO's two-subject
    DreamBench, arXiv 2504.02160). No values for a picture without references or, for the people, without boxes.
    """
    crops = [people_crops(*pair) for pair in zip(pictures, boxes, strict=True)]
    portraits = [[load_photo(photo) for photo in photos] for photos in references]
    vectors = encoder([*pictures, *(crop for row in crops for crop in row), *(p for row in portraits for p in row)])
    ends = np.cumsum([len(pictures), *(len(row) for row in crops), *(len(row) for row in portraits)])
    whole, *parts = np.split(vectors, ends[:-1])
    values = []
    for picture, people, wanted in zip(whole, parts[: len(crops)], parts[len(crops) :], strict=True):
        same = wanted @ people.T
        values.append(
            {
                f"{encoder.name}_people": same[linear_sum_assignment(-same)].tolist(),
                f"{encoder.name}_image": (wanted @ picture).tolist(),
            }
        )
    return values
