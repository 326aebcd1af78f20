"""Who a found person is: its colours against those of candidates that are drawn in the very pose that was found.

The pose is found in the picture and lifted to three dimensions (`lifting`), so looks are compared wherever a person
ended up, and a picture that has everybody right but in another pose loses nothing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from astra_jax.evaluation.body_regions import HEAD, LEGS, MIN_PIXELS, TOP, region_colours, region_masks
from astra_jax.evaluation.oklab import oklab
from data.puppets.canvas import SUPERSAMPLING
from data.puppets.drawing import draw_scene
from data.puppets.identity import Identity
from data.puppets.lifting import lift

CAP = 0.2  # distance from which a region is simply another colour: one region that is off must not decide
TEXTURE = 0.15 / 255  # weight of the spread of a region's colours (sRGB) beside the distance of their means
# A part is another one's where it is nearer to that one, and nearer than to the person's own look by this factor.
CLEARLY = 0.8
# A part is a blend of two people whose colours there differ by `APART` (sRGB) where its colour lies in the middle of
# the way from one to the other, from this share of it on, and beside it by at most `ASIDE` of it.
APART, MIDDLE, ASIDE = 50.0, 0.4, 0.2
_GROUND = (128, 128, 128)


class Costume(NamedTuple):
    """A candidate in a pose: the picture, and where the person is in it."""

    picture: UInt8[np.ndarray, "S S 3"]
    silhouette: Bool[np.ndarray, "S S"]


def dress(joints: Float[np.ndarray, "17 _"], who: Identity, size: int) -> Costume:
    """`who` in the pose of 2D joints, in pixels of a square picture of `size`."""
    ground = Image.new("RGB", (size * SUPERSAMPLING, size * SUPERSAMPLING), _GROUND)
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
        """From each candidate: the mean over the regions that are seen, of those in `_regions`."""
        each = self._regions
        there = np.isfinite(each[0])
        return each[:, there].mean(axis=1) if there.any() else np.full(len(each), CAP)

    @functools.cached_property
    def _regions(self) -> Float[np.ndarray, "N R"]:
        """The distance of each region from each candidate's in colour (`_hues`) and texture, at most `CAP`."""
        colour = np.square(_hues(self.means) - _hues(self.mean)).sum(axis=-1)
        texture = np.square(TEXTURE * (self.spreads - self.spread)).sum(axis=-1)
        return np.minimum(np.sqrt(colour + texture), CAP)

    def fused(self, one: int, count: int) -> bool:
        """Whether a person that looks most like candidate `one` has a part (head, top or legs) of another.

        Others are the first `count` candidates, the identities of the scene. The part is another's where of all
        candidates, distractors too, that one is nearest there, by less than `CLEARLY` of the distance to `one`. Or it
        is a blend: of the regions that tell the two apart, mean colours as one vector lie between theirs (`MIDDLE`,
        `ASIDE`). What looks like neither is no fusion: the distractors hold chance down. The rule is our decision.
        """
        for part in (HEAD, TOP, LEGS):
            regions = [region for region in part if np.isfinite(self.mean[region, 0])]
            if not regions:
                continue
            distances = self._regions[:, regions].mean(axis=1)
            nearest = int(np.argmin(distances))
            if nearest < count and distances[nearest] < CLEARLY * distances[one]:
                return True
            if any(self._between(one, other, regions) for other in range(count) if other != one):
                return True
        return False

    def _between(self, one: int, other: int, regions: Sequence[int]) -> bool:
        gap = self.means[other] - self.means[one]
        telling = [region for region in regions if np.linalg.norm(gap[region]) >= APART]
        if not telling:
            return False
        way, here = gap[telling].ravel(), (self.mean - self.means[one])[telling].ravel()
        t = float(here @ way / (way @ way))
        aside = float(np.linalg.norm(here - t * way) / np.linalg.norm(way))
        return MIDDLE <= t <= 1 - MIDDLE and aside <= ASIDE


def _hues(colours: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
    """OKLab with the square root of the chroma: which colour it is counts more than how saturated it is.

    Guided pictures exaggerate saturation. With OKLab's own chroma, or distances in sRGB, a generator's pink that became
    magenta is another colour, and the measure tells less (fewer people are told from the distractors).
    """
    lab = oklab(colours)
    chroma = np.linalg.norm(lab[..., 1:], axis=-1, keepdims=True)
    return np.concatenate([lab[..., :1], lab[..., 1:] / np.sqrt(np.maximum(chroma, 1e-9))], axis=-1)


def compare(
    picture: UInt8[np.ndarray, "S S 3"],
    joints: Float[np.ndarray, "17 _"],
    costumes: Sequence[Costume],
    others: Bool[np.ndarray, "S S"],
) -> Looks:
    """The looks of the person at `joints` beside those of `costumes` in its pose.

    Read are pixels of the regions that a candidate covers and nobody of `others` does, who may be in front; where that
    leaves nearly nothing, those that a candidate covers.
    """
    body = np.any([costume.silhouette for costume in costumes], axis=0)
    alone = body & ~others
    masks = region_masks(joints, picture.shape[:2]) & (alone if alone.sum() >= 4 * MIN_PIXELS else body)
    mean, spread = region_colours(picture.astype(np.float64), masks)
    rows = [region_colours(costume.picture.astype(np.float64), masks) for costume in costumes]
    return Looks(mean, spread, *(np.stack(column) for column in zip(*rows, strict=True)))
