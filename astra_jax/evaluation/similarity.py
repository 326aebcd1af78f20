"""How alike pictures, subjects, people and texts are, from the unit vectors that `features` makes of them.

DreamBooth's definitions (arXiv 2208.12242, section 4.2): DINO and CLIP-I are the mean cosine over all pairs of a
generated and a real picture of the subject, CLIP-T the cosine between a picture and its prompt. UNO (arXiv 2504.02160)
compares with the one picture that was given, and with several subjects takes the mean of theirs. All lie in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

MARGIN = 0.1  # around a person's box, of its sides


def cosines(one: Float[np.ndarray, "A D"], other: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "A B"]:
    """The cosine of every row of one with every row of the other; raises ValueError where they are no unit vectors."""
    for rows in (one, other):
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        if not np.allclose(lengths, 1.0, atol=1e-3):
            raise ValueError("cosines are taken of unit vectors")
    return one.astype(np.float64) @ other.astype(np.float64).T


def subject_similarity(
    generated: Float[np.ndarray, "G D"], real: Float[np.ndarray, "R D"], same: Int[np.ndarray, " G"] | None = None
) -> Float[np.ndarray, " G"]:
    """The mean cosine of each generated picture with the real ones of its subject (DINO, CLIP-I).

    The mean over pictures of one subject is the mean over all pairs. With one row, the reference that was given, it is
    UNO's figure. `same` is for real pictures that are scored in the place of generated ones (the ceiling): the row of
    `real` that is the picture itself and is left out, for each of them. Raises ValueError where none is left.
    """
    values = cosines(generated, real)
    if same is None:
        return values.mean(axis=1)
    if len(real) < 2:
        raise ValueError("a picture cannot be compared with itself alone")
    return (values.sum(axis=1) - values[np.arange(len(generated)), same]) / (len(real) - 1)


def several_subjects_similarity(
    generated: Float[np.ndarray, "G D"], subjects: Sequence[Float[np.ndarray, "_ D"]]
) -> Float[np.ndarray, " G"]:
    """The mean over the subjects of `subject_similarity`, each subject counting the same; `subjects` have their real
    pictures, or the given reference alone."""
    return np.mean([subject_similarity(generated, real) for real in subjects], axis=0)


def text_similarity(pictures: Float[np.ndarray, "B D"], texts: Float[np.ndarray, "B D"]) -> Float[np.ndarray, " B"]:
    """The cosine of each picture with its own text (CLIP-T)."""
    return np.diagonal(cosines(pictures, texts)).copy()


def person_crop(
    picture: UInt8[np.ndarray, "H W 3"], box: Float[np.ndarray, "4"], margin: float = MARGIN
) -> UInt8[np.ndarray, "h w 3"] | None:
    """What a box (x, y, width, height in pixels) shows, with `margin` of its sides around it, as far as the picture
    goes; whole pixels, those that the box touches. None where it lies outside or has no size or is not finite.
    """
    if not np.isfinite(box).all() or not (box[2:] > 0).all():
        return None
    x, y, width, height = box.tolist()
    left, right = x - margin * width, x + (1 + margin) * width
    top, bottom = y - margin * height, y + (1 + margin) * height
    rows = slice(max(0, int(np.floor(top))), max(0, int(np.ceil(bottom))))
    columns = slice(max(0, int(np.floor(left))), max(0, int(np.ceil(right))))
    crop = picture[rows, columns]
    return crop if crop.size else None
