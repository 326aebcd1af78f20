"""Cuts of pictures, and the way back."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.inputs.person_crops import crop_map, grid_scale

number = st.floats(-200, 200)
extent = st.floats(0, 300)
side = st.integers(2, 300)


@given(
    box=st.tuples(number, number, extent, extent), size=st.tuples(side, side), angle=st.floats(-math.pi, math.pi),
    mirrored=st.booleans(), place=st.tuples(number, number),
)  # fmt: skip
def test_places_come_back(box, size, angle, mirrored, place):
    cut = crop_map(np.array(box), size, angle=angle, mirrored=mirrored)
    np.testing.assert_allclose(cut.to_picture(cut.to_cut(np.array([place]))), [place], atol=1e-6)


def test_the_padded_box_of_the_cuts_shape_becomes_the_cut():
    # 40 x 20 pixels, padded to 50 x 25 and made 50 x 100 for a cut of that shape, around (40, 30).
    cut = crop_map(np.array([20.0, 20, 40, 20]), (101, 51))
    corners = cut.to_picture(np.array([[0.0, 0], [50, 100]]))
    middle, whole = np.array([40, 30]), np.array([50, 50 * 101 / 51])
    np.testing.assert_allclose(corners, [middle - whole / 2, middle + whole / 2])


def test_a_mirrored_cut_is_the_cut_mirrored():
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    box = np.array([5.0, 3, 20, 25])
    plain, mirrored = (crop_map(box, (16, 12), mirrored=flag).cut(picture) for flag in (False, True))
    np.testing.assert_allclose(mirrored.astype(int), plain[:, ::-1].astype(int), atol=1)


@given(
    box=st.tuples(st.floats(10, 30), st.floats(10, 30), st.floats(5, 40), st.floats(5, 40)),
    angle=st.floats(-0.5, 0.5),
    mirrored=st.booleans(),
)
def test_pixels_go_where_their_places_go(box, angle, mirrored):
    """A picture whose colours are its coordinates: each pixel of the cut tells where it is from."""
    y, x = np.mgrid[0:100, 0:100]
    picture = np.stack([2 * x, 2 * y, 0 * x], axis=-1).astype(np.uint8)
    cut = crop_map(np.array(box), (24, 18), angle=angle, mirrored=mirrored)
    rows, columns = np.mgrid[0:24, 0:18]
    places = cut.to_picture(np.stack([columns, rows], axis=-1).astype(float))
    inside = ((places > 1) & (places < 98)).all(axis=-1)
    assert inside.any()
    np.testing.assert_allclose(cut.cut(picture)[inside][:, :2], 2 * places[inside], atol=1.1)


def test_beyond_the_picture_it_is_black():
    picture = np.full((10, 10, 3), 200, np.uint8)
    cut = crop_map(np.array([-40.0, -40, 20, 20]), (8, 8)).cut(picture)
    assert not cut.any()


def test_corner_cells_lie_on_corner_pixels():
    np.testing.assert_allclose(grid_scale((64, 48), (16, 12)) * [11, 15], [47, 63])
