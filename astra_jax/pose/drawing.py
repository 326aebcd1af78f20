"""People as OpenPose-18 skeleton pictures, drawn at the canvas's own resolution.

Colours, limbs and sizes are those of controlnet_aux's DWPose `draw_bodypose`: limbs are ellipses of half-width 4 px in
a wheel of 18 colours times 0.6, joints are discs of radius 4 px over them. Those sizes hold for a 512 px canvas and
scale with its shorter side. Edges are anti-aliased (our decision: at 128 px a hard edge moves in steps of a limb's
width); inside a limb or disc the colour is exact.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from astra_jax.pose.skeleton import neck

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
HALF_WIDTH = 4.0  # pixels at 512
# Thinner limbs lose their colour to anti-aliasing. Our decision; it takes effect below 192 px.
MIN_HALF_WIDTH = 1.5

_JOINT_COLOURS = np.array(COLOURS, np.float32)
_LIMB_COLOURS = np.floor(_JOINT_COLOURS * LIMB_SHADE)


def draw(people: Float[np.ndarray, "P 17 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The skeleton picture of `people` on a black canvas of `size` = (height, width) pixels.

    Joints with v = 0 are left out with their limbs; what lies beyond the canvas is cut off. As in DWPose all limbs are
    drawn before all joints, and later ones cover earlier ones. No people: a black picture.
    """
    height, width = size
    canvas = np.zeros((height, width, 3), np.float32)
    joints = np.concatenate([people, neck(people)[:, None]], axis=1)[:, OPENPOSE_FROM_COCO].astype(np.float64)
    half_width = max(HALF_WIDTH * min(size) / 512, MIN_HALF_WIDTH)
    bodies = joints.tolist()
    for (i, j), colour in zip(LIMBS, _LIMB_COLOURS, strict=False):
        for body in bodies:
            if body[i][2] > 0 and body[j][2] > 0:
                _limb(canvas, body[i], body[j], half_width, colour)
    for i, colour in enumerate(_JOINT_COLOURS):
        for body in bodies:
            if body[i][2] > 0:
                _disc(canvas, body[i], half_width, colour)
    return (canvas + 0.5).astype(np.uint8)


def fit(
    people: Float[np.ndarray, "P 17 3"], source: tuple[int, int], canvas: tuple[int, int]
) -> Float[np.ndarray, "P 17 3"]:
    """Moves people from a picture of `source` = (height, width) to one of size `canvas`: as large as fits, centred."""
    scale = min(canvas[0] / source[0], canvas[1] / source[1])
    margin = [(canvas[1] - scale * source[1]) / 2, (canvas[0] - scale * source[0]) / 2]
    fitted = people.copy()
    fitted[..., :2] = people[..., :2] * scale + np.array(margin, people.dtype)
    return fitted


def _limb(canvas: np.ndarray, a: list[float], b: list[float], half_width: float, colour: np.ndarray) -> None:
    """An ellipse from joint to joint: its ends lie on the joints, its half-width is the same for every length."""
    x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5
    if length < 1e-3:
        return
    cos, sin, long, short = dx / length, dy / length, max(length / 2, half_width / 2), half_width
    reach_x = ((long * cos) ** 2 + (short * sin) ** 2) ** 0.5
    reach_y = ((long * sin) ** 2 + (short * cos) ** 2) ** 0.5
    part = _window(canvas, x, y, reach_x, reach_y)
    if part is None:
        return
    window, xs, ys = part
    # Signed distance to an ellipse, first order: k (k - 1) / |gradient|, k the radius in the ellipse's own units.
    u = xs * (cos / long) + ys * (sin / long)
    v = xs * (-sin / short) + ys * (cos / short)
    u2, v2 = u * u, v * v
    k = np.sqrt(u2 + v2)
    gradient = np.sqrt(u2 / (long * long) + v2 / (short * short))
    # The small terms give the centre, where both vanish, the distance -short.
    distance = (k - 1) * (k + 1e-3) / (gradient + 1e-3 / short)
    _blend(window, distance, colour)


def _disc(canvas: np.ndarray, centre: list[float], radius: float, colour: np.ndarray) -> None:
    part = _window(canvas, centre[0], centre[1], radius, radius)
    if part is None:
        return
    window, xs, ys = part
    _blend(window, np.sqrt(xs * xs + ys * ys) - radius, colour)


def _window(canvas: np.ndarray, x: float, y: float, reach_x: float, reach_y: float) -> tuple | None:
    """The part of the canvas within reach of (x, y) and its pixels' offsets from there; None where there is none.

    Pixel i is centred on i.
    """
    height, width, _ = canvas.shape
    left, right = max(int(x - reach_x - 1), 0), min(int(x + reach_x + 2), width - 1)
    top, bottom = max(int(y - reach_y - 1), 0), min(int(y + reach_y + 2), height - 1)
    if right < left or bottom < top:
        return None
    xs = np.arange(left - x, right + 0.5 - x, dtype=np.float32)
    ys = np.arange(top - y, bottom + 0.5 - y, dtype=np.float32)
    return canvas[top : bottom + 1, left : right + 1], xs[None, : right - left + 1], ys[: bottom - top + 1, None]


def _blend(window: np.ndarray, distance: np.ndarray, colour: np.ndarray) -> None:
    coverage = np.clip(0.5 - distance, 0, 1)[..., None]
    window += (colour - window) * coverage
