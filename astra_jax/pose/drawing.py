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

_JOINT_COLOURS = np.array(COLOURS, np.float32)[..., None, None]
_LIMB_COLOURS = np.floor(_JOINT_COLOURS * LIMB_SHADE)
_BONE_COLOURS = np.array(BONE_COLOURS, np.float32)[..., None, None] * 255
_HAND_COLOUR, _FACE_COLOUR = np.array([HAND_COLOUR, FACE_COLOUR], np.float32)[..., None, None]


def draw(people: Float[np.ndarray, "P J 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The skeleton picture of `people` on a black canvas of `size` = (height, width) pixels.

    People have 17 joints, or 133 points with hands and face. Points with v = 0 are left out with their limbs; what lies
    beyond the canvas is cut off. As in DWPose all limbs are drawn before all joints, then all hands, then all faces;
    later ones cover earlier ones. No people: a black picture. Raises `ValueError` for another number of points.
    """
    if people.shape[1] not in (BODY_POINTS, WHOLE_BODY_POINTS):
        raise ValueError(f"people have {BODY_POINTS} or {WHOLE_BODY_POINTS} points, not {people.shape[1]}")
    canvas = np.zeros((3, *size), np.float32)
    scale = min(size) / 512
    _draw_bodies(canvas, people[:, :BODY_POINTS], scale)
    if people.shape[1] == WHOLE_BODY_POINTS:
        details = people.astype(np.float64)
        for hands in (details[:, LEFT_HAND], details[:, RIGHT_HAND]):
            _draw_hands(canvas, hands, scale)
        for face in details[:, FACE]:
            radius = max(FACE_RADIUS * scale, MIN_DETAIL)
            raster.discs(canvas, face[face[:, 2] > 0, :2], radius, _FACE_COLOUR)
    canvas += 0.5  # in place: a second array of this size costs more than the drawing
    return np.ascontiguousarray(canvas.astype(np.uint8).transpose(1, 2, 0))


def fit(
    people: Float[np.ndarray, "P J 3"], source: tuple[int, int], canvas: tuple[int, int]
) -> Float[np.ndarray, "P J 3"]:
    """Moves people from a picture of `source` = (height, width) to one of size `canvas`: as large as fits, centred."""
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    margin = [(canvas[1] - scale * source[1]) / 2, (canvas[0] - scale * source[0]) / 2]
    fitted = people.copy()
    fitted[..., :2] = people[..., :2] * scale + np.array(margin, people.dtype)
    return fitted


def _draw_bodies(canvas: raster.Canvas, people: Float[np.ndarray, "P 17 3"], scale: float) -> None:
    joints = np.concatenate([people, neck(people)[:, None]], axis=1)[:, OPENPOSE_FROM_COCO].astype(np.float64)
    half_width = max(HALF_WIDTH * scale, MIN_HALF_WIDTH)
    bodies = joints.tolist()
    for (i, j), colour in zip(LIMBS, _LIMB_COLOURS, strict=False):
        for body in bodies:
            if body[i][2] > 0 and body[j][2] > 0:
                raster.ellipse(canvas, body[i], body[j], half_width, colour)
    for i, colour in enumerate(_JOINT_COLOURS):
        for body in bodies:
            if body[i][2] > 0:
                raster.disc(canvas, body[i], half_width, colour)


def _draw_hands(canvas: raster.Canvas, hands: Float[np.ndarray, "P 21 3"], scale: float) -> None:
    half_width, radius = max(BONE_HALF_WIDTH * scale, MIN_DETAIL), max(HAND_RADIUS * scale, MIN_DETAIL)
    for hand in hands:
        points, present = hand.tolist(), hand[:, 2] > 0
        for (i, j), colour in zip(HAND_BONES, _BONE_COLOURS, strict=True):
            if present[i] and present[j]:
                raster.line(canvas, points[i], points[j], half_width, colour)
        raster.discs(canvas, hand[present, :2], radius, _HAND_COLOUR)
