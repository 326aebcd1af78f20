"""OKLab: colours whose distances are about as large as they look. NumPy only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

# Björn Ottosson, "A perceptual color space for image processing" (2020): linear sRGB to cone responses, and their cube
# roots to lightness, green-red and blue-yellow.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(colours: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
    """(L, a, b) of sRGB colours from 0 to 255: white is (1, 0, 0), black (0, 0, 0)."""
    share = np.clip(colours / 255, 0, 1)
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    return np.cbrt(linear @ _CONES.T) @ _LAB.T
