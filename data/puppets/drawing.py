"""Draws people with an identity and a pose: the pictures of the puppets and whose every pixel is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from data.puppets import palette
from data.puppets.body import ANKLES, ELBOWS, HIPS, KNEES, SHOULDERS, WRISTS, Body
from data.puppets.canvas import Canvas, Shape, hull
from data.puppets.clothes import arm_parts, extra_parts, leg_parts, skirt_shapes, torso_shape
from data.puppets.head import Head, hair_parts, skull_parts
from data.puppets.identity import Identity

Parts = list[list[Shape]]
FAR = 0.84  # limbs behind the body are painted this much darker


def person_parts(body: Body, who: Identity) -> Parts:
    """The parts of a person, back to front; a part is a list of shapes that share one outline."""
    torso_depth = float(body.joints[list(SHOULDERS + HIPS), 2].mean())
    pelvis_depth = float(body.joints[list(HIPS), 2].mean())

    def lead(joints: list[int], base: float) -> float:
        return (float(body.joints[joints, 2].mean()) - base) / body.unit

    arms = sorted((lead([SHOULDERS[s], ELBOWS[s], WRISTS[s]], torso_depth), s) for s in (0, 1))
    legs = sorted((lead([KNEES[s], ANKLES[s]], pelvis_depth), s) for s in (0, 1))
    head = Head(body)
    hair_behind, hair_before = hair_parts(head, who)
    neck = [Shape(hull((body.joints[list(SHOULDERS)].mean(0)[:2], 0.12 * body.unit),
                       (head.centre, 0.12 * body.unit)), palette.shade(palette.SKIN[who.skin], 0.9))]  # fmt: skip
    parts: Parts = []
    for z, side in arms:
        if z < -0.12:
            parts += arm_parts(body, who, side, FAR if z < -0.25 else 1.0)
    if head.ahead > 0.3:
        parts += hair_behind
    near = [(z, side) for z, side in legs if z > 0.55]
    for z, side in legs:
        if z <= 0.55:
            parts += leg_parts(body, who, side, FAR if z < -0.2 else 1.0)
    if who.bottom_kind in ("skirt", "dress"):
        parts.append(skirt_shapes(body, who))
    if body.torso.forward[2] > -0.2:
        parts += [neck, [torso_shape(body, who)], *extra_parts(body, who)]
    else:
        parts += [*extra_parts(body, who), [torso_shape(body, who)], neck]
    for _, side in near:
        parts += leg_parts(body, who, side, 1.0)
    if head.ahead <= 0.3:
        parts += hair_behind
    parts += skull_parts(head, who) + hair_before
    for z, side in arms:
        if z >= -0.12:
            parts += arm_parts(body, who, side, 1.0)
    return parts


def draw_people(
    canvas: Canvas, people: Float[np.ndarray, "P 17 3"], identities: list[Identity], order: tuple[int, ...]
) -> None:
    """Paints people (x, y, z in pixels of the picture) on `canvas` in the order given, back to front."""
    for i in order:
        joints = people[i] * canvas.fine / canvas.size
        for part in person_parts(Body.from_joints(joints), identities[i]):
            canvas.paint(part, i + 1)


def draw_scene(
    people: Float[np.ndarray, "P 17 3"],
    identities: list[Identity],
    background: Image.Image,
    order: tuple[int, ...] | None = None,
) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"]]:
    """A picture of `people` on a square background, and its owners.

    Args:
      people: joints as (x, y, z), x and y in pixels of the picture, z in pixels towards the viewer.
      identities: who they are, one for each.
      background: a square, `SUPERSAMPLING` times the size of the picture.
      order: the painting order, back to front; by default that of `people`.

    Returns:
      The picture, and an index map: 0 where the background shows, i + 1 where person i does.

    Raises:
      ValueError: another number of identities than people, or `order` no permutation of them.
    """
    order = tuple(range(len(people))) if order is None else tuple(order)
    if len(identities) != len(people) or sorted(order) != list(range(len(people))):
        given = f"{len(identities)} identities and the order {order}"
        raise ValueError(f"{len(people)} people need an identity each and an order that names each once, not {given}")
    canvas = Canvas(background)
    draw_people(canvas, people, identities, order)
    return canvas.picture(), canvas.owners(len(people))
