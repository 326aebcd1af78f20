"""The middle squares of pictures. Pixel for pixel against transformers' processors: tests/parity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.evaluation.preprocessing import middle_square


def test_the_middle_of_a_picture_that_needs_no_scaling():
    picture = np.random.default_rng(0).integers(0, 256, (11, 8, 3)).astype(np.uint8)
    # Rows 3 to 7 of 11 and columns 2 to 6 of 8 would be the middle of 5 and 4; the square has 4.
    np.testing.assert_array_equal(middle_square(picture, 8, 4), picture[3:7, 2:6])
    np.testing.assert_array_equal(middle_square(picture.transpose(1, 0, 2), 8, 4), picture[3:7, 2:6].transpose(1, 0, 2))


def test_halves_stay_halves():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 30:] = 200
    square = middle_square(picture, 20, 16)
    assert (square[:, :6] == 0).all()
    assert (square[:, 10:] == 200).all()


@given(st.integers(1, 90), st.integers(1, 90))
def test_any_size_gives_the_square(height, width):
    picture = np.full((height, width, 3), 77, np.uint8)
    square = middle_square(picture, 8, 7)
    assert square.shape == (7, 7, 3)
    assert (square == 77).all()


def test_a_strip_takes_no_memory():
    """Scaled to 256 rows, it would have 25 million columns."""
    strip = np.full((1, 100_000, 3), 9, np.uint8)
    strip[:, 50_000:] = 99
    square = middle_square(strip, 256, 224)
    assert square[0, 0, 0] < 20
    assert square[0, -1, 0] > 88


def test_a_square_larger_than_the_picture_is_a_mistake():
    with pytest.raises(ValueError, match="cannot be cut"):
        middle_square(np.zeros((4, 4, 3), np.uint8), 8, 9)
