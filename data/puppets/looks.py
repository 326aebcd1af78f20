"""Who a found person is: its colours against those of candidates that are drawn in the very pose that was found.

The pose is found in the picture and lifted to three dimensions (`lifting`), so looks are compared wherever a person
ended up, and a picture that has everybody right but in another pose loses nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from astra_jax.evaluation.body_regions import HEAD, LEGS, MIN_PIXELS, TOP, region_colours, region_masks
from data.puppets.canvas import SUPERSAMPLING
from data.puppets.drawing import draw_scene
from data.puppets.identity import Identity
from data.puppets.lifting import lift

TEXTURE = 0.5  # weight of a region's spread beside its mean colour
CAP = 100.0  # distance (sRGB) from which a region is simply another: one region that is off must not decide
# A person is a blend of two where a part's colour, on the way from one to the other, is from `BLEND` of it on.
BLEND = 0.4
ASIDE = 0.4  # ... and no farther from that way, in its length: what looks like neither is no blend
APART = 50.0  # sRGB distance of two people's region that tells them apart
_GROUND = (128, 128, 128)


class Costume(NamedTuple):
    """A candidate in a pose: the picture, and where the person is in it."""

    picture: UInt8[np.ndarray, "S S 3"]
    silhouette: Bool[np.ndarray, "S S"]


def dress(joints: Float[np.ndarray, "17 _"], who: Identity, size: int) -> Costume:
    """`who` in the pose of 2D joints, in pixels of a square picture of `size`."""
    ground = Image.new("RGB", (size * SUPERSAMPLING,) * 2, _GROUND)
    picture, owners = draw_scene(lift(joints, who.kind in ("boy", "girl"))[None], [who], ground)
    return Costume(picture, owners > 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Looks:
    """Colours of the regions of one found person, and of candidates in its pose; NaN where a region cannot be seen."""

    mean: Float[np.ndarray, "R 3"]
    spread: Float[np.ndarray, "R 3"]
    means: Float[np.ndarray, "N R 3"]
    spreads: Float[np.ndarray, "N R 3"]

    @property
    def seen(self) -> bool:
        """Whether there is a region that can be compared."""
        return bool(np.isfinite(self.mean).any())

    def distances(self) -> Float[np.ndarray, "N"]:
        """From each candidate: the mean over the regions of the distance in colour and texture, at most `CAP`."""
        square = np.square(self.means - self.mean) + TEXTURE**2 * np.square(self.spreads - self.spread)
        each = np.minimum(np.sqrt(square.sum(axis=-1)), CAP)
        there = np.isfinite(self.mean[:, 0])
        return each[:, there].mean(axis=1) if there.any() else np.full(len(each), CAP)

    def blends(self, one: int, other: int) -> bool:
        """Whether a person that looks like candidate `one` has a part (head, top or legs) that goes towards `other`.

        Of the regions of a part that tell the two apart (`APART`), mean colours are one vector. Between those of the
        candidates it lies at t, 0 to 1, and beside that line by `aside`, in the distance of the two. The part is the
        other's, or a blend of both, if t >= `BLEND` and aside <= `ASIDE`. The rule is our decision.
        """
        gap = self.means[other] - self.means[one]
        telling = np.linalg.norm(gap, axis=1) >= APART  # NaN is not
        for part in (HEAD, TOP, LEGS):
            regions = [region for region in part if telling[region]]
            if regions:
                way, here = gap[regions].ravel(), (self.mean - self.means[one])[regions].ravel()
                t = float(here @ way / (way @ way))
                if t >= BLEND and np.linalg.norm(here - t * way) <= ASIDE * np.linalg.norm(way):
                    return True
        return False


def compare(
    picture: UInt8[np.ndarray, "S S 3"],
    joints: Float[np.ndarray, "17 _"],
    costumes: Sequence[Costume],
    others: Bool[np.ndarray, "S S"],
) -> Looks:
    """The looks of the person at `joints` beside those of `costumes` in its pose.

    Read are pixels that every candidate covers and nobody of `others` does, who may be in front; where that leaves
    nearly nothing, those that every candidate covers.
    """
    body = np.all([costume.silhouette for costume in costumes], axis=0)
    alone = body & ~others
    masks = region_masks(joints, picture.shape[:2]) & (alone if alone.sum() >= 4 * MIN_PIXELS else body)
    mean, spread = region_colours(picture.astype(np.float64), masks)
    rows = [region_colours(costume.picture.astype(np.float64), masks) for costume in costumes]
    return Looks(mean, spread, *(np.stack(column) for column in zip(*rows, strict=True)))
