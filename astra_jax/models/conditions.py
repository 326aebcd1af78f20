"""`Conditions`: all that steers one batch of pictures, made once per picture and read by every step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import flax.struct
import jax
import numpy as np
from jaxtyping import Array, Bool, Float

# What a leaf of these structs may be: an array of the device or the host, or the shape of one (jax.eval_shape,
# or what a jitted function's `lower` knows of it).
if TYPE_CHECKING:
    AnyArray = Any
else:
    AnyArray = Array | np.ndarray | jax.ShapeDtypeStruct | jax.stages.ArgInfo


@flax.struct.dataclass
class KeysValues:
    """What K layers, or without that axis one layer, attend to of Lc tokens: keys with their positions, and values."""

    keys: Float[AnyArray, "*K B Lc H D"]
    values: Float[AnyArray, "*K B Lc H D"]


@flax.struct.dataclass
class CachedPictures:
    """Condition pictures that see neither text nor canvas nor time, as every block of the two kinds attends to them."""

    double: KeysValues
    single: KeysValues
    mask: Bool[AnyArray, "B Lc"]  # which tokens exist


@flax.struct.dataclass
class Conditions:
    """What the velocity depends on besides x_t and t.

    The sequence is [text | canvas | pose | references], L = Lt + canvas tokens + Lc tokens. S phrase tokens carry
    identity offsets, one for each of the K double blocks. Pictures that are cached are no part of the sequence, Lc = 0.
    """

    text: Float[AnyArray, "B Lt Ct"]  # T5 features of the prompt
    pooled: Float[AnyArray, "B Cp"]  # CLIP's feature of the prompt
    guidance: Float[AnyArray, " B"]  # the guidance-distilled model's scale
    images: Float[AnyArray, "B Lc Cl"]  # patchified latents of the pose and the references
    cos: Float[AnyArray, "B L D"]  # rotary tables of the whole sequence
    sin: Float[AnyArray, "B L D"]
    mask: Bool[AnyArray, "B L"]  # which tokens exist
    offsets: Float[AnyArray, "K B S Dm"]  # of the text stream's modulation vector
    place: Float[AnyArray, "B S Lt"]  # one-hot: the text token each offset belongs to; a zero row: none
    cached: tuple[CachedPictures, ...] = ()  # what text and canvas attend to besides the sequence


def see_pose(conditions: Conditions, canvas_tokens: int, pose_tokens: int, seen: Bool[Array, " B"]) -> Conditions:
    """Conditions in which the pose tokens of the pictures that are not `seen` do not exist.

    No query attends to them, as if the picture had no pose; shapes stay, so one program serves any part of the schedule
    (`flow.schedule.within` gives `seen`). With all seen the mask is what it was. References that were cached together
    with the pose (`model.condition_scope` "all") have seen it all the same.
    """

    def without_pose(mask: Bool[AnyArray, "B L"], start: int) -> Bool[Array, "B L"]:
        place = np.arange(mask.shape[1])
        pose = (start <= place) & (place < start + pose_tokens)
        return mask & (seen[:, None] | ~pose)

    if conditions.cached:  # the pose is the first of them
        first, *others = conditions.cached
        first = dataclasses.replace(first, mask=without_pose(first.mask, 0))
        return dataclasses.replace(conditions, cached=(first, *others))
    start = conditions.text.shape[1] + canvas_tokens
    return dataclasses.replace(conditions, mask=without_pose(conditions.mask, start))


def scale_identity(conditions: Conditions, strength: Float[Array, " B"]) -> Conditions:
    """Conditions with each picture's identity offsets `strength` times as large: 1 leaves them, 0 is no adapter."""
    return dataclasses.replace(conditions, offsets=conditions.offsets * strength[:, None, None])
