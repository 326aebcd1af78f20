"""ViTPose networks as pose estimators: the puppets' own, which finds people itself, and published ones, given boxes."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from astra_jax.errors import UserError
from astra_jax.inputs.keypoint_examples import MIRRORED, PIXEL, joint_tolerances, picture_map
from astra_jax.inputs.person_crops import CropMap, crop_map, grid_scale
from astra_jax.models.heatmaps import dark_places, distributions, expected_places
from astra_jax.models.keypoint_batch import MOST_PEOPLE
from astra_jax.models.people_maps import find_people
from astra_jax.models.vit import imagenet_normalise
from astra_jax.models.vitpose import VitPose
from astra_jax.params import Params
from astra_jax.pose.average_precision import FoundPeople
from astra_jax.pose.oks import BOX_FILL, areas, oks_matrix
from astra_jax.pose.skeleton import BODY_POINTS, visible, with_sizes
from astra_jax.pose.skeleton import boxes as joint_boxes
from astra_jax.vit_config import KeypointsConfig, VitPoseConfig
from astra_jax.weights.pretrained import check_tree, load_pretrained
from astra_jax.weights.vitpose import load_vitpose, read_vitpose_config

PUPPETS = "pretrained/puppet_keypoints"
# Least confidence of somebody who is there: OKS to be expected of the puppets' network, mean height of published maps.
# On 250 training scenes 0.4 misses nobody and sees nobody in boxes that touch nobody.
FOUND, FOUND_PUBLISHED = 0.4, 0.3
HEAD = 0.35  # least likelihood of a head; there, from 0.25 to 0.4 the number of people is right equally often
SAME = 0.6  # OKS above which two finds are the same person
_BATCH = 32

# (params, cuts, tolerances in cells) -> (places in cells, confidences) of every joint
Reader = Callable[[Params, Array, Array], tuple[Array, Array]]


@dataclasses.dataclass(frozen=True, eq=False)
class VitPoseEstimator:
    """Finds people's joints by heatmaps. An `Estimator`; its result is a function of the picture and its boxes alone.

    Attributes:
      name: what reports call it.
      joints: sizes of the network that reads cuts.
      params: its parameters.
      reader: of its maps.
      threshold: least mean confidence of the joints of somebody who is there.
      pixel: where the pictures' coordinates have the middle of the first pixel.
      people: sizes and parameters of the network that finds people; None: it needs boxes.
    """

    name: str
    joints: VitPoseConfig
    params: Params
    reader: Reader
    threshold: float
    pixel: float = 0.0
    people: tuple[VitPoseConfig, Params] | None = None

    @property
    def most_people(self) -> int:
        """See `Estimator`."""
        return 0 if self.people is None else MOST_PEOPLE

    def __call__(
        self, pictures: list[UInt8[np.ndarray, "_ _ 3"]], boxes: list[Float[np.ndarray, "_ 4"]] | None = None
    ) -> list[FoundPeople]:
        """The people whose confidence reaches the threshold (see `Estimator`).

        Raises `UserError` without boxes where the estimator cannot find people itself.
        """
        if boxes is not None:
            if len(boxes) != len(pictures):
                raise ValueError(f"{len(pictures)} pictures and boxes of {len(boxes)}")
            around = [np.asarray(box, np.float64).reshape(-1, 4) for box in boxes]
            found = self._read(pictures, around)
            return [self._kept(people, np.ones(len(people))) for people in found]
        if self.people is None:
            raise UserError(f"{self.name} reads the joints of people whose boxes are known: give boxes")
        searched = self._search(pictures)
        # The second look is at the box of the joints that the first one found: nearer to the truth than a head's guess.
        first = self._read(pictures, [box for box, _ in searched])
        found = self._read(pictures, [with_sizes(joint_boxes(visible(people))) for people in first])
        kept = [self._kept(people, heads) for people, (_, heads) in zip(found, searched, strict=True)]
        return [_without_doubles(people) for people in kept]

    def _kept(self, people: Float[np.ndarray, "P 17 3"], heads: Float[np.ndarray, "P"]) -> FoundPeople:
        scores = people[..., 2].mean(axis=1)
        found = scores >= self.threshold
        return FoundPeople(people[found], (scores * heads)[found])

    def _search(
        self, pictures: list[UInt8[np.ndarray, "_ _ 3"]]
    ) -> list[tuple[Float[np.ndarray, "_ 4"], Float[np.ndarray, "_"]]]:
        """Boxes (x, y, width, height) in pixels and likelihoods of the people of every picture."""
        assert self.people is not None
        config, params = self.people
        cuts = [picture_map(picture, config.vit.image_size).cut(picture) for picture in pictures]
        corners, heads = _in_batches(functools.partial(_searcher(config), params), [np.stack(cuts)] if cuts else [])
        result = []
        for picture, box, head in zip(pictures, corners, heads, strict=True):
            box = box[head >= HEAD] * np.tile([picture.shape[1], picture.shape[0]], 2)
            low, high = np.minimum(box[:, :2], box[:, 2:]), np.maximum(box[:, :2], box[:, 2:])
            result.append((with_sizes(np.concatenate([low, high], axis=1)), head[head >= HEAD]))
        return result

    def _read(
        self, pictures: list[UInt8[np.ndarray, "_ _ 3"]], boxes: list[Float[np.ndarray, "_ 4"]]
    ) -> list[Float[np.ndarray, "_ 17 3"]]:
        """Joints (x, y, confidence) of the person in every box."""
        size = self.joints.vit.image_size
        cell = grid_scale(size, self.joints.grid)
        maps: list[CropMap] = []
        cuts, tolerances = [], []
        for picture, around in zip(pictures, boxes, strict=True):
            for box in around:
                place = crop_map(box - (self.pixel, self.pixel, 0, 0), size)
                maps.append(place)
                cuts.append(place.cut(picture))
                tolerances.append(joint_tolerances(max(BOX_FILL * box[2] * box[3], 1.0), place, cell))
        arrays = [np.stack(cuts), np.stack(tolerances).astype(np.float32)] if cuts else []
        cells, confidences = _in_batches(functools.partial(self.reader, self.params), arrays)
        people = [
            np.concatenate([place.to_picture(places * cell) + self.pixel, sure[:, None]], axis=1)
            for place, places, sure in zip(maps, cells, confidences, strict=True)
        ]
        ends = np.cumsum([len(around) for around in boxes])
        whole = np.array(people, np.float64).reshape(-1, BODY_POINTS, 3)
        return np.split(whole, ends[:-1]) if len(boxes) else []


def puppet_estimator(folder: str | os.PathLike[str] = PUPPETS) -> VitPoseEstimator:
    """The estimator of the drawn people; raises `UserError` for a folder without its weights or with others."""
    config, params = load_pretrained(folder, {"joints", "people"})
    networks: KeypointsConfig = config.keypoints
    for part, sizes in (("joints", networks.joints), ("people", networks.people)):
        check_tree({part: params.get(part, {})}, {part: _shapes(sizes)}, folder)
    return VitPoseEstimator(
        "ViTPose of the puppets",
        networks.joints,
        params["joints"],
        expected_reader(networks.joints),
        FOUND,
        PIXEL,
        (networks.people, params["people"]),
    )


def published_estimator(folder: str | os.PathLike[str]) -> VitPoseEstimator:
    """A published ViTPose (transformers' VitPoseForPoseEstimation); raises `UserError` as its readers do."""
    config = read_vitpose_config(folder)
    params = load_vitpose(folder, config, _shapes(config))
    return VitPoseEstimator("ViTPose", config, params, dark_reader(config), FOUND_PUBLISHED)


@functools.cache
def expected_reader(config: VitPoseConfig) -> Reader:
    """`expected_places` of the mean distribution of a cut and of its mirror image."""

    @jax.jit
    def read(params: Params, cuts: Array, tolerances: Array) -> tuple[Array, Array]:
        pictures = jnp.concatenate([cuts, cuts[:, :, ::-1]])
        maps = VitPose(config).apply({"params": params}, imagenet_normalise(pictures))
        straight, mirrored = jnp.split(jnp.asarray(maps), 2)
        shares = (distributions(straight) + distributions(mirrored[:, :, ::-1][..., MIRRORED])) / 2
        # A window under a cell would see the cells and not what lies between them.
        return expected_places(shares, jnp.maximum(tolerances, 1.0), config.grid)

    return read


@functools.cache
def dark_reader(config: VitPoseConfig) -> Reader:
    """`dark_places`; confidences are the maps' heights, 0 to 1."""

    @jax.jit
    def read(params: Params, cuts: Array, tolerances: Array) -> tuple[Array, Array]:
        del tolerances
        maps: Any = VitPose(config).apply({"params": params}, imagenet_normalise(cuts))
        places, heights = dark_places(maps)
        return places, jnp.clip(heights, 0, 1)

    return read


@functools.cache
def _searcher(config: VitPoseConfig) -> Callable[[Params, Array], tuple[Array, Array]]:
    @jax.jit
    def search(params: Params, pictures: Array) -> tuple[Array, Array]:
        maps: Any = VitPose(config).apply({"params": params}, imagenet_normalise(pictures))
        return find_people(maps, MOST_PEOPLE)

    return search


def _in_batches(run: Callable[..., tuple[Array, Array]], arrays: list[np.ndarray]) -> tuple[Any, Any]:
    """`run` over batches of one size, the last one filled up with zeros: one compiled program serves any number."""
    if not arrays:
        return np.zeros((0,)), np.zeros((0,))
    count, parts = len(arrays[0]), []
    for start in range(0, count, _BATCH):
        batch = [array[start : start + _BATCH] for array in arrays]
        missing = _BATCH - len(batch[0])
        filled = [np.pad(array, ((0, missing), *[(0, 0)] * (array.ndim - 1))) for array in batch]
        parts.append([np.asarray(part)[: len(batch[0])] for part in run(*filled)])
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _without_doubles(found: FoundPeople) -> FoundPeople:
    """The finds of which no better one is the same person (OKS above `SAME`), best first."""
    people, scores = found.people, found.scores
    marked = visible(people)
    alike = oks_matrix(marked, areas(marked), people)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not any(max(alike[index, other], alike[other, index]) > SAME for other in kept):
            kept.append(int(index))
    return FoundPeople(people[kept], scores[kept])


def _shapes(config: VitPoseConfig) -> Params:
    pictures = jax.ShapeDtypeStruct((1, *config.vit.image_size, 3), jnp.float32)
    return jax.eval_shape(VitPose(config).init, jax.random.key(0), pictures)["params"]
