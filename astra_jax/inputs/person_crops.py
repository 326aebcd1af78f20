"""Cutting a person out of a picture by an affine map, and joints of the cut back into the picture.

Coordinates are (x, y) with the middle of a picture's first pixel at 0 and the map takes the middles of the cut's corner
pixels to the corners of the padded box: "unbiased data processing" (arXiv 1911.07524), which ViTPose uses.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

PADDING = 1.25  # of a person's box (ViTPose)


@dataclasses.dataclass(frozen=True, eq=False)
class CropMap:
    """The affine map from a cut of `size` (height, width) pixels to the picture: place = matrix @ (x, y) + offset."""

    size: tuple[int, int]
    matrix: Float[np.ndarray, "2 2"]
    offset: Float[np.ndarray, "2"]

    def to_picture(self, places: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Places of the cut in the picture."""
        return places @ self.matrix.T + self.offset

    def to_cut(self, places: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """The inverse of `to_picture`."""
        return (places - self.offset) @ np.linalg.inv(self.matrix).T

    def cut(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The cut, interpolated bilinearly; black outside of the picture."""
        # Pillow counts from the corner of the first pixel.
        offset = self.offset + 0.5 - self.matrix @ (0.5, 0.5)
        row_x, row_y = np.concatenate([self.matrix, offset[:, None]], axis=1)
        height, width = self.size
        image = Image.fromarray(picture).transform(
            (width, height), Image.Transform.AFFINE, (*row_x, *row_y), Image.Resampling.BILINEAR
        )
        return np.asarray(image)


def crop_map(
    box: Float[np.ndarray, "4"],
    size: tuple[int, int],
    padding: float = PADDING,
    angle: float = 0.0,
    mirrored: bool = False,
) -> CropMap:
    """The map that brings a box to the middle of a cut.

    Args:
      box: x, y, width, height in pixels; it is enlarged by `padding` and, on one side, to the shape of the cut. A box
        without any extent counts as one of a pixel.
      size: height and width of the cut.
      angle: by which the cut is turned in the picture, in radians.
      mirrored: left and right exchanged.
    """
    height, width = size
    x, y, box_width, box_height = (float(number) for number in box)
    scale = padding * max(box_width / width, box_height / height, 1 / max(size))
    # The cut's width x height becomes a rectangle of the same shape, measured between the middles of corner pixels.
    stretch = np.diag([scale * width / max(width - 1, 1), scale * height / max(height - 1, 1)])
    if mirrored:
        stretch[0] *= -1
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ stretch
    middle = np.array([x + box_width / 2, y + box_height / 2])
    return CropMap(size, matrix, middle - matrix @ np.array([(width - 1) / 2, (height - 1) / 2]))


def grid_scale(size: tuple[int, int], grid: tuple[int, int]) -> Float[np.ndarray, "2"]:
    """Pixels of a cut a cell of its maps, (x, y): corner cells lie on corner pixels."""
    return np.array([(size[1] - 1) / max(grid[1] - 1, 1), (size[0] - 1) / max(grid[0] - 1, 1)])
