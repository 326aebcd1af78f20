"""What a bank is curated from: the people of one picture with what is known of them, whatever file they come from."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """The annotated people of one picture, labelled or not; coordinates in pixels.

    Attributes:
      id: unique in its source.
      height, width: of the picture.
      people: 17 joints of COCO, or 133 points of a whole body; somebody without a joint is there, too.
      boxes: (x, y, width, height) of everybody.
      areas: of everybody's segment in square pixels; 0 where the file tells none.
      crowd: marks annotations of a crowd as a whole.
      numbers: of every person in the source (the annotation's id, or the row): `vcoco.join_actions` finds them by it.
      captions: as they were written; may be empty.
      verbs: one more caption, of V-COCO's verbs (`vcoco.join_actions`); may be empty.
      action: a short name of what is done; may be empty.
      source, licence: of this picture, where the file tells them.
    """

    id: str
    height: int
    width: int
    people: Float[np.ndarray, "P J 3"]
    boxes: Float[np.ndarray, "P 4"]
    areas: Float[np.ndarray, "P"]
    crowd: Bool[np.ndarray, "P"]
    numbers: Int[np.ndarray, "P"]
    captions: tuple[str, ...] = ()
    verbs: str = ""
    action: str = ""
    source: str = ""
    licence: str = ""


def labelled(picture: Picture) -> Picture:
    """The picture with those people alone who have a labelled joint and are no crowd."""
    kept = (picture.people[..., 2] > 0).any(axis=1) & ~picture.crowd
    names = ("people", "boxes", "areas", "crowd", "numbers")
    return dataclasses.replace(picture, **{name: getattr(picture, name)[kept] for name in names})
