"""Training examples of the keypoint networks: a picture with its people's boxes, and cuts of people with their joints.

An example is a scene, moved, turned, mirrored and damaged by chance (`training`), and `keypoints.crops` of its people.
Some cuts are of a place where nobody stands, so that the network learns to be unsure there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.damage import damage
from astra_jax.inputs.example import Example
from astra_jax.inputs.person_crops import CropMap, crop_map, grid_scale
from astra_jax.models.keypoint_batch import MOST_PEOPLE, KeypointBatch
from astra_jax.pose.oks import SIGMAS, areas
from astra_jax.pose.skeleton import boxes, with_sizes

# Left and right exchanged, in COCO's order of joints.
MIRRORED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
FACE_JOINTS = slice(0, 5)
EMPTY = 0.04  # share of cuts without a person
PIXEL = 0.5  # where data sets have the middle of their first pixel; cuts have it at 0

# How far a person's box is off: turned (radians), scaled (a logarithm), shifted (in its larger side). Most boxes are
# nearly right, as those of a detector are; the share of all that is far off keeps the network from trusting them.
_TURN, _SCALE, _SHIFT = 0.4, 0.22, 0.09
_FAR, _NEAR = 0.25, 0.3
_SCENE_SCALE, _SCENE_SHIFT, _SCENE_TURN = (0.9, 1.25), 0.1, 0.08


def keypoint_arrays(example: Example, rng: np.random.Generator, config: Config, training: bool) -> dict[str, Any]:
    """The fields of `KeypointBatch` of one example, without the batch axis.

    Raises `ValueError` for an example without a picture and `UserError` for one of more than `MOST_PEOPLE` people.
    """
    if example.target is None:
        raise ValueError("an example without a target cannot train keypoints")
    people = np.zeros((0, 17, 3), np.float32) if example.people is None else example.people[:, :17]
    if len(people) > MOST_PEOPLE:
        raise UserError(f"{len(people)} people in a picture are more than the {MOST_PEOPLE} that keypoints learn from")
    people = people.copy()
    people[..., :2] -= PIXEL
    fields = _scene(example.target, people, rng, config, training)
    cuts = [_cut(example.target, people, rng, config, training, index) for index in range(config.keypoints.crops)]
    return fields | {name: np.stack([cut[name] for cut in cuts]) for name in cuts[0]}


def collate_keypoints(examples: Sequence[dict[str, Any]]) -> KeypointBatch:
    """Examples as one batch."""
    return KeypointBatch(**{name: np.stack([example[name] for example in examples]) for name in examples[0]})


def picture_map(picture: UInt8[np.ndarray, "H W 3"], size: tuple[int, int], **changes: Any) -> CropMap:
    """The map that brings a whole picture into a cut of `size`."""
    height, width = picture.shape[:2]
    return crop_map(np.array([-PIXEL, -PIXEL, width, height]), size, padding=1.0, **changes)


def _scene(
    picture: UInt8[np.ndarray, "H W 3"],
    people: Float[np.ndarray, "P 17 3"],
    rng: np.random.Generator,
    config: Config,
    training: bool,
) -> dict[str, Any]:
    size, mirrored = config.keypoints.people.vit.image_size, False
    place = picture_map(picture, size)
    if training:
        height, width = picture.shape[:2]
        scale, side, mirrored = rng.uniform(*_SCENE_SCALE), max(height, width), bool(rng.random() < 0.5)
        middle = np.array([width, height]) / 2 - PIXEL + rng.uniform(-_SCENE_SHIFT, _SCENE_SHIFT, 2) * side
        extent = np.array([width, height]) * scale
        box = np.concatenate([middle - extent / 2, extent])
        place = crop_map(box, size, 1.0, rng.uniform(-_SCENE_TURN, _SCENE_TURN), mirrored)
    cut = place.cut(picture)
    moved = moved_people(people, place, mirrored)
    sides = np.array([size[1], size[0]])
    corners = (boxes(moved) + PIXEL) / np.tile(sides, 2)
    heads = (_heads(moved) + PIXEL) / sides
    # Who has left the cut is not in it.
    inside = ((heads > 0) & (heads < 1)).all(axis=1) & (people[..., 2] > 0).any(axis=1)
    slots = MOST_PEOPLE - len(people)
    return {
        "pictures": damage(cut, rng) if training else cut,
        "heads": np.pad(heads, ((0, slots), (0, 0))).astype(np.float32),
        "boxes": np.pad(corners, ((0, slots), (0, 0))).astype(np.float32),
        "present": np.pad(inside, (0, slots)),
    }


def _cut(
    picture: UInt8[np.ndarray, "H W 3"],
    people: Float[np.ndarray, "P 17 3"],
    rng: np.random.Generator,
    config: Config,
    training: bool,
    index: int,
) -> dict[str, Any]:
    network = config.keypoints.joints
    size, grid = network.vit.image_size, network.grid
    corners = boxes(people)
    known = np.flatnonzero((people[..., 2] > 0).any(axis=1))
    box = _empty_box(picture, corners, rng) if training and rng.random() < EMPTY else None
    somebody = box is None and len(known) > 0
    who = -1
    if somebody:
        who = int(rng.choice(known)) if training else int(known[index % len(known)])
        box = with_sizes(corners[[who]])[0]
    elif box is None:
        box = np.array([0.0, 0.0, picture.shape[1], picture.shape[0]])
    changes: dict[str, Any] = {}
    if training:
        spread = 1.0 if rng.random() < _FAR else _NEAR
        scale = np.exp(spread * rng.uniform(-_SCALE, _SCALE))
        middle = box[:2] + box[2:] / 2 + spread * rng.uniform(-_SHIFT, _SHIFT, 2) * max(box[2:])
        box = np.concatenate([middle - box[2:] * scale / 2, box[2:] * scale])
        changes = {"angle": spread * rng.uniform(-_TURN, _TURN), "mirrored": bool(rng.random() < 0.5)}
    place = crop_map(box, size, **changes)
    cut = place.cut(picture)
    cell = grid_scale(size, grid)
    if somebody:
        person = moved_people(people[who][None], place, changes.get("mirrored", False))[0]
        tolerances = joint_tolerances(float(areas(people[who][None])[0]), place, cell)
    else:
        person, tolerances = np.zeros((17, 3)), np.ones(17)
    return {
        "cuts": damage(cut, rng) if training else cut,
        "places": (person[:, :2] / cell).astype(np.float32),
        "labelled": person[:, 2] > 0,
        "tolerances": tolerances.astype(np.float32),
        "somebody": np.bool_(somebody),
    }


def moved_people(
    people: Float[np.ndarray, "P 17 3"], place: CropMap, mirrored: bool = False
) -> Float[np.ndarray, "P 17 3"]:
    """People of a picture in pixels of its cut; of `mirrored` ones left and right are exchanged."""
    moved = np.concatenate([place.to_cut(people[..., :2].astype(np.float64)), people[..., 2:]], axis=-1)
    return moved[:, MIRRORED] if mirrored else moved


def joint_tolerances(area: float, place: CropMap, cell: Float[np.ndarray, "2"]) -> Float[np.ndarray, "17"]:
    """OKS's tolerance s k of every joint, in cells of the maps of a cut.

    Args:
      area: s^2, of the person, in square pixels of the picture.
      place: the cut.
      cell: its pixels a cell, (x, y) (`grid_scale`).
    """
    pixels = np.sqrt(abs(np.linalg.det(place.matrix)) * cell.prod())  # of the picture, a cell
    return 2 * SIGMAS * np.sqrt(area) / pixels


def _heads(people: Float[np.ndarray, "P 17 3"]) -> Float[np.ndarray, "P 2"]:
    """Where people's heads are: the mean of the labelled joints of the face, or of all where none of those is."""
    labelled = people[..., 2] > 0
    weights = np.where(labelled[:, FACE_JOINTS].any(axis=1, keepdims=True), np.arange(17) < FACE_JOINTS.stop, True)
    weights = (weights & labelled)[..., None].astype(np.float64)
    return (people[..., :2] * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)


def _empty_box(
    picture: UInt8[np.ndarray, "H W 3"], corners: Float[np.ndarray, "P 4"], rng: np.random.Generator
) -> Float[np.ndarray, "4"] | None:
    """A box (x, y, width, height) that hardly touches anybody's; None where a few draws find none."""
    height, width = picture.shape[:2]
    for _ in range(6):
        extent = rng.uniform(0.2, 0.6, 2) * (width, height)
        low = rng.uniform(0, (width, height) - extent)
        overlap = np.minimum(corners[:, 2:], low + extent) - np.maximum(corners[:, :2], low)
        if (overlap.clip(0).prod(axis=1) <= 0.1 * extent.prod()).all():
            return np.concatenate([low, extent])
    return None
