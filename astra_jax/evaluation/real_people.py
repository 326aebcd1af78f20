"""Photos whose people are annotated: what an estimator itself reaches on them tells what its scores are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from astra_jax.errors import UserError
from astra_jax.evaluation.estimators import Estimator
from astra_jax.evaluation.figures import Figure, mean_figure, set_figure
from astra_jax.inputs.photos import load_photo
from astra_jax.pose.average_precision import RANGES, FoundPeople, TruePeople, keypoint_ap
from astra_jax.pose.coco import read_keypoints
from astra_jax.pose.oks import BOX_FILL, image_oks
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

    The figures are named after the estimator: "OKS", the mean over people, somebody who was not found counting 0; "OKS,
    large people", of those of at least 96^2 pixels, where there are some; "people found", the share; "AP".
    """
    found = estimator([photo.picture for photo in photos], [photo.truth.boxes for photo in photos])
    every, large, there = [], [], []
    for photo, people in zip(photos, found, strict=True):
        oks = image_oks(photo.truth.people, photo.truth.areas, people.people)
        every.append(oks.tolist())
        large.append(oks[photo.truth.areas >= LARGE].tolist())
        there.append([1.0] * len(people.scores) + [0.0] * (len(oks) - len(people.scores)))
    pairs = [(photo.truth, people) for photo, people in zip(photos, found, strict=True)]
    figures = {"OKS": mean_figure(every)}
    if any(large):
        figures["OKS, large people"] = mean_figure(large)
    figures |= {"people found": mean_figure(there), "AP": set_figure(pairs, average_precision)}
    return {f"{estimator.name} on real photos: {name}": figure for name, figure in figures.items()}


def average_precision(pairs: Sequence[tuple[TruePeople, FoundPeople]]) -> float:
    """COCO's AP, the mean over OKS thresholds from 0.5 to 0.95; 0 where nobody counts."""
    return max(keypoint_ap(pairs)["AP"], 0.0)
