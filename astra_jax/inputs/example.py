"""One training example, in the words of people (`Example`) and made ready for the model's arrays (`Prepared`)."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """Somebody or something in the picture. `keypoints` are theirs among `Example.people`, where it is known."""

    phrase: str  # the subject's words as they stand in the prompt; empty: none are known, and it has no identity
    photo: UInt8[np.ndarray, "H W 3"]  # another picture of the subject
    keypoints: Float[np.ndarray, "17 3"] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A picture and what it is made from. `people` are COCO's 17 joints (x, y, v) each, or the 133 points of whole
    bodies, in pixels of a picture of `size`."""

    prompt: str
    subjects: tuple[Subject, ...]
    people: Float[np.ndarray, "P J 3"] | None  # None: no pose is asked for
    size: tuple[int, int]  # height, width of the target; when sampling, of the canvas
    target: UInt8[np.ndarray, "H W 3"] | None = None  # None when sampling


@dataclasses.dataclass(frozen=True, eq=False)
class Embeddings:
    """What frozen text encoders make of an example's words and of no words."""

    text: Float[np.ndarray, "Lt Ct"]  # T5's features of the prompt
    pooled: Float[np.ndarray, " Cp"]  # CLIP's
    empty_text: Float[np.ndarray, "Lt Ct"]
    empty_pooled: Float[np.ndarray, " Cp"]
    phrases: Float[np.ndarray, "n Lp Ct"]  # T5's features of each subject's words
    placement: Int[np.ndarray, "n Lp"]  # where they stand in `text`; -1: padding


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """An example after all that involves no chance: pictures at the model's sizes (uint8), or their latent moments
    (floating point) from a cache. n is the example's own number of subjects."""

    prompt: str
    phrases: tuple[str, ...]
    target: Shaped[np.ndarray, "H W C"] | None
    pose: Shaped[np.ndarray, "H W C"]  # the skeletons on the canvas; without people: black
    has_pose: bool
    references: Shaped[np.ndarray, "n R R C"]
    portraits: Shaped[np.ndarray, "n ..."]  # S x S x 3 pixels, or the image encoder's T x C tokens of them
    embeddings: Embeddings | None = None  # from a cache that has them
