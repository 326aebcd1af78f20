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


@dataclasses.dataclass(frozen=True, eq=False)
class RealPhoto:
    """A photo and its annotated people, in its pixels."""

    id: str
    picture: UInt8[np.ndarray, "H W 3"]
    truth: TruePeople


def true_people(picture: Picture) -> TruePeople:
    """The annotated people of a COCO picture.

    Areas are `BOX_FILL` of the annotated boxes, for everybody: boxes are the same in every copy of the annotations,
    segments are not in all of them, and figures must not depend on the copy.
    """
    boxes = picture.boxes.astype(np.float64)
    areas = np.maximum(BOX_FILL * boxes[:, 2:].prod(axis=1), 1.0)
    return TruePeople(picture.people, areas, boxes, picture.crowd)


def moved(truth: TruePeople, source: tuple[int, int], canvas: tuple[int, int]) -> TruePeople:
    """People of a picture of size `source` (height, width) letterboxed onto one of size `canvas` (`drawing.fit`)."""
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    corners = fit(truth.boxes[:, None, :3], source, canvas)[:, 0, :2]
    boxes = np.concatenate([corners, truth.boxes[:, 2:] * scale], axis=1)
    return TruePeople(fit(truth.people.astype(np.float64), source, canvas), truth.areas * scale**2, boxes, truth.crowd)


def read_real_photos(folder: Path, annotations: Sequence[Path], most: int | None = None) -> list[RealPhoto]:
    """The photos of `folder` whose people are annotated, named as COCO names them (000000000785.jpg), by rising id.

    Args:
      folder: of the photos; what has no annotated person, or more than `most` in all, is left out.
      annotations: COCO's person_keypoints_*.json, or npz files (`pose.coco`).

    Raises `UserError` for files that cannot be read and where no photo is there.
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
    photos = []
    for number, (photo, picture) in sorted(found.items())[:most]:
        pixels = load_photo(photo)
        if pixels.shape[:2] != (picture.height, picture.width):
            raise UserError(f"{photo} is not {picture.width} x {picture.height} pixels: its joints are of another size")
        photos.append(RealPhoto(str(number), pixels, true_people(picture)))
    return photos


def photo_path(folder: Path, image: str) -> Path:
    """Where COCO's photo with an id lies in a folder."""
    return folder / f"{int(image):012d}.jpg"


def calibrate(estimator: Estimator, photos: Sequence[RealPhoto]) -> Mapping[str, Figure]:
    """What `estimator` reaches on photos whose boxes it is given.

    oks: the mean over people, somebody who was not found counting 0. oks_large: of those of at least 96^2 pixels, where
    there are some. people_found: their share. ap: COCO's, over OKS 0.5 to 0.95.
    """
    found = estimator([photo.picture for photo in photos], [photo.truth.boxes for photo in photos])
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
