import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.inputs.photos import cover, cover_points, letterbox, load_photo, square


def gradient(height=8, width=12):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 20, x * 20, (x + y) * 10], axis=-1).astype(np.uint8)


def png_header(width, height):
    """A PNG that promises width x height pixels and holds none."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(gradient()).save(path)
    np.testing.assert_array_equal(load_photo(path), gradient())


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_come_back_nearly(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(gradient(64, 64) // 5).save(path, quality=95)
    assert np.abs(load_photo(path).astype(int) - gradient(64, 64) // 5).mean() < 4


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to look at it
    Image.fromarray(gradient()).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(load_photo(tmp_path / "turned.png"), np.rot90(gradient(), k=-1))


def test_alpha_is_laid_on_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = [255, 0, 51]  # opaque, clear, a fifth
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    expected = [[200, 0, 0], [255, 255, 255], [244, 204, 204]]  # the last: 255 - 0.2 * (255 - colour)
    np.testing.assert_array_equal(load_photo(tmp_path / "alpha.png")[0], expected)


def test_grey_with_alpha(tmp_path):
    Image.fromarray(np.array([[[10, 0], [10, 255]]], np.uint8), mode=None).save(tmp_path / "la.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "la.png")[0, :, 0], [255, 10])


def test_palette_and_transparent_palette(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([9, 8, 7, 30, 20, 10])
    image.putdata([0, 1])
    image.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "palette.png")[0], [[9, 8, 7], [30, 20, 10]])
    image.save(tmp_path / "clear.gif", transparency=0)
    np.testing.assert_array_equal(load_photo(tmp_path / "clear.gif")[0], [[255, 255, 255], [30, 20, 10]])
    image.save(tmp_path / "bytes.png", transparency=b"\x00\x80")
    np.testing.assert_array_equal(load_photo(tmp_path / "bytes.png")[0, 0], [255, 255, 255])


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path):
    grey = np.array([[0, 257 * 100, 65_535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey16.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "grey16.png")[0, :, 1], [0, 100, 255])


def test_other_modes(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    photo = load_photo(tmp_path / "cmyk.jpg")
    assert photo[0, 0, 0] > 240
    assert photo[0, 0, 1] < 15
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "bits.png")[0, :, 2], [255, 0])


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(UserError, match=r"float.tiff: .*floating-point"):
        load_photo(tmp_path / "float.tiff")


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nobody.jpg: there is no such photo"):
        load_photo(tmp_path / "nobody.jpg")
    with pytest.raises(UserError, match="is a folder"):
        load_photo(tmp_path)
    (tmp_path / "words.jpg").write_text("not a photo")
    with pytest.raises(UserError, match=r"words.jpg is no picture"):
        load_photo(tmp_path / "words.jpg")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"empty.png is no picture"):
        load_photo(tmp_path / "empty.png")
    (tmp_path / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(UserError, match=r"script.eps is no picture"):
        load_photo(tmp_path / "script.eps")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"whole.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=rf"cut.{suffix}: the photo is damaged or cut short"):
        load_photo(cut)


@pytest.mark.parametrize("size", [(100_000, 100_000), (10_000, 10_000), (9_000, 8_000)])
def test_huge_headers_are_refused_before_decoding(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    with pytest.raises(UserError, match=r"bomb.png: .*pixels"):
        load_photo(path)


def test_the_limit_is_the_callers(tmp_path):
    Image.fromarray(gradient(10, 10)).save(tmp_path / "small.png")
    assert load_photo(tmp_path / "small.png", max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(UserError, match="10 x 10 pixels are more than the 99 allowed"):
        load_photo(tmp_path / "small.png", max_pixels=99)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF"]), data=st.data())
def test_damaged_bytes_give_a_photo_or_a_user_error(tmp_path_factory, kind, data):
    buffer = io.BytesIO()
    Image.fromarray(gradient(16, 16)).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "photo"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            photo = load_photo(path)
        except UserError as error:
            message = str(error)
        else:
            assert photo.dtype == np.uint8
            message = str(path)
    assert str(path) in message


def test_letterbox_centres_on_white():
    photo = np.zeros((10, 20, 3), np.uint8)
    boxed = letterbox(photo, (20, 20))
    assert (boxed[5:15] == 0).all()
    assert (boxed[:5] == 255).all()
    assert (boxed[15:] == 255).all()
    assert square(photo, 40).shape == (40, 40, 3)
    assert (square(photo, 40)[11:29] == 0).all()
    np.testing.assert_array_equal(letterbox(photo, (10, 20)), photo)


def test_shrinking_does_not_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = square(stripes, 8)
    assert np.abs(small.astype(int) - 127).max() < 20


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_any_shape_fits_any_box(height, width, box_height, box_width):
    photo = np.zeros((height, width, 3), np.uint8)
    assert letterbox(photo, (box_height, box_width)).shape == (box_height, box_width, 3)
    assert cover(photo, (box_height, box_width)).shape == (box_height, box_width, 3)


def test_cover_moves_joints_with_the_pixels():
    # A bright dot of 4 x 4 pixels about (x, y) = (26, 10) in a 40 x 60 picture.
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[8:12, 24:28] = 255
    points = np.array([[[26.0, 10.0, 2.0], [2.0, 5.0, 2.0]]])
    covered = cover(picture, (20, 20))
    moved = cover_points(points, (40, 60), (20, 20))
    y, x = np.nonzero(covered[:, :, 0] > 128)
    # By hand: scale 20 / 40, ten columns of 30 go, five on each side.
    np.testing.assert_allclose(moved[0, 0], [8, 5, 2])
    np.testing.assert_allclose([x.mean() + 0.5, y.mean() + 0.5], [8, 5], atol=0.1)
    assert moved[0, 1, 2] == 0  # x = 1 - 5 < 0: off the canvas
    np.testing.assert_array_equal(cover_points(points, (40, 60), (40, 60)), points)
