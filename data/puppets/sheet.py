"""A small drawing surface in unit coordinates, for the backgrounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from data.puppets.palette import RGB, Number


class Sheet:
    """A square picture drawn in unit coordinates (x right, y down), with a random generator for the jitter."""

    def __init__(self, side: int, rng: np.random.Generator):
        self.side, self.rng = side, rng
        self.image = Image.new("RGB", (side, side))
        self.draw = ImageDraw.Draw(self.image)

    def u(self, low: Number, high: Number) -> float:
        """A uniform number."""
        return float(self.rng.uniform(low, high))

    def tint(self, colour: RGB, amount: int = 8) -> RGB:
        """`colour` with every channel moved by up to `amount`."""
        return tuple(int(np.clip(c + self.rng.integers(-amount, amount + 1), 0, 255)) for c in colour)  # type: ignore[return-value]

    def gradient(self, top: RGB, bottom: RGB, y0: Number = 0.0, y1: Number = 1.0) -> None:
        """A band across the picture from one colour to another."""
        a, b = round(y0 * self.side), max(round(y1 * self.side), round(y0 * self.side) + 1)
        mix = np.linspace(0, 1, b - a)[:, None]
        column = (np.asarray(top) * (1 - mix) + np.asarray(bottom) * mix).astype(np.uint8)[:, None]
        self.image.paste(Image.fromarray(column).resize((self.side, b - a), Image.Resampling.NEAREST), (0, a))

    def polygon(self, points: Sequence[tuple[Number, Number]], colour: RGB) -> None:
        """A filled polygon."""
        self.draw.polygon([(x * self.side, y * self.side) for x, y in points], fill=colour)

    def box(self, x0: Number, y0: Number, x1: Number, y1: Number, colour: RGB, round_: Number = 0.0) -> None:
        """A filled rectangle with corners rounded by `round_`."""
        s = self.side
        self.draw.rounded_rectangle((x0 * s, y0 * s, x1 * s, y1 * s), radius=round_ * s, fill=colour)

    def disc(self, x: Number, y: Number, rx: Number, colour: RGB, ry: Number | None = None) -> None:
        """A filled ellipse with half axes `rx` and `ry` (a circle without the latter)."""
        s, ry = self.side, rx if ry is None else ry
        self.draw.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=colour)

    def hills(self, level: Number, height: Number, colour: RGB, waves: Number = 1.5) -> None:
        """Ground from a wavy horizon at `level` down to the lower edge."""
        x = np.linspace(0, 1, 40)
        y = level - height * np.sin(2 * np.pi * (waves * x + self.u(0, 1)))
        self.polygon([*zip(x.tolist(), y.tolist(), strict=True), (1, 1), (0, 1)], colour)

    def spread(self, n: int, margin: Number = 0.0) -> list[float]:
        """`n` positions across the picture, evenly spread and shaken."""
        step = (1 + 2 * margin) / n
        return [-margin + step * (i + self.u(0.2, 0.8)) for i in range(n)]
