"""MoveNet SinglePose Lightning, 8-bit, as a pose estimator: small enough for any CPU, trained on real photos.

What goes in and comes out is the model card's (MoveNet SinglePose, Google, 2021): a square of 192 pixels, RGB, black
where the picture ends; 17 joints in COCO's order as (y, x, confidence), y and x as fractions of the square.
"""

from __future__ import annotations

import os

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from astra_jax.evaluation.litert import LiteNetwork
from astra_jax.pose.average_precision import FoundPeople
from astra_jax.pose.skeleton import BODY_POINTS

SIDE = 192  # pixels
MARGIN = 1.1  # the square's side, of the box's longer one (our decision; 1.0 to 1.5 differ by less than chance)
# Least mean confidence of the joints of somebody who is there (our decision). 42 of 44 annotated people of photos reach
# it, and so do half of the DreamBooth subjects' photos, toys and pets: the network was made to track somebody, not to
# tell whether there is anybody.
FOUND = 0.15


class MoveNet:
    """Finds one person in each box, or one in the whole picture. An `Estimator`.

    The network looks for the person nearest the middle of the square, so that boxes are what tells people apart.
    """

    name = "MoveNet Lightning int8"
    most_people = 1

    def __init__(self, path: str | os.PathLike[str], threshold: float = FOUND):
        """Reads movenet_single_pose_lightning_ptq.tflite; raises `UserError` as `LiteNetwork` does."""
        self._network = LiteNetwork(path, (1, SIDE, SIDE, 3), [(1, 1, BODY_POINTS, 3)])
        self._threshold = threshold

    def __call__(
        self, pictures: list[UInt8[np.ndarray, "_ _ 3"]], boxes: list[Float[np.ndarray, "_ 4"]] | None = None
    ) -> list[FoundPeople]:
        """The people whose mean joint confidence reaches the threshold; that mean is their score."""
        margin = MARGIN
        if boxes is None:
            margin = 1.0
            boxes = [np.array([[0, 0, picture.shape[1], picture.shape[0]]], np.float64) for picture in pictures]
        return [self._people(picture, around, margin) for picture, around in zip(pictures, boxes, strict=True)]

    def _people(self, picture: np.ndarray, boxes: np.ndarray, margin: float) -> FoundPeople:
        people = np.zeros((len(boxes), BODY_POINTS, 3))
        for person, box in zip(people, boxes, strict=True):
            corner, side = square_around(box, margin)
            (joints,) = self._network(crop_square(picture, corner, side)[None])
            person[:, :2] = joints[0, 0, :, 1::-1] * side + corner
            person[:, 2] = joints[0, 0, :, 2]
        scores = people[..., 2].mean(axis=1)
        found = scores >= self._threshold
        return FoundPeople(people[found], scores[found])


def square_around(box: Float[np.ndarray, "4"], margin: float) -> tuple[Float[np.ndarray, "2"], float]:
    """Corner (x, y) and side, in pixels, of the square around the middle of a box (x, y, width, height)."""
    side = max(float(box[2:].max()) * margin, 1.0)
    return box[:2].astype(np.float64) + (box[2:].astype(np.float64) - side) / 2, side


def crop_square(
    picture: UInt8[np.ndarray, "H W 3"], corner: Float[np.ndarray, "2"], side: float, size: int = SIDE
) -> UInt8[np.ndarray, "size size 3"]:
    """A square of the picture, scaled to `size` pixels (bilinear, widened where it shrinks), black beyond the edges.

    `corner` is (x, y) of its upper left end, in pixels, and may lie outside, as all of the square may.
    """
    crop = np.zeros((size, size, 3), np.uint8)
    limits = np.array([picture.shape[1], picture.shape[0]], np.float64)
    low, high = np.clip(corner, 0, limits), np.clip(corner + side, 0, limits)
    scale = size / side
    start, end = np.round((low - corner) * scale).astype(int), np.round((high - corner) * scale).astype(int)
    start, end = np.clip(start, 0, size), np.clip(end, 0, size)
    if (end > start).all() and (high > low).all():
        part = Image.fromarray(picture).resize(
            tuple(end - start), Image.Resampling.BILINEAR, box=(low[0], low[1], high[0], high[1])
        )
        crop[start[1] : end[1], start[0] : end[0]] = np.asarray(part)
    return crop
