"""A supersampled canvas: filled outlines with patterns, and a label of whose paint every pixel shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageChops, ImageDraw

from data.puppets import palette
from data.puppets.palette import RGB

SUPERSAMPLING = 4
_ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], -1)

Points = Float[np.ndarray, "N 2"]


@dataclass(frozen=True)
class Texture:
    """A pattern in a frame: `origin`, unit vectors `across` and `along`, and the size of one repeat, in pixels."""

    pattern: str  # one of `identity.PATTERNS`
    colour: RGB
    origin: Float[np.ndarray, "2"]
    across: Float[np.ndarray, "2"]
    along: Float[np.ndarray, "2"]
    repeat: float
    length: float  # from the origin to the end of the part along `along`: "halves" changes colour in its middle


@dataclass(frozen=True)
class Shape:
    """One filled outline."""

    points: Points
    colour: RGB
    texture: Texture | None = None
    outlined: bool = True


class Canvas:
    """Pixels `SUPERSAMPLING` times finer than the picture's, in colour and as labels (0: background)."""

    def __init__(self, background: Image.Image):
        self.size = background.width // SUPERSAMPLING
        self.fine = self.size * SUPERSAMPLING  # side of the supersampled picture
        if background.size != (self.fine, self.fine):
            raise ValueError(f"a background is a square of a multiple of {SUPERSAMPLING} pixels, not {background.size}")
        self.image = background.convert("RGB")
        self.labels = Image.new("L", self.image.size, 0)
        self._draw = ImageDraw.Draw(self.image)
        self._draw_labels = ImageDraw.Draw(self.labels)
        self.line = max(1.0, 0.55 * SUPERSAMPLING * self.size / 128)  # width of an outline in fine pixels

    def paint(self, shapes: list[Shape], label: int) -> None:
        """Paints the shapes as one part, whose outlines come first so that none crosses it; label 0 leaves no mark."""
        for shape in shapes:
            if shape.outlined:
                self._outline(shape, label)
        for shape in shapes:
            points = shape.points.ravel().tolist()
            self._draw.polygon(points, fill=shape.colour)
            if label:
                self._draw_labels.polygon(points, fill=label)
            if shape.texture is not None and shape.texture.pattern != "plain":
                self._texture(shape.points, shape.texture)

    def _outline(self, shape: Shape, label: int) -> None:
        points = shape.points.ravel().tolist()
        closed = points + points[:4]
        width = max(1, round(2 * self.line))
        self._draw.line(closed, fill=palette.outline(shape.colour), width=width, joint="curve")
        if label:
            self._draw_labels.line(closed, fill=label, width=width, joint="curve")

    def _texture(self, points: Points, texture: Texture) -> None:
        low = np.maximum(np.floor(points.min(0)).astype(int), 0)
        high = np.minimum(np.ceil(points.max(0)).astype(int) + 1, self.fine)
        if np.any(low >= high):
            return
        box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        inside = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
        ImageDraw.Draw(inside).polygon((points - low).ravel().tolist(), fill=255)
        ink = Image.fromarray(np.where(_ink(texture, box), np.uint8(255), np.uint8(0)))
        self.image.paste(texture.colour, box, ImageChops.darker(inside, ink))

    def picture(self) -> UInt8[np.ndarray, "S S 3"]:
        """The picture at its own size, by a box filter."""
        return np.asarray(self.image.reduce(SUPERSAMPLING))

    def owners(self, people: int) -> UInt8[np.ndarray, "S S"]:
        """For every pixel the label that covers most of it: 0 the background, 1 to `people` a person."""
        labels = np.asarray(self.labels)
        masks = [Image.fromarray(np.where(labels == label, np.uint8(255), np.uint8(0))) for label in range(people + 1)]
        return np.argmax(np.stack([np.asarray(mask.reduce(SUPERSAMPLING)) for mask in masks]), axis=0).astype(np.uint8)


def hull(*circles: tuple[Float[np.ndarray, "2"], float]) -> Points:
    """The convex outline around circles (centre, radius): a tapered capsule for two of them.

    In each of 24 directions it has the point of the circle that reaches farthest (the hull's support function).
    """
    centres, radii = np.array([centre for centre, _ in circles]), np.array([radius for _, radius in circles])
    farthest = np.argmax(_CIRCLE @ centres.T + radii, axis=1)
    return centres[farthest] + radii[farthest, None] * _CIRCLE


def ellipse(
    centre: Float[np.ndarray, "2"], right: Float[np.ndarray, "2"], down: Float[np.ndarray, "2"], n: int = 28
) -> Points:
    """An ellipse by its centre and half axes."""
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)[:, None]
    return centre + np.cos(a) * right + np.sin(a) * down


def _ink(t: Texture, box: tuple[int, int, int, int]) -> Bool[np.ndarray, "H W"]:
    """Where the second colour of a pattern lies in a box (x0, y0, x1, y1) of fine pixels."""
    x = np.arange(box[0], box[2])[None, :] + 0.5 - t.origin[0]
    y = np.arange(box[1], box[3])[:, None] + 0.5 - t.origin[1]
    # In repeats, across the part and along it.
    u = (x * t.across[0] + y * t.across[1]) / t.repeat
    v = (x * t.along[0] + y * t.along[1]) / t.repeat
    end = t.length / t.repeat
    if t.pattern == "stripes":
        return np.mod(v - 0.25, 1) < 0.5
    if t.pattern == "bars":
        return np.mod(u + 0.25, 1) < 0.5
    if t.pattern == "diagonal":
        return np.mod((u + v) * 0.75, 1) < 0.5
    if t.pattern == "checks":
        return np.mod(np.floor(2 * u) + np.floor(2 * v), 2) == 1
    if t.pattern == "dots":
        row = np.floor(v / 0.8)
        return (np.mod(u + 0.5 * row, 1) - 0.5) ** 2 + (v - 0.8 * (row + 0.5)) ** 2 < 0.32**2
    if t.pattern == "halves":
        return v > 0.5 * end
    if t.pattern == "star":
        down = v - 0.42 * end
        # The edge of a five-pointed star in polar coordinates: a saw tooth between two radii.
        tooth = np.abs(np.mod(np.arctan2(u, -down) * 5 / (2 * np.pi) + 0.5, 1) - 0.5) * 2
        return np.hypot(u, down) < 0.75 * (1 - 0.6 * tooth**0.8)
    raise ValueError(f"unknown pattern {t.pattern!r}")
