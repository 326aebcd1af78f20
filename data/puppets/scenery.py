"""Which place a picture shows, and which of its pixels are people's: against many drawings of the named places."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

from data.puppets import palette
from data.puppets.backgrounds import BACKGROUNDS, paint_background
from data.puppets.canvas import SUPERSAMPLING
from data.puppets.drawing import FAR
from data.puppets.identity import Identity

DRAWS = 12  # of each place, each with details of its own
CELLS = 16  # a side: places are told by coarse colours
CAP = 60.0  # sRGB distance: cells where a person is in front differ from every place, and must not decide
SMOOTHING = 1.0  # pixels of a picture 128 wide: deviation of the blur that decides by neighbours


@functools.lru_cache(maxsize=4 * len(BACKGROUNDS))
def _draws(name: str, size: int) -> UInt8[np.ndarray, "N S S 3"]:
    seeds = [np.random.default_rng([len(name), draw]) for draw in range(DRAWS)]
    sheets = [paint_background(name, rng, size * SUPERSAMPLING) for rng in seeds]
    return np.stack([np.asarray(sheet.reduce(SUPERSAMPLING)) for sheet in sheets])


@functools.cache
def _cells(name: str, size: int) -> Float[np.ndarray, "N 16 16 3"]:
    return np.stack([_coarse(sheet) for sheet in _draws(name, size)])


def _coarse(picture: UInt8[np.ndarray, "S S 3"]) -> Float[np.ndarray, "16 16 3"]:
    return np.asarray(Image.fromarray(picture).resize((CELLS, CELLS), Image.Resampling.BOX), np.float64)


def place_shown(picture: UInt8[np.ndarray, "S S 3"]) -> str:
    """The name of the place of `BACKGROUNDS` of which one of `DRAWS` drawings is nearest.

    The distance is the mean over `CELLS` x `CELLS` cells of the distance of their colours, at most `CAP`.
    """
    coarse, size = _coarse(picture), len(picture)
    distances = {
        name: np.minimum(np.linalg.norm(_cells(name, size) - coarse, axis=-1), CAP).mean(axis=(1, 2)).min()
        for name in BACKGROUNDS
    }
    return min(distances, key=distances.__getitem__)


def people_shown(picture: UInt8[np.ndarray, "S S 3"], place: str, cast: Sequence[Identity]) -> Bool[np.ndarray, "S S"]:
    """Which pixels are people's, by colour alone: nearer to one that somebody of `cast` wears than to `place`.

    A pixel's distance from the place is the smallest from the pixels around it in `DRAWS` drawings. Both distances are
    at most `CAP`, and their difference is blurred before its sign decides. Nothing of the true silhouette is used.
    """
    pixels = picture.astype(np.float32)
    worn = np.array(sorted({colour for who in cast for colour in _worn(who)}), np.float32)
    person = np.sqrt(_square(pixels[:, :, None] - worn).min(axis=-1))
    drawings = np.pad(_draws(place, len(picture)), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge").astype(np.float32)
    height, width = picture.shape[:2]
    nearest = np.full((height, width), np.inf, np.float32)
    for y in range(3):
        for x in range(3):
            shifted = drawings[:, y : y + height, x : x + width]
            nearest = np.minimum(nearest, _square(shifted - pixels).min(axis=0))
    difference = np.minimum(np.sqrt(nearest), CAP) - np.minimum(person, CAP)
    return gaussian_filter(difference, SMOOTHING * len(picture) / 128) > 0


def _square(difference: np.ndarray) -> np.ndarray:
    return np.einsum("...c,...c->...", difference, difference)


def _worn(who: Identity) -> list[palette.RGB]:
    """The colours of a person, also darkened as those of a limb behind the body."""
    clothes = [who.top, who.bottom, who.shoes]
    clothes += [who.top_second] * (who.top_pattern != "plain") + [who.bottom_second] * (who.bottom_pattern != "plain")
    clothes += [who.hat_colour] * (who.hat != "none") + [who.extra_colour] * (who.extra != "none")
    colours = [palette.SKIN[who.skin], *(palette.CLOTHES[name] for name in clothes)]
    colours += [palette.HAIR[who.hair]] * (who.hair_style != "bald")
    return [palette.shade(colour, tone) for colour in colours for tone in (1.0, FAR)]
