"""Photos from disk: any file a user may hand over becomes an RGB array or a message that names the file."""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
import zlib

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from astra_jax.errors import UserError

MAX_PIXELS = 1 << 26  # 64 megapixels: above any camera worth using, 200 MB decoded
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # none that runs other programs (EPS does)
WHITE = 255

# What Pillow's decoders raise on files that are damaged or made to do harm.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    struct.error,
    zlib.error,
)


def load_photo(path: str | os.PathLike[str] | Image.Image, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "H W 3"]:
    """Reads a photo, a file's or one that Pillow has opened: upright (EXIF orientation applied), transparency on white,
    8 bits a channel, first frame.

    The size in the header is checked before anything is decoded. Raises `UserError`, naming the file, if it is
    missing, no picture of a known format, damaged, cut short, or has more than `max_pixels` pixels.
    """
    name = "the photo" if isinstance(path, Image.Image) else path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd but readable metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with _opened(path) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise UserError(
                        f"{name}: {width} x {height} pixels are more than the {max_pixels} allowed: scale the photo"
                        " down"
                    )
                return to_rgb(ImageOps.exif_transpose(image))
        except FileNotFoundError as error:
            raise UserError(f"{name}: there is no such photo") from error
        except IsADirectoryError as error:
            raise UserError(f"{name} is a folder: give a photo") from error
        except PermissionError as error:
            raise UserError(f"{name}: no permission to read this photo") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise UserError(f"{name}: more than the {max_pixels} pixels allowed: scale the photo down") from error
        except Image.UnidentifiedImageError as error:
            raise UserError(f"{name} is no picture that can be read: give a {', '.join(FORMATS)} file") from error
        except _DAMAGED as error:
            raise UserError(f"{name}: the photo is damaged or cut short ({error})") from error


def _opened(path: str | os.PathLike[str] | Image.Image) -> contextlib.AbstractContextManager[Image.Image]:
    """A picture that the caller opened stays open."""
    return contextlib.nullcontext(path) if isinstance(path, Image.Image) else Image.open(path, formats=FORMATS)


def to_rgb(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """A decoded picture of any mode as RGB: 16-bit grey is scaled by 1/257, transparency is laid on white.

    Raises `ValueError` for floating-point pictures, which carry no scale.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known scale")
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65_535)
        return np.repeat(((grey + 128) // 257).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (WHITE, WHITE, WHITE, WHITE)), image)
    return np.array(image.convert("RGB"))


def letterbox(photo: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Scales a photo to fit into `size` (height, width), keeping its shape, and centres it on white.

    Lanczos, which Pillow widens when it shrinks, so nothing aliases.
    """
    height, width = photo.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    scaled = photo if inner == (height, width) else _resize(photo, inner)
    if inner == size:
        return scaled
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas = np.full((*size, 3), WHITE, np.uint8)
    canvas[top : top + inner[0], left : left + inner[1]] = scaled
    return canvas


def square(photo: UInt8[np.ndarray, "H W 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The photo on a white square of `size` pixels (`letterbox`)."""
    return letterbox(photo, (size, size))


def cover(photo: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Scales a picture to cover `size` (height, width) and cuts the middle out; `cover_points` moves joints alike."""
    height, width = photo.shape[:2]
    if (height, width) == size:
        return photo
    scale = max(size[0] / height, size[1] / width)
    # The box in source pixels that becomes the canvas: one resampling for both scaling and cutting.
    box_h, box_w = min(size[0] / scale, height), min(size[1] / scale, width)  # rounding may exceed the picture
    top, left = (height - box_h) / 2, (width - box_w) / 2
    return _resize(photo, size, (left, top, left + box_w, top + box_h))


def cover_points(points: np.ndarray, size: tuple[int, int], canvas: tuple[int, int]) -> np.ndarray:
    """Joints [..., (x, y, v)] in pixels of a picture of `size`, moved as `cover(picture, canvas)` moves its pixels.

    Joints that fall off the canvas get visibility 0.
    """
    if size == canvas:
        return points
    scale = max(canvas[0] / size[0], canvas[1] / size[1])
    moved = points.copy()
    moved[..., 0] = points[..., 0] * scale + (canvas[1] - size[1] * scale) / 2
    moved[..., 1] = points[..., 1] * scale + (canvas[0] - size[0] * scale) / 2
    inside = (moved[..., 0] >= 0) & (moved[..., 0] < canvas[1]) & (moved[..., 1] >= 0) & (moved[..., 1] < canvas[0])
    moved[..., 2] = np.where(inside, points[..., 2], 0)
    return moved


def _resize(
    photo: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.LANCZOS, box=box))
