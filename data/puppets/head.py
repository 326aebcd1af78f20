"""The head of a puppet: skull, hair, face, glasses, beard and hat, turned the way the joints of the face say."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from data.puppets import palette
from data.puppets.body import Body
from data.puppets.canvas import Points, Shape, ellipse, hull
from data.puppets.identity import Identity
from data.puppets.palette import Number

_DOMES = ("cap", "beanie", "sunhat", "tophat")
Parts = list[list[Shape]]
Point = Float[np.ndarray, "2"]


class Head:
    """Places points of the head, in units of its radius, on the picture."""

    def __init__(self, body: Body):
        self.body, self.radius = body, body.head_radius
        frame = body.head
        up = frame.up[:2]
        # A head that nods straight at the viewer has no upward direction in the picture: the torso lends its own.
        up = up if np.linalg.norm(up) > 0.2 else body.torso.up[:2] + 1e-3 * np.array([0.0, -1.0])
        self.down = -up / np.linalg.norm(up)
        self.right = np.array([self.down[1], -self.down[0]])
        self.centre = body.head_centre[:2]
        self.turn = float(frame.forward[:2] @ self.right)  # -1 looks left, 0 ahead or back, 1 right
        self.nod = float(frame.forward[:2] @ self.down)
        self.ahead = float(frame.forward[2])  # 1 looks at the viewer, -1 away

    def flat(self, a: Number, b: Number) -> Point:
        """The point `a` to the right and `b` down in the plane of the picture."""
        return self.centre + self.radius * (a * self.right + b * self.down)

    def solid(self, left: Number, up: Number, forward: Number) -> tuple[Point, float]:
        """Where a point of the head in its own axes lies, and its depth relative to the head's centre in radii."""
        frame = self.body.head
        offset = left * frame.left + up * frame.up + forward * frame.forward
        return self.centre + self.radius * offset[:2], float(offset[2])

    def disc(self, a: Number, b: Number, rx: Number, ry: Number) -> Points:
        """An ellipse in the plane of the picture."""
        return ellipse(self.flat(a, b), self.radius * rx * self.right, self.radius * ry * self.down)

    def arc(self, start: Number, end: Number, radius: Number, n: int = 18) -> Points:
        """Points of a circle around the head between two angles in degrees, 0 up and positive to the right."""
        angles = np.radians(np.linspace(start, end, n))
        return np.stack([self.flat(radius * np.sin(t), -radius * np.cos(t)) for t in angles])

    def blob(self, *points: tuple[tuple[Number, Number, Number], Number]) -> tuple[Points, float]:
        """The hull of balls (point of the head, radius) and its mean depth."""
        placed = [(self.solid(*point), radius) for point, radius in points]
        outline = hull(*((point, radius * self.radius) for (point, _), radius in placed))
        return outline, float(np.mean([depth for (_, depth), _ in placed]))


def hair_parts(head: Head, who: Identity) -> tuple[Parts, Parts]:
    """Hair behind the skull and hair before it (the cap on the skull is part of `skull_parts`)."""
    colour = palette.HAIR[who.hair]
    covered = who.hat in _DOMES
    blobs: list[tuple[Points, float]] = []
    if who.hair_style in ("bob", "long"):
        low = -0.75 if who.hair_style == "bob" else -1.9
        blobs.append(head.blob(((0.75, 0.1, -0.25), 0.36), ((-0.75, 0.1, -0.25), 0.36), ((0.82, low, -0.3), 0.32),
                               ((-0.82, low, -0.3), 0.32), ((0, low, -0.75), 0.3), ((0, 0.3, -0.6), 0.4)))  # fmt: skip
    elif who.hair_style == "bun" and not covered:
        blobs.append(head.blob(((0, 1.2, -0.4), 0.5)))
    elif who.hair_style == "ponytail":
        blobs.append(head.blob(((0.35, 0.65, -0.9), 0.34), ((1.0, 0.3, -1.15), 0.36)))
        blobs.append(head.blob(((1.0, 0.3, -1.15), 0.36), ((1.25, -1.0, -1.2), 0.2)))
    elif who.hair_style == "pigtails":
        for side in (1, -1):
            blobs.append(head.blob(((side * 1.2, 0.15, -0.2), 0.32), ((side * 1.55, -0.95, -0.15), 0.24)))
    elif who.hair_style == "mohawk" and not covered:
        balls = [((0.0, 1.28 * np.cos(t), 1.28 * np.sin(t)), 0.3) for t in np.radians([-85, -50, -20, 10, 38])]
        strip = [head.blob(a, b) for a, b in zip(balls, balls[1:], strict=False)]
        return [], [[Shape(points, colour) for points, _ in strip]]
    behind = [Shape(points, colour) for points, depth in blobs if depth < 0.1]
    before = [Shape(points, colour) for points, depth in blobs if depth >= 0.1]
    return [behind] if behind else [], [before] if before else []


def skull_parts(head: Head, who: Identity) -> Parts:
    """Skull, cap of hair, face, glasses, beard and hat, back to front."""
    skin = palette.SKIN[who.skin]
    skull = [Shape(head.disc(0, 0, 0.96, 1.0), skin)]
    nose, _ = head.solid(0, -0.15, 1.0)
    if abs(head.turn) > 0.5:
        skull.append(Shape(hull((nose, 0.15 * head.radius)), skin))
    parts: Parts = [skull]
    seen = head.ahead > -0.3
    if who.hair_style != "bald":
        parts.append(_cap_of_hair(head, who))
    if seen and who.hair_style != "bald":
        low = 0.36 if who.hair_style in ("bob", "bun", "long") else 0.28
        parts.append([Shape(head.disc(0.2 * head.turn, low + 0.2 * head.nod, 0.79, 0.72), skin, outlined=False)])
    if who.hair_style in ("bald", "short", "mohawk", "bun", "ponytail", "pigtails"):
        for side in (1, -1):
            point, depth = head.solid(side * 0.94, -0.08, 0)
            if depth > -0.25:
                parts.append([Shape(hull((point, 0.2 * head.radius)), palette.shade(skin, 0.94))])
    if seen:
        parts += _face(head, who)
    return parts + _hat(head, who)


def _cap_of_hair(head: Head, who: Identity) -> list[Shape]:
    colour = palette.HAIR[who.hair]
    if who.hair_style == "mohawk":
        colour = palette.shade(palette.SKIN[who.skin], 0.8)
    front, back = 95 - 32 * abs(head.turn), 95 + 45 * abs(head.turn)
    if head.ahead < -0.3:
        front = back = 135
    left, right = (back, front) if head.turn > 0 else (front, back)
    if who.hair_style == "curly":
        angles = np.linspace(-left - 18, right + 18, 9)
        shapes = [Shape(head.arc(-left - 10, right + 10, 1.05), colour)]
        if who.hat in _DOMES:
            angles = angles[[0, 1, -2, -1]]
        for a in angles:
            centre = head.arc(a, a, 1.08, 1)[0]
            shapes.append(Shape(hull((centre, 0.36 * head.radius)), colour))
        return shapes
    radius = 1.02 if who.hair_style == "mohawk" else 1.12
    return [Shape(head.arc(-left, right, radius), colour)]


def _face(head: Head, who: Identity) -> Parts:
    r, parts = head.radius, []
    hair = palette.HAIR[who.hair]
    skin = palette.SKIN[who.skin]
    mouth, _ = head.solid(0, -0.5, 0.86)
    width = 0.3 * max(head.ahead, 0.35)
    if who.beard == "full":
        parts.append([Shape(_beard(head), hair)])
    eyes = [point for side in (1, -1) for point, depth in [head.solid(side * 0.38, 0.02, 0.9)] if depth > 0.12]
    for point in eyes:
        if who.glasses != "none":
            colour = palette.CLOTHES[who.glasses]
            parts.append([Shape(hull((point, 0.34 * r)), colour), Shape(hull((point, 0.22 * r)), (232, 244, 250))])
        parts.append([Shape(ellipse(point, 0.115 * r * head.right, 0.155 * r * head.down, 12), (34, 28, 32))])
    if abs(head.turn) <= 0.5:
        nose, _ = head.solid(0, -0.16, 1.0)
        parts.append([Shape(ellipse(nose, 0.09 * r * head.right, 0.12 * r * head.down, 10), palette.shade(skin, 0.8),
                            outlined=False)])  # fmt: skip
    if who.beard == "moustache":
        lip, _ = head.solid(0, -0.36, 0.95)
        across = 0.36 * r * max(head.ahead, 0.5) * head.right
        parts.append([Shape(ellipse(lip, across, 0.13 * r * head.down, 12), hair)])
    smile = np.array([[-1, -0.35], [-0.5, 0.3], [0, 0.5], [0.5, 0.3], [1, -0.35], [0, -0.05]])
    points = mouth + r * (smile[:, :1] * width * head.right + smile[:, 1:] * 0.26 * head.down)
    parts.append([Shape(points, (176, 40, 52) if who.beard == "none" else (238, 130, 130), outlined=False)])
    return parts


def _beard(head: Head) -> Points:
    outer = head.arc(92 - 14 * head.turn, 268 - 14 * head.turn, 1.06)
    shift = 0.3 * head.turn
    inner = [head.flat(x + shift, y) for x, y in ((-0.72, 0.1), (-0.5, 0.32), (0, 0.26), (0.5, 0.32), (0.72, 0.1))]
    return np.concatenate([outer, np.stack(inner)])


def _hat(head: Head, who: Identity) -> Parts:
    if who.hat == "none":
        return []
    colour = palette.CLOTHES[who.hat_colour]
    dark = palette.shade(colour, 0.8)
    dome = [Shape(head.arc(-76, 76, 1.2), colour)]
    if who.hat == "cap":
        brim, depth = head.blob(((0.5, 0.22, 0.9), 0.13), ((-0.5, 0.22, 0.9), 0.13), ((0, 0.12, 1.75), 0.13))
        return [dome, [Shape(brim, dark)]] if depth > -0.5 else [[Shape(brim, dark)], dome]
    if who.hat == "beanie":
        return [[Shape(hull((head.flat(0, -1.3), 0.3 * head.radius)), palette.shade(colour, 1.6))], dome,
                [Shape(_strip(head, 1.16, -0.5, -0.18), dark)]]  # fmt: skip
    if who.hat == "sunhat":
        return [[Shape(head.disc(0, -0.42, 1.95, 0.36), colour)], [Shape(head.arc(-65, 65, 1.22), colour)],
                [Shape(_strip(head, 1.0, -0.72, -0.46), palette.CLOTHES[who.extra_colour])]]  # fmt: skip
    if who.hat == "tophat":
        band = Shape(_strip(head, 0.86, -0.85, -0.58), palette.CLOTHES[who.extra_colour], outlined=False)
        return [[Shape(head.disc(0, -0.5, 1.4, 0.26), colour)], [Shape(_strip(head, 0.86, -1.75, -0.55), colour)],
                [band]]  # fmt: skip
    if who.hat == "headband":
        return [[Shape(_strip(head, 1.04, -0.68, -0.36), colour)]]
    if who.hat == "bow":
        loops = np.array([[0, 0], [-0.62, -0.38], [-0.62, 0.38], [0, 0], [0.62, -0.38], [0.62, 0.38]])
        points = np.stack([head.flat(x + 0.35, y - 1.05) for x, y in loops])
        knot = Shape(hull((head.flat(0.35, -1.05), 0.17 * head.radius)), dark)
        return [[Shape(points[:3], colour), Shape(points[3:], colour)], [knot]]
    if who.hat == "crown":
        teeth = ((-0.8, -0.45), (-0.9, -1.5), (-0.42, -1.0), (0, -1.6), (0.42, -1.0), (0.9, -1.5), (0.8, -0.45))
        return [[Shape(np.stack([head.flat(x, y) for x, y in teeth]), colour)]]
    raise ValueError(f"unknown hat {who.hat!r}")


def _strip(head: Head, half_width: Number, top: Number, bottom: Number) -> Points:
    """A band across the head, a little bent downwards in its middle."""
    upper = [head.flat(x * half_width, top + 0.07 * (1 - x * x)) for x in np.linspace(-1, 1, 7)]
    lower = [head.flat(x * half_width, bottom + 0.07 * (1 - x * x)) for x in np.linspace(1, -1, 7)]
    return np.stack(upper + lower)
