"""Named places to stand in: flat, pale enough for people to stand out, a little different every time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from data.puppets.sheet import Sheet


def _beach(s: Sheet) -> None:
    sea = s.u(0.42, 0.5)
    s.gradient((150, 214, 248), (214, 240, 252), 0, sea)
    s.disc(s.u(0.1, 0.9), s.u(0.1, 0.2), 0.075, (255, 238, 150))
    s.gradient((40, 150, 200), (110, 205, 220), sea, 0.68)
    s.hills(0.66, 0.02, (250, 252, 250))
    s.hills(0.685, 0.02, s.tint((244, 222, 168)))
    x = s.u(0.15, 0.85)
    s.polygon([(x, sea - 0.13), (x + 0.08, sea - 0.015), (x, sea - 0.015)], (255, 255, 255))
    s.polygon([(x - 0.06, sea), (x + 0.1, sea), (x + 0.07, sea + 0.03), (x - 0.03, sea + 0.03)], (190, 90, 70))


def _forest(s: Sheet) -> None:
    s.gradient((190, 222, 178), (150, 198, 140))
    for x in s.spread(7, 0.05):
        w = s.u(0.02, 0.035)
        s.box(x - w, 0, x + w, 0.8, s.tint((132, 108, 84)))
    for x in s.spread(7, 0.1):
        s.disc(x, s.u(0.0, 0.1), s.u(0.13, 0.19), s.tint((92, 152, 88), 14))
    s.hills(0.76, 0.015, s.tint((96, 142, 76)))


def _snow(s: Sheet) -> None:
    s.gradient((176, 196, 220), (222, 232, 242))
    s.hills(0.6, 0.05, (206, 220, 236))
    for x in s.spread(4):
        h, y = s.u(0.18, 0.28), s.u(0.62, 0.68)
        for k in range(3):
            w, top = 0.05 + 0.025 * k, y - h + 0.3 * h * k
            s.polygon([(x, top), (x + w, top + 0.45 * h), (x - w, top + 0.45 * h)], (88, 132, 128))
    s.hills(0.72, 0.02, (246, 250, 254))
    for _ in range(36):
        s.disc(s.u(0, 1), s.u(0, 0.95), s.u(0.006, 0.012), (255, 255, 255))


def _street(s: Sheet) -> None:
    s.gradient((196, 214, 228), (228, 232, 232))
    x = -0.05
    while x < 1:
        w, top = s.u(0.17, 0.26), s.u(0.04, 0.3)
        colour = s.tint(((196, 150, 130), (170, 176, 190), (206, 190, 160), (150, 166, 160))[int(s.rng.integers(4))])
        s.box(x, top, x + w, 0.8, colour)
        for wy in np.arange(top + 0.05, 0.62, 0.11):
            for wx in np.arange(x + 0.035, x + w - 0.04, 0.07):
                s.box(float(wx), float(wy), float(wx) + 0.035, float(wy) + 0.06, (236, 232, 196))
        x += w + 0.008
    s.box(0, 0.74, 1, 0.8, (188, 188, 186))
    s.box(0, 0.8, 1, 1, (116, 118, 124))
    for x in np.arange(s.u(-0.2, 0), 1, 0.3):
        s.box(float(x), 0.905, float(x) + 0.16, 0.925, (240, 236, 216))


def _living_room(s: Sheet) -> None:
    s.gradient(s.tint((240, 214, 190)), s.tint((236, 206, 180)))
    s.gradient((186, 136, 96), (166, 116, 80), 0.74, 1)
    s.box(0, 0.72, 1, 0.745, (252, 244, 234))
    x = s.u(0.08, 0.62)
    s.box(x, 0.1, x + 0.3, 0.36, (250, 250, 246))
    s.box(x + 0.02, 0.12, x + 0.14, 0.34, (168, 214, 236))
    s.box(x + 0.16, 0.12, x + 0.28, 0.34, (168, 214, 236))
    x = x + 0.5 if x < 0.35 else x - 0.35
    s.box(x, 0.14, x + 0.14, 0.3, (120, 84, 60))
    s.box(x + 0.018, 0.158, x + 0.122, 0.282, s.tint((214, 170, 90), 24))
    s.disc(0.5, 0.9, 0.44, s.tint((176, 92, 96)), 0.075)


def _night(s: Sheet) -> None:
    s.gradient((16, 20, 58), (66, 62, 120))
    for _ in range(34):
        s.disc(s.u(0, 1), s.u(0, 0.7), s.u(0.004, 0.009), (250, 246, 210))
    x, y = s.u(0.12, 0.88), s.u(0.1, 0.2)
    s.disc(x, y, 0.085, (250, 244, 208))
    s.disc(x + 0.035, y - 0.02, 0.075, (26, 30, 70))
    s.hills(0.78, 0.025, (38, 52, 70))


def _desert(s: Sheet) -> None:
    s.gradient((252, 206, 140), (254, 234, 190))
    s.disc(s.u(0.15, 0.85), s.u(0.12, 0.25), 0.09, (255, 248, 214))
    s.hills(0.58, 0.06, (230, 166, 100), 1.0)
    s.hills(0.72, 0.04, s.tint((238, 188, 122)), 1.3)
    for x in (s.u(0.02, 0.3), s.u(0.7, 0.98)):
        y, green = s.u(0.66, 0.74), (92, 148, 92)
        s.box(x - 0.022, y - 0.26, x + 0.022, y, green, 0.02)
        s.box(x - 0.085, y - 0.19, x - 0.055, y - 0.09, green, 0.014)
        s.box(x - 0.085, y - 0.12, x, y - 0.09, green, 0.014)
        s.box(x + 0.055, y - 0.22, x + 0.085, y - 0.13, green, 0.014)
        s.box(x, y - 0.16, x + 0.085, y - 0.13, green, 0.014)


def _park(s: Sheet) -> None:
    s.gradient((160, 212, 244), (216, 238, 246))
    _clouds(s, 2)
    for x in s.spread(3, 0.05):
        y = s.u(0.36, 0.46)
        s.box(x - 0.018, y, x + 0.018, 0.72, (142, 104, 74))
        for dx, dy in ((-0.07, 0.02), (0.07, 0.02), (0, -0.06)):
            s.disc(x + dx, y + dy, 0.09, s.tint((118, 188, 104), 6))
    s.hills(0.68, 0.015, s.tint((148, 204, 100)))
    s.polygon([(0.3 + s.u(-0.1, 0.1), 0.69), (0.4, 0.69), (0.8, 1), (0.35, 1)], (228, 208, 164))


def _clouds(s: Sheet, n: int) -> None:
    for x in s.spread(n):
        y, w = s.u(0.08, 0.24), s.u(0.05, 0.075)
        for dx, r in ((-1.1, 0.65), (0, 1), (1.1, 0.7)):
            s.disc(x + dx * w, y, w * r, (252, 253, 255), w * r * 0.62)


def _mountains(s: Sheet) -> None:
    s.gradient((172, 206, 240), (226, 236, 246))
    for x in s.spread(3, 0.1):
        h, w, level = s.u(0.35, 0.5), s.u(0.26, 0.34), 0.74
        s.polygon([(x, level - h), (x + w, level), (x - w, level)], s.tint((136, 140, 168)))
        cap = 0.3
        snow = level - h * (1 - cap)
        edge = [(x + w * cap, snow), (x + 0.03, snow - 0.02), (x - 0.02, snow + 0.02), (x - w * cap, snow)]
        s.polygon([(x, level - h), *edge], (250, 252, 255))
    s.hills(0.74, 0.015, s.tint((150, 180, 116)))


def _kitchen(s: Sheet) -> None:
    s.gradient((214, 236, 228), (214, 236, 228))
    for y in np.arange(0.0, 0.72, 0.09):
        s.box(0, float(y), 1, float(y) + 0.008, (240, 248, 244))
    for x in np.arange(s.u(-0.09, 0), 1, 0.09):
        s.box(float(x), 0, float(x) + 0.008, 0.72, (240, 248, 244))
    s.box(0, 0.52, 1, 0.78, s.tint((92, 158, 150)))
    s.box(0, 0.49, 1, 0.535, (246, 242, 232))
    for x in np.arange(0.12, 1, 0.25):
        s.box(float(x), 0.6, float(x) + 0.06, 0.615, (240, 240, 236))
    for y in range(2):
        for x in range(8):
            s.box(x / 8, 0.78 + 0.11 * y, (x + 1) / 8, 0.89 + 0.11 * y, ((236, 232, 224), (176, 180, 186))[(x + y) % 2])
    x = s.u(0.1, 0.7)
    s.box(x, 0.08, x + 0.2, 0.28, (250, 250, 246))
    s.box(x + 0.02, 0.1, x + 0.18, 0.26, (252, 222, 130))


def _stage(s: Sheet) -> None:
    s.gradient((70, 44, 66), (110, 66, 84))
    for k in range(3):
        for side in (0, 1):
            x = 0.07 * k if side == 0 else 1 - 0.07 * k
            s.box(x - 0.035, 0, x + 0.035, 0.78, ((150, 24, 44), (186, 36, 56))[k % 2])
    x = s.u(0.4, 0.6)
    s.polygon([(x - 0.03, 0), (x + 0.03, 0), (x + 0.36, 0.84), (x - 0.36, 0.84)], (166, 124, 124))
    s.box(0, 0.76, 1, 1, (172, 118, 74))
    for k in range(1, 5):
        s.box(0, 0.76 + 0.05 * k, 1, 0.764 + 0.05 * k, (140, 92, 56))
    s.disc(x, 0.87, 0.38, (236, 208, 150), 0.07)


def _gym(s: Sheet) -> None:
    s.gradient((226, 226, 214), (214, 214, 204))
    s.box(0, 0.5, 1, 0.6, s.tint((60, 120, 184)))
    x = s.u(0.15, 0.7)
    s.box(x, 0.06, x + 0.2, 0.22, (252, 252, 252))
    s.box(x + 0.06, 0.12, x + 0.14, 0.2, (226, 96, 60))
    s.box(x + 0.068, 0.128, x + 0.132, 0.192, (252, 252, 252))
    s.disc(x + 0.1, 0.235, 0.055, (226, 96, 60), 0.018)
    s.gradient((232, 172, 104), (214, 150, 84), 0.72, 1)
    for k in range(6):
        s.polygon([(0.2 * k, 0.72), (0.2 * k + 0.012, 0.72), (0.3 * k - 0.24, 1), (0.3 * k - 0.26, 1)], (240, 196, 140))


def _garden(s: Sheet) -> None:
    s.gradient((186, 224, 246), (222, 240, 248))
    for x in np.arange(s.u(-0.1, 0), 1, 0.1):
        s.polygon([(float(x), 0.4), (float(x) + 0.035, 0.34), (float(x) + 0.07, 0.4), (float(x) + 0.07, 0.76),
                   (float(x), 0.76)], (250, 248, 240))  # fmt: skip
    s.box(0, 0.46, 1, 0.5, (236, 232, 220))
    s.box(0, 0.62, 1, 0.66, (236, 232, 220))
    s.hills(0.72, 0.01, s.tint((122, 186, 92)))
    for _ in range(16):
        x, y = s.u(0.02, 0.98), s.u(0.75, 0.97)
        s.disc(x, y, 0.02, ((236, 90, 120), (250, 220, 90), (250, 250, 250), (170, 110, 210))[int(s.rng.integers(4))])
        s.disc(x, y, 0.008, (250, 190, 60))


def _moon(s: Sheet) -> None:
    s.gradient((10, 10, 22), (30, 28, 48))
    for _ in range(26):
        s.disc(s.u(0, 1), s.u(0, 0.65), s.u(0.004, 0.008), (255, 255, 255))
    x, y = s.u(0.15, 0.85), s.u(0.12, 0.2)
    s.disc(x, y, 0.1, (70, 140, 220))
    s.disc(x - 0.03, y - 0.02, 0.045, (110, 190, 110), 0.03)
    s.disc(x + 0.04, y + 0.03, 0.03, (110, 190, 110), 0.025)
    s.hills(0.7, 0.02, s.tint((176, 176, 184)))
    for _ in range(6):
        x, y, w = s.u(0.05, 0.95), s.u(0.76, 0.96), s.u(0.03, 0.06)
        s.disc(x, y, w, (142, 142, 152), w * 0.35)


def _bridge(s: Sheet) -> None:
    s.gradient((252, 176, 150), (250, 222, 190))
    s.disc(s.u(0.2, 0.8), 0.46, 0.11, (255, 236, 170))
    s.gradient((110, 130, 170), (140, 150, 180), 0.5, 0.76)
    for x in (0.16, 0.84):
        s.box(x - 0.03, 0.08, x + 0.03, 0.78, s.tint((190, 62, 50), 4))
    t = np.linspace(0.16, 0.84, 24)
    cable = [(float(x), float(0.12 + 1.15 * (0.1156 - (x - 0.5) ** 2) / 0.5)) for x in t]
    for (x0, y0), (x1, y1) in zip(cable, cable[1:], strict=False):
        s.polygon([(x0, y0), (x1, y1), (x1, y1 + 0.022), (x0, y0 + 0.022)], (190, 62, 50))
    s.box(0, 0.7, 1, 0.74, (190, 62, 50))
    s.box(0, 0.76, 1, 1, s.tint((150, 146, 150)))


def _library(s: Sheet) -> None:
    s.gradient((116, 78, 54), (116, 78, 54))
    books = ((180, 84, 74), (88, 124, 150), (206, 174, 104), (104, 140, 104), (156, 120, 150), (222, 210, 186))
    for row in range(4):
        y, x = 0.03 + 0.19 * row, 0.02
        s.box(0, y, 1, y + 0.15, (82, 54, 38))
        while x < 0.97:
            w, h = s.u(0.03, 0.055), s.u(0.1, 0.14)
            s.box(x, y + 0.15 - h, min(x + w, 1) - 0.006, y + 0.15, books[int(s.rng.integers(6))])
            x += w
    s.gradient((150, 110, 80), (126, 90, 64), 0.78, 1)


BACKGROUNDS: dict[str, Callable[[Sheet], None]] = {
    "on the beach": _beach,
    "in a forest": _forest,
    "in a snowy field": _snow,
    "in a city street": _street,
    "in a living room": _living_room,
    "under a night sky": _night,
    "in a desert": _desert,
    "in a park": _park,
    "in the mountains": _mountains,
    "in a kitchen": _kitchen,
    "on a stage": _stage,
    "in a gym": _gym,
    "in a flower garden": _garden,
    "on the moon": _moon,
    "on a bridge at sunset": _bridge,
    "in a library": _library,
}


def paint_background(name: str, rng: np.random.Generator, side: int) -> Image.Image:
    """A square RGB picture of the place `name`, `side` pixels wide; `KeyError` for a place not in `BACKGROUNDS`."""
    sheet = Sheet(side, rng)
    BACKGROUNDS[name](sheet)
    return sheet.image
