"""People as OpenPose skeleton pictures, drawn at the canvas's own resolution.

Colours, bones and sizes are those of controlnet_aux's DWPose (`draw_bodypose`, `draw_handpose`, `draw_facepose`). Limbs
are ellipses of half-width 4 px in a wheel of 18 colours times 0.6, joints are discs of radius 4 px over them. The bones
of a hand are lines 2 px wide in 20 hues with blue discs of radius 4 px over them; a face is 68 white discs of radius
3 px. Feet are not drawn, as in DWPose. Sizes hold for a 512 px canvas and scale with its shorter side. Edges are
anti-aliased (our decision: at 128 px a hard edge moves in steps of a limb's width); inside a limb or disc the colour is
exact.
"""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.pose import raster
from astra_jax.pose.skeleton import BODY_POINTS, FACE, LEFT_HAND, RIGHT_HAND, WHOLE_BODY_POINTS, neck

# COCO joint of each OpenPose-18 point; 17 stands for the neck, appended to the joints.
OPENPOSE_FROM_COCO = (0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
LIMB_SHADE = 0.6
# The fingers of a hand, from the wrist (0) to the tip each, thumb first.
HAND_BONES = tuple((0 if i == 0 else 4 * f + i, 4 * f + i + 1) for f in range(5) for i in range(4))
BONE_COLOURS = tuple(colorsys.hsv_to_rgb(i / len(HAND_BONES), 1, 1) for i in range(len(HAND_BONES)))  # 0..1
HAND_COLOUR, FACE_COLOUR = (0, 0, 255), (255, 255, 255)
# Pixels at 512, and the least: thinner limbs lose their colour to anti-aliasing. The least is our decision; for bodies
# it takes effect below 192 px.
HALF_WIDTH, MIN_HALF_WIDTH = 4.0, 1.5
BONE_HALF_WIDTH, HAND_RADIUS, FACE_RADIUS, MIN_DETAIL = 1.0, 4.0, 3.0, 0.5

_LIMB_ENDS, _BONE_ENDS = np.array(LIMBS), np.array(HAND_BONES)
_JOINT_COLOURS = np.array(COLOURS, np.float64)
_LIMB_COLOURS = np.floor(_JOINT_COLOURS[: len(LIMBS)] * LIMB_SHADE)
_HAND_COLOURS = np.array([*(np.array(BONE_COLOURS) * 255), HAND_COLOUR], np.float32)  # bones, then all points
_FACE_COLOUR = np.array([FACE_COLOUR], np.float64)


def draw(people: Float[np.ndarray, "P J 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The skeleton picture of `people` on a black canvas of `size` = (height, width) pixels.

    People have 17 joints, or 133 points with hands and face. Points with v = 0 are left out with their limbs; what lies
    beyond the canvas is cut off. As in DWPose all limbs are drawn before all joints, then all hands, then all faces;
    later ones cover earlier ones. No people: a black picture. Raises `ValueError` for another number of points.
    """
    if people.shape[1] not in (BODY_POINTS, WHOLE_BODY_POINTS):
        raise ValueError(f"people have {BODY_POINTS} or {WHOLE_BODY_POINTS} points, not {people.shape[1]}")
    people = people.astype(np.float64)
    parts = _bodies(people[:, :BODY_POINTS], size)
    if people.shape[1] == WHOLE_BODY_POINTS:
        hands = np.concatenate([people[:, LEFT_HAND], people[:, RIGHT_HAND]])
        parts += [*_hands(hands, size), _faces(people[:, FACE], size)]
    # Each part counts its shapes from 0; together they lie over one another in the order of the parts.
    before = np.cumsum([0, *(len(part.colours) for part in parts)])
    samples = [part.samples._replace(order=part.samples.order + n) for part, n in zip(parts, before, strict=False)]
    return raster.paint(samples, np.concatenate([part.colours for part in parts]), size)


def fit(
    people: Float[np.ndarray, "P J 3"], source: tuple[int, int], canvas: tuple[int, int]
) -> Float[np.ndarray, "P J 3"]:
    """Moves people from a picture of `source` = (height, width) to one of size `canvas`: as large as fits, centred."""
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    margin = [(canvas[1] - scale * source[1]) / 2, (canvas[0] - scale * source[0]) / 2]
    fitted = people.copy()
    fitted[..., :2] = people[..., :2] * scale + np.array(margin, people.dtype)
    return fitted


class _Part(NamedTuple):
    samples: raster.Samples
    colours: Float[np.ndarray, "N 3"]  # of the shapes by their order


def _bodies(people: Float[np.ndarray, "P 17 3"], size: tuple[int, int]) -> list[_Part]:
    """Limbs and joints: everybody's first, everybody's second, ..."""
    joints = np.concatenate([people, neck(people)[:, None]], axis=1)[:, OPENPOSE_FROM_COCO].transpose(1, 0, 2)
    half_width = max(HALF_WIDTH * min(size) / 512, MIN_HALF_WIDTH)
    a, b = joints[_LIMB_ENDS[:, 0]], joints[_LIMB_ENDS[:, 1]]
    limb, person = np.nonzero((a[..., 2] > 0) & (b[..., 2] > 0))
    limbs = raster.ellipses(a[limb, person, :2], b[limb, person, :2], half_width, limb * len(people) + person, size)
    joint, person = np.nonzero(joints[..., 2] > 0)
    dots = raster.discs(joints[joint, person, :2], half_width, joint * len(people) + person, size)
    return [
        _Part(samples, np.repeat(colours, len(people), axis=0))
        for samples, colours in ((limbs, _LIMB_COLOURS), (dots, _JOINT_COLOURS))
    ]


def _hands(hands: Float[np.ndarray, "H 21 3"], size: tuple[int, int]) -> list[_Part]:
    """One hand after the other, its bones below its points."""
    scale = min(size) / 512
    half_width, radius = max(BONE_HALF_WIDTH * scale, MIN_DETAIL), max(HAND_RADIUS * scale, MIN_DETAIL)
    shapes = len(HAND_BONES) + 1
    a, b = hands[:, _BONE_ENDS[:, 0]], hands[:, _BONE_ENDS[:, 1]]
    hand, bone = np.nonzero((a[..., 2] > 0) & (b[..., 2] > 0))
    bones = raster.lines(a[hand, bone, :2], b[hand, bone, :2], half_width, hand * shapes + bone, size)
    hand, point = np.nonzero(hands[..., 2] > 0)
    # The points of a hand are of one colour, so that their order shows nowhere, but a pixel may lie under two of them.
    dots = raster.discs(hands[hand, point, :2], radius, hand * shapes + len(HAND_BONES), size)
    colours = np.tile(_HAND_COLOURS, (len(hands), 1))
    return [_Part(raster.joined([bones, dots]), colours)]


def _faces(faces: Float[np.ndarray, "P 68 3"], size: tuple[int, int]) -> _Part:
    radius = max(FACE_RADIUS * min(size) / 512, MIN_DETAIL)
    dots = faces[faces[..., 2] > 0, :2]
    return _Part(raster.discs(dots, radius, np.zeros(len(dots), np.int64), size), _FACE_COLOUR)
