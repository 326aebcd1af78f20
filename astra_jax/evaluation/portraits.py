"""Portraits as references of a benchmark's people, and how much the people of a picture look like them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.errors import UserError
from astra_jax.evaluation.features import ImageFeatures
from astra_jax.evaluation.picture_files import SUFFIXES
from astra_jax.evaluation.similarity import cosines, person_crop
from astra_jax.inputs.photos import load_photo
from astra_jax.inputs.requests import Photo
from astra_jax.pose.oks import assigned

POOL = 20  # portraits of the protocol's pool
MOST = 1000  # of any
SOURCE = (
    f"the protocol's are the {POOL} people of XVerseBench (see the folder assets of github.com/bytedance/XVerse), one"
    " picture a person"
)


class Portraits:
    """A pool of portraits: the pictures of a folder, in the order of their names."""

    def __init__(self, folder: Path):
        """Raises `UserError` for a folder that is missing, without pictures or with more than `MOST`."""
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give one with portraits ({', '.join(SUFFIXES)}); {SOURCE}")
        self.paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if not 1 <= len(self.paths) <= MOST:
            raise UserError(
                f"{folder} has {len(self.paths)} pictures ({', '.join(SUFFIXES)}): give 1 to {MOST} portraits; {SOURCE}"
            )

    def draw(self, count: int, seed: Sequence[int]) -> list[Path]:
        """`count` portraits, different ones as far as the pool has so many, by numbers that are the seed."""
        order = np.random.default_rng(list(seed)).permutation(len(self.paths))
        return [self.paths[order[i % len(order)]] for i in range(count)]


def likeness(
    network: ImageFeatures,
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    boxes: Sequence[Float[np.ndarray, "_ 4"]],
    references: Sequence[Sequence[Photo]],
) -> list[dict[str, list[float]]]:
    """How alike pictures and the portraits of their people are, for each picture, in cosines of a network.

    people: of each portrait and the person that the best one-to-one assignment gives it, nobody having said who is who;
    people are what lies in the boxes, and 0 is the cosine of nobody and of a box outside of the picture. image: of each
    portrait and the whole picture, as UNO compares several subjects (arXiv 2504.02160). Pictures without references
    have no values.
    """
    crops = [[person_crop(picture, box) for box in some] for picture, some in zip(pictures, boxes, strict=True)]
    values = []
    for picture, people, photos in zip(pictures, crops, references, strict=True):
        if not photos:
            values.append({"people": [], "image": []})
            continue
        there = [crop for crop in people if crop is not None]
        vectors = network([picture, *there, *map(load_photo, photos)])
        wanted = vectors[1 + len(there) :]
        alike = cosines(wanted, vectors[: 1 + len(there)])
        values.append({"people": assigned(alike[:, 1:]).tolist(), "image": alike[:, 0].tolist()})
    return values
