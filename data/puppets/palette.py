"""The colours of the puppets by name, as sRGB triples."""

from __future__ import annotations

RGB = tuple[int, int, int]
Number = int | float

CLOTHES: dict[str, RGB] = {
    "red": (222, 38, 45),
    "orange": (248, 128, 28),
    "yellow": (252, 210, 40),
    "lime": (150, 208, 50),
    "green": (28, 140, 66),
    "teal": (0, 152, 150),
    "sky": (92, 186, 242),
    "blue": (36, 84, 208),
    "navy": (32, 42, 98),
    "purple": (124, 56, 176),
    "pink": (250, 134, 180),
    "magenta": (214, 28, 130),
    "brown": (126, 76, 42),
    "cream": (246, 232, 204),
    "white": (250, 250, 250),
    "black": (42, 42, 48),
    "grey": (142, 146, 152),
}
SKIN: dict[str, RGB] = {
    "porcelain": (255, 224, 200),
    "light": (246, 202, 166),
    "tan": (226, 170, 124),
    "olive": (198, 144, 98),
    "brown": (154, 100, 64),
    "dark": (104, 66, 44),
}
HAIR: dict[str, RGB] = {
    "black": (36, 30, 34),
    "dark brown": (76, 46, 30),
    "brown": (128, 78, 40),
    "red": (190, 74, 28),
    "blonde": (240, 200, 92),
    "grey": (158, 158, 164),
    "white": (236, 236, 234),
    "pink": (244, 112, 170),
    "blue": (52, 112, 214),
    "green": (44, 160, 92),
}


def shade(colour: RGB, factor: Number) -> RGB:
    """`colour` darkened by a factor below 1, or lightened towards white by one above 1 (2 is white)."""
    if factor <= 1.0:
        return tuple(round(c * factor) for c in colour)  # type: ignore[return-value]
    return tuple(round(c + (255 - c) * min(factor - 1.0, 1.0)) for c in colour)  # type: ignore[return-value]


def outline(colour: RGB) -> RGB:
    """The darker tone a part of this colour is outlined with."""
    return shade(colour, 0.58)


def distance(a: RGB, b: RGB) -> float:
    """Euclidean distance in sRGB, 0 to 441: enough to keep two colours of a garment apart."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5
