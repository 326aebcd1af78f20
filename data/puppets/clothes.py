"""The trunk and limbs of a puppet, dressed: shapes that follow the joints."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from data.puppets import palette
from data.puppets.body import ANKLES, ELBOWS, HIPS, KNEES, SHOULDERS, WRISTS, Body
from data.puppets.canvas import Shape, Texture, hull
from data.puppets.identity import Identity
from data.puppets.palette import RGB, Number

Parts = list[list[Shape]]
# Thickness of the limbs relative to an average person's.
_BUILD = {"man": 1.12, "woman": 0.95, "boy": 1.1, "girl": 1.0}


def _xy(point: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2"]:
    return point[:2]


def _between(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    return a + t * (b - a)


def _limb_texture(pattern: str, colour: RGB, a: np.ndarray, b: np.ndarray, unit: float) -> Texture:
    axis = b[:2] - a[:2]
    length = max(float(np.linalg.norm(axis)), 1e-6)
    along = axis / length
    across = np.array([along[1], -along[0]])
    # A star or a second half belongs to the trunk: limbs of such clothes are plain.
    pattern = "plain" if pattern in ("star", "halves") else pattern
    return Texture(pattern, colour, a[:2], across, along, 0.3 * unit, length)


def arm_parts(body: Body, who: Identity, side: int, tone: float) -> Parts:
    """Arm, sleeve and hand of a side (0 left, 1 right), every colour darkened by `tone`."""
    u, build = body.unit, _BUILD[who.kind]
    a, b, c = (body.joints[part[side]] for part in (SHOULDERS, ELBOWS, WRISTS))
    skin, cloth = (palette.shade(colour, tone) for colour in (palette.SKIN[who.skin], palette.CLOTHES[who.top]))
    second = palette.shade(palette.CLOTHES[who.top_second], tone)
    if who.top_pattern == "halves":
        cloth = second  # sleeves of the other colour
    hand = c + 0.09 * u * _direction(b, c)
    ra, rb, rc = 0.135 * u * build, 0.105 * u * build, 0.08 * u * build
    bare = [Shape(hull((_xy(a), 0.9 * ra), (_xy(b), rb)), skin), Shape(hull((_xy(b), rb), (_xy(c), rc)), skin),
            Shape(hull((_xy(hand), 0.11 * u)), skin)]  # fmt: skip
    if who.sleeves == "none":
        return [bare]
    if who.sleeves == "short":
        end = _between(a, b, 0.68)
        sleeve = hull((_xy(a), 1.05 * ra), (_xy(end), 1.2 * rb))
        return [bare, [Shape(sleeve, cloth, _limb_texture(who.top_pattern, second, a, end, u))]]
    upper = Shape(hull((_xy(a), 1.05 * ra), (_xy(b), 1.1 * rb)), cloth, _limb_texture(who.top_pattern, second, a, b, u))
    lower = Shape(hull((_xy(b), 1.1 * rb), (_xy(c), 1.15 * rc)), cloth, _limb_texture(who.top_pattern, second, b, c, u))
    return [bare[2:], [upper, lower]]


def _direction(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)


def leg_parts(body: Body, who: Identity, side: int, tone: float) -> Parts:
    """Leg, its cloth and shoe of a side (0 left, 1 right), every colour darkened by `tone`."""
    u, build = body.unit, _BUILD[who.kind]
    a, b, c = (body.joints[part[side]] for part in (HIPS, KNEES, ANKLES))
    skin, cloth = (palette.shade(colour, tone) for colour in (palette.SKIN[who.skin], palette.CLOTHES[who.bottom]))
    second = palette.shade(palette.CLOTHES[who.bottom_second], tone)
    ra, rb, rc = 0.19 * u * build, 0.135 * u * build, 0.1 * u * build
    toe, shin = body.toe(side), body.shin(side)
    heel = c + u * (0.1 * shin - 0.06 * toe)
    ball = c + u * (0.12 * shin + 0.3 * toe)
    shoe = [Shape(hull((_xy(c), 0.95 * rc), (_xy(heel), 0.11 * u), (_xy(ball), 0.1 * u)),
                  palette.shade(palette.CLOTHES[who.shoes], tone))]  # fmt: skip
    bare = [Shape(hull((_xy(a), 0.9 * ra), (_xy(b), rb)), skin), Shape(hull((_xy(b), rb), (_xy(c), rc)), skin)]
    if who.bottom_kind == "shorts":
        end = _between(a, b, 0.8)
        cover = hull((_xy(a), ra), (_xy(end), 1.25 * rb))
        return [bare, shoe, [Shape(cover, cloth, _limb_texture(who.bottom_pattern, second, a, end, u))]]
    if who.bottom_kind == "trousers":
        thigh = Shape(hull((_xy(a), ra), (_xy(b), 1.1 * rb)), cloth, _limb_texture(who.bottom_pattern, second, a, b, u))
        lower = Shape(hull((_xy(b), 1.1 * rb), (_xy(c), 1.2 * rc)), cloth,
                      _limb_texture(who.bottom_pattern, second, b, c, u))  # fmt: skip
        return [shoe, [thigh, lower]]
    return [bare, shoe]


def _trunk_texture(body: Body, pattern: str, colour: RGB) -> Texture:
    neck = _xy(body.joints[list(SHOULDERS)].mean(0) + 0.1 * body.unit * body.torso.up)
    pelvis = _xy(body.joints[list(HIPS)].mean(0) - 0.1 * body.unit * body.torso.up)
    length = max(float(np.linalg.norm(pelvis - neck)), 1e-6)
    along = (pelvis - neck) / length
    # What lies in the middle of the chest moves to the side with a turned body.
    origin = neck + 0.12 * body.unit * body.torso.forward[:2]
    across = np.array([along[1], -along[0]])
    return Texture(pattern, colour, origin, across, along, 0.34 * body.unit, length)


def torso_shape(body: Body, who: Identity) -> Shape:
    """The trunk in its shirt."""
    u, build = body.unit, 0.5 + 0.5 * _BUILD[who.kind]
    shoulders, hips = body.joints[list(SHOULDERS)], body.joints[list(HIPS)]
    middle = shoulders.mean(0)
    circles = [(_xy(_between(middle, p, 0.88) - 0.04 * u * body.torso.up), 0.15 * u * build) for p in shoulders]
    circles += [(_xy(_between(hips.mean(0), p, 0.95)), 0.18 * u) for p in hips]
    texture = _trunk_texture(body, who.top_pattern, palette.CLOTHES[who.top_second])
    return Shape(hull(*circles), palette.CLOTHES[who.top], texture)


def skirt_shapes(body: Body, who: Identity) -> list[Shape]:
    """The skirt over both thighs; that of a dress is longer and has the pattern of the top."""
    u = body.unit
    hips, knees = body.joints[list(HIPS)], body.joints[list(KNEES)]
    reach = 0.88 if who.bottom_kind == "dress" else 0.72
    hem = [_between(hip, knee, reach) for hip, knee in zip(hips, knees, strict=True)]
    away = _direction(_xy(hem[0]), _xy(hem[1]))
    circles = [(_xy(p), 0.17 * u) for p in hips]
    circles += [(_xy(p) + sign * 0.12 * u * away, 0.2 * u) for p, sign in zip(hem, (-1, 1), strict=True)]
    top = who.bottom_kind == "dress"
    texture = _trunk_texture(body, who.top_pattern if top else who.bottom_pattern,
                             palette.CLOTHES[who.top_second if top else who.bottom_second])  # fmt: skip
    if texture.pattern in ("star", "halves"):
        texture = None
    return [Shape(hull(*circles), palette.CLOTHES[who.bottom], texture)]


def extra_parts(body: Body, who: Identity) -> Parts:
    """Scarf, tie, belt or satchel; none for an identity without."""
    u, frame = body.unit, body.torso
    colour = palette.CLOTHES[who.extra_colour]
    neck, pelvis = body.joints[list(SHOULDERS)].mean(0), body.joints[list(HIPS)].mean(0)
    axis = _direction(_xy(neck), _xy(pelvis))
    across = np.array([axis[1], -axis[0]])
    front = 0.17 * u * frame.forward

    def chest(left: Number, up: Number) -> np.ndarray:
        return _xy(pelvis + front + u * (left * frame.left + up * frame.up))

    if who.extra == "scarf":
        ring = hull((_xy(neck) - 0.19 * u * across - 0.04 * u * axis, 0.1 * u),
                    (_xy(neck) + 0.19 * u * across - 0.04 * u * axis, 0.1 * u))  # fmt: skip
        tail = hull((chest(0.12, 0.95), 0.09 * u), (chest(0.17, 0.5), 0.1 * u))
        return [[Shape(tail, colour)], [Shape(ring, colour)]] if frame.forward[2] > -0.2 else [[Shape(ring, colour)]]
    if who.extra == "tie" and frame.forward[2] > 0.1:
        points = [chest(0.07, 1.0), chest(-0.07, 1.0), chest(-0.1, 0.42), chest(0, 0.3), chest(0.1, 0.42)]
        return [[Shape(np.stack(points), colour)]]
    if who.extra == "belt":
        half = 0.2 * u + 0.5 * abs(float((body.joints[HIPS[0]] - body.joints[HIPS[1]])[:2] @ across))
        middle = _xy(pelvis) - 0.08 * u * axis
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        return [[Shape(middle + corners @ np.stack([half * across, 0.065 * u * axis]), colour)]]
    if who.extra == "satchel":
        bag = _xy(pelvis - 0.42 * u * frame.left + 0.05 * u * frame.up)
        corner = bag + 0.1 * u * across + 0.16 * u * axis
        flap = Shape(hull((bag - 0.1 * u * across, 0.13 * u), (corner, 0.13 * u)), colour)
        strap = hull((chest(0.24, 0.98), 0.045 * u), (chest(-0.36, 0.1), 0.045 * u))
        return [[Shape(strap, colour)], [flap]] if frame.forward[2] > -0.2 else [[flap]]
    return []
