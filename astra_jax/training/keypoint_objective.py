"""Training the keypoint networks: joints of people in cuts, and where people are in whole pictures."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt8

from astra_jax.config import Config
from astra_jax.models.heatmaps import cell_places, distributions, gaussian_targets
from astra_jax.models.keypoint_batch import KeypointBatch
from astra_jax.models.people_maps import MAPS, people_loss
from astra_jax.models.vit import imagenet_normalise
from astra_jax.models.vitpose import VitPose
from astra_jax.params import Params
from astra_jax.training import rules
from astra_jax.training.mesh import Rules
from astra_jax.training.objective import Metrics, rows_to_picture

_BOX_WEIGHT = 5.0
_PARTS = ("joints", "people")


def joint_loss(
    maps: Float[Array, "B R C K"],
    places: Float[Array, "B K 2"],
    labelled: Bool[Array, "B K"],
    tolerances: Float[Array, "B K"],
    somebody: Bool[Array, "B"],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """(cross-entropy, error of the expected places, mean OKS of these), each a mean over labelled joints.

    A map's softmax is held to a Gaussian around the joint by cross-entropy, and its expectation (integral regression,
    arXiv 1711.08229) to the joint itself by sqrt(1 + d^2) - 1, d the distance in units of OKS's tolerance s k, so that
    joints count as much as OKS counts them. Where nobody is, the map is held to say nothing: a uniform distribution.
    """
    grid = maps.shape[1], maps.shape[2]
    shares = distributions(maps)
    logs = jnp.log(jnp.maximum(shares, 1e-12))
    target = jnp.where(somebody[:, None, None], gaussian_targets(places, grid), 1 / (grid[0] * grid[1]))
    # Divergence and not bare cross-entropy: 0 where the map is right.
    divergence = jnp.sum(target * (jnp.log(jnp.maximum(target, 1e-12)) - logs), axis=-1)
    counted = (labelled | ~somebody[:, None]).astype(jnp.float32)
    entropy = jnp.sum(divergence * counted) / jnp.maximum(counted.sum(), 1)

    square = jnp.sum(jnp.square(shares @ cell_places(*grid) - places), axis=-1) / jnp.square(tolerances)
    weights = (labelled & somebody[:, None]).astype(jnp.float32)
    count = jnp.maximum(weights.sum(), 1)
    error = jnp.sum((jnp.sqrt(1 + square) - 1) * weights) / count
    return entropy, error, jnp.sum(jnp.exp(-square / 2) * weights) / count


@dataclasses.dataclass(frozen=True)
class KeypointObjective:
    """`joint_loss` of the cuts, its places by `keypoints.place_weight`, plus `people_loss` of the pictures.

    The two networks share nothing but the batch.
    """

    config: Config
    rules: Rules = rules.KEYPOINTS

    def init(self, rng: PRNGKeyArray) -> Params:
        """Random parameters, {"joints": ..., "people": ...}."""
        params = {}
        for part, key in zip(_PARTS, jax.random.split(rng), strict=True):
            module = self._module(part)
            pictures = jnp.zeros((1, *module.config.vit.image_size, 3))
            params[part] = module.init(key, pictures)["params"]
            # Small networks and short runs start from waves (arXiv 2205.01580) sooner than from noise.
            vit = module.config.vit
            rows, columns = (side // vit.patch for side in vit.image_size)
            params[part]["vit"]["positions"] = wave_positions(rows, columns, vit.width)
        # Nearly all cells are empty: a start at their likelihood keeps the first steps small (arXiv 1708.02002).
        params["people"]["maps"]["bias"] = jnp.zeros((MAPS,)).at[0].set(-4.0)
        return params

    def loss(self, params: Params, batch: KeypointBatch, rng: PRNGKeyArray) -> tuple[Float[Array, ""], Metrics]:
        """Loss of a `KeypointBatch`; nothing in it is random."""
        del rng
        entropy, error, oks = joint_loss(
            self._apply(params, "joints", _flat(batch.cuts)),
            _flat(batch.places),
            _flat(batch.labelled),
            _flat(batch.tolerances),
            _flat(batch.somebody),
        )
        maps = self._apply(params, "people", batch.pictures)
        heads, boxes = people_loss(maps, batch.heads, batch.boxes, batch.present)
        metrics = {"entropy": entropy, "place": error, "oks": oks, "heads": heads, "boxes": boxes}
        return entropy + self.config.keypoints.place_weight * error + heads + _BOX_WEIGHT * boxes, metrics

    def preview(self, params: Params, batch: KeypointBatch, rng: PRNGKeyArray) -> UInt8[Array, "H W 3"]:
        """Rows of a cut and the sum of its joints' distributions, one picture's first cut each."""
        del rng
        cuts = batch.cuts[:, 0]
        maps = self._apply(params, "joints", cuts)
        shares = distributions(maps).sum(axis=1).reshape(maps.shape[:3])
        shares = jnp.clip(shares / jnp.maximum(shares.max(axis=(1, 2), keepdims=True), 1e-6), 0, 1)
        grey = jax.image.resize(shares, cuts.shape[:3], "nearest")[..., None]
        return rows_to_picture([cuts, jnp.repeat(jnp.round(grey * 255), 3, axis=-1).astype(jnp.uint8)])

    def _module(self, part: str) -> VitPose:
        sizes = self.config.keypoints.joints if part == "joints" else self.config.keypoints.people
        return VitPose(sizes, jnp.dtype(self.config.model.dtype))

    def _apply(self, params: Params, part: str, pictures: UInt8[Array, "B H W 3"]) -> Float[Array, "B R C K"]:
        return cast(Any, self._module(part).apply({"params": params[part]}, imagenet_normalise(pictures)))


def wave_positions(rows: int, columns: int, width: int) -> Float[Array, "N C"]:
    """Sines and cosines of the places of a grid, a quarter of the channels each for sin x, cos x, sin y and cos y.

    Wavelengths grow from 2 pi places to 10,000 times that (arXiv 1706.03762). Raises `ValueError` unless 4 divides
    `width`.
    """
    if width % 4:
        raise ValueError(f"waves need a width that 4 divides, not {width}")
    rates = 10_000.0 ** -(jnp.arange(width // 4) / max(width // 4 - 1, 1))
    angles = cell_places(rows, columns)[:, :, None] * rates
    return jnp.concatenate([f(angles[:, axis]) for axis in (0, 1) for f in (jnp.sin, jnp.cos)], axis=-1)


def _flat(x: Array) -> Array:
    """The first two axes as one."""
    return x.reshape(-1, *x.shape[2:])
