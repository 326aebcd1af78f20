"""Pose estimators: from a picture and the boxes of people to their joints."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.pose.average_precision import FoundPeople


@runtime_checkable
class Estimator(Protocol):
    """Finds people's joints. Pictures may have any size; joints are in pixels of the picture, in COCO's order."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def most_people(self) -> int:
        """How many people of a picture it finds at most without boxes; 0: it needs boxes."""
        ...

    def __call__(
        self, pictures: list[UInt8[np.ndarray, "_ _ 3"]], boxes: list[Float[np.ndarray, "_ 4"]] | None = None
    ) -> list[FoundPeople]:
        """The people of each picture.

        With `boxes` (x, y, width, height in pixels), one person at most is sought in each box (top-down; what COCO's
        tables call ground-truth boxes). Without, the estimator finds out itself who is there. Somebody is found where
        the estimator's confidence reaches its threshold; `FoundPeople.scores` are confidences, and a joint's third
        number is its own, 0 to 1.
        """
        ...
