"""Photos whose people are annotated: what an estimator itself reaches on them tells what its scores are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from astra_jax.errors import UserError
from astra_jax.evaluation.estimators import Estimator
from astra_jax.evaluation.figures import Figure, mean_figure
from astra_jax.evaluation.pose_scores import pose_values, precision_figure
from astra_jax.inputs.photos import load_photo
from astra_jax.pose.average_precision import RANGES, TruePeople
from astra_jax.pose.coco import read_keypoints
from astra_jax.pose.drawing import fit
from astra_jax.pose.oks import BOX_FILL
from astra_jax.pose.pictures import Picture, labelled

LARGE = RANGES["l"][0]  # square pixels


MOST = 200  # photos: an estimator's mean OKS is known to about 0.03 then
BATCH = 16


@dataclasses.dataclass(frozen=True, eq=False)
class RealPhoto:
    """A photo and its annotated people, in its pixels; `size` is (height, width)."""

    id: str
    path: Path
    size: tuple[int, int]
    truth: TruePeople

    def read(self) -> UInt8[np.ndarray, "H W 3"]:
        """The photo itself; raises `UserError` as `load_photo`, and for one of another size than was annotated."""
        picture = load_photo(self.path)
        if picture.shape[:2] != self.size:
            raise UserError(f"{self.path} is not {self.size[1]} x {self.size[0]} pixels, as its annotations say")
        return picture


def true_people(picture: Picture) -> TruePeople:
    """The annotated people of a COCO picture.

    Areas are those of the segments, where the annotations tell them; else they are estimated: `BOX_FILL` of the box.
    """
    boxes = picture.boxes.astype(np.float64)
    estimated = np.maximum(BOX_FILL * boxes[:, 2:].prod(axis=1), 1.0)
    areas = np.where(picture.areas > 0, picture.areas, estimated)
    return TruePeople(picture.people, areas, boxes, picture.crowd)


def moved(truth: TruePeople, source: tuple[int, int], canvas: tuple[int, int]) -> TruePeople:
    """People of a picture of size `source` (height, width) letterboxed onto one of size `canvas` (`drawing.fit`)."""
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    corners = fit(truth.boxes[:, None, :3], source, canvas)[:, 0, :2]
    boxes = np.concatenate([corners, truth.boxes[:, 2:] * scale], axis=1)
    return TruePeople(fit(truth.people.astype(np.float64), source, canvas), truth.areas * scale**2, boxes, truth.crowd)


def read_real_photos(folder: Path, annotations: Sequence[Path], most: int = MOST) -> list[RealPhoto]:
    """The photos of `folder` whose people are annotated, named as COCO names them (000000000785.jpg), by rising id.

    Args:
      folder: of the photos; those without an annotated person are left out.
      annotations: COCO's person_keypoints_*.json, or npz files (`pose.coco`).

      most: how many photos at most.

    Raises `UserError` for annotations that cannot be read and where no photo is there.
    """
    found = {}
    for path in annotations:
        for picture in map(labelled, read_keypoints(path)):
            photo = photo_path(folder, picture.id)
            if len(picture.people) and photo.is_file():
                found[int(picture.id)] = (photo, picture)
    if not found:
        raise UserError(
            f"{folder} has no photo of the people of {', '.join(map(str, annotations))}: get the pictures of"
            " cocodataset.org, named like 000000000785.jpg"
        )
    rows = sorted(found.items())[:most]
    return [RealPhoto(str(n), photo, (p.height, p.width), true_people(p)) for n, (photo, p) in rows]


def photo_path(folder: Path, image: str) -> Path:
    """Where COCO's photo with an id lies in a folder."""
    return folder / f"{int(image):012d}.jpg"


def calibrate(estimator: Estimator, photos: Sequence[RealPhoto]) -> Mapping[str, Figure]:
    """What `estimator` reaches on photos whose boxes it is given.

    oks: the mean over people, somebody who was not found counting 0. oks_large: of those of at least 96^2 pixels, where
    there are some. people_found: their share. ap: COCO's, over OKS 0.5 to 0.95.
    """
    found = []
    for start in range(0, len(photos), BATCH):
        some = photos[start : start + BATCH]
        found += estimator([photo.read() for photo in some], [photo.truth.boxes for photo in some])
    values = [pose_values(photo.truth, people) for photo, people in zip(photos, found, strict=True)]
    large = [
        [oks for oks, area in zip(value["oks"], photo.truth.areas, strict=True) if area >= LARGE]
        for value, photo in zip(values, photos, strict=True)
    ]
    figures = {"oks": mean_figure([value["oks"] for value in values])}
    if any(large):
        figures["oks_large"] = mean_figure(large)
    figures["people_found"] = mean_figure([value["people_found"] for value in values])
    figures["ap"] = precision_figure([[(photo.truth, people)] for photo, people in zip(photos, found, strict=True)])
    return figures
