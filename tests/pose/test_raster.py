import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astra_jax.pose import raster

WHITE = np.full((3, 1, 1), 255, np.float32)


def canvas(height: int, width: int) -> np.ndarray:
    return np.full((3, height, width), 30, np.float32)


def covered(page: np.ndarray) -> float:
    """The area of what was drawn in white, in pixels."""
    return float((page[0] - 30).sum() / 225)


def test_areas():
    page = canvas(60, 80)
    raster.disc(page, (40.3, 30.6), 9.0, WHITE)
    assert covered(page) == pytest.approx(np.pi * 81, rel=0.01)
    page = canvas(60, 80)
    raster.line(page, (20.0, 15.0), (60.0, 45.0), 2.0, WHITE)
    assert covered(page) == pytest.approx(50 * 4 + np.pi * 4, rel=0.02)
    page = canvas(60, 80)
    raster.ellipse(page, (20.0, 15.0), (60.0, 45.0), 8.0, WHITE)
    assert covered(page) == pytest.approx(np.pi * 25 * 8, rel=0.02)


def test_a_line_without_length_is_a_disc_and_an_ellipse_nothing():
    line, disc, ellipse = canvas(20, 20), canvas(20, 20), canvas(20, 20)
    raster.line(line, (7.5, 8.0), (7.5, 8.0), 3.0, WHITE)
    raster.disc(disc, (7.5, 8.0), 3.0, WHITE)
    raster.ellipse(ellipse, (7.5, 8.0), (7.5, 8.0), 3.0, WHITE)
    np.testing.assert_allclose(line, disc, atol=1e-4)
    assert covered(ellipse) == 0


@given(arrays(np.float64, st.tuples(st.integers(0, 12), st.just(2)), elements=st.floats(-12, 60)), st.floats(0.5, 9))
@settings(max_examples=60, deadline=None)
def test_discs_are_many_a_disc(centres, radius):
    together, apart = canvas(37, 45), canvas(37, 45)
    raster.discs(together, centres, radius, WHITE)
    for centre in centres.tolist():
        raster.disc(apart, centre, radius, WHITE)
    np.testing.assert_allclose(together, apart, atol=0.01)


@given(st.floats(-40, 80), st.floats(-40, 80), st.floats(-40, 80), st.floats(-40, 80), st.floats(0.5, 6))
@settings(max_examples=60, deadline=None)
def test_a_canvas_is_a_window_of_a_larger_one(x0, y0, x1, y1, width):
    for shape in (raster.line, raster.ellipse):
        small, large = canvas(32, 40), canvas(132, 140)
        shape(small, (x0, y0), (x1, y1), width, WHITE)
        shape(large, (x0 + 50, y0 + 50), (x1 + 50, y1 + 50), width, WHITE)
        np.testing.assert_allclose(small, large[:, 50:82, 50:90], atol=0.05)
