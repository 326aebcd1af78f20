import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astra_jax.pose import raster

WHITE = np.full((1, 3), 255.0)
SIZE = (60, 80)


def one(shape, *points, width, size=SIZE):
    return shape(*(np.array([point], float) for point in points), width, np.zeros(1, np.int64), size)


def white(samples, size=SIZE):
    return raster.paint([samples], WHITE, size)[..., 0]


def test_areas():
    disc = white(one(raster.discs, (40.3, 30.6), width=9.0))
    assert disc.sum() / 255 == pytest.approx(np.pi * 81, rel=0.01)
    for a, b in (((20.0, 15.0), (60.0, 45.0)), ((60.0, 45.0), (20.0, 15.0)), ((55.0, 5.0), (25.0, 45.0))):
        line = white(one(raster.lines, a, b, width=2.0))
        assert line.sum() / 255 == pytest.approx(50 * 4 + np.pi * 4, rel=0.02)
        ellipse = white(one(raster.ellipses, a, b, width=8.0))
        assert ellipse.sum() / 255 == pytest.approx(np.pi * 25 * 8, rel=0.02)


def test_a_line_without_length_is_a_disc_and_an_ellipse_nothing():
    line, disc, ellipse = (
        white(one(shape, *[(7.5, 8.0)] * points, width=3.0))
        for shape, points in ((raster.lines, 2), (raster.discs, 1), (raster.ellipses, 2))
    )
    np.testing.assert_array_equal(line, disc)
    assert not ellipse.any()


def test_a_line_covers_what_its_distance_tells():
    a, b, width = np.array([12.3, 40.2]), np.array([31.7, 9.6]), 2.3
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    points = np.stack([columns, rows], axis=-1)
    share = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)[..., None]
    distance = np.linalg.norm(points - (a + share * (b - a)), axis=-1) - width
    expected = 255 * np.clip(0.5 - distance, 0, 1)
    np.testing.assert_allclose(white(one(raster.lines, a, b, width=width)), expected, atol=0.51)


shapes = arrays(np.float64, st.tuples(st.integers(1, 9), st.just(4)), elements=st.floats(-12, 60))


@given(shapes, st.floats(0.5, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_later_shapes_lie_over_earlier_ones(ends, width, seed):
    """All at once is the picture of one after the other, each blended over what is there."""
    rng, size, n = np.random.default_rng(seed), (37, 45), len(ends)
    colours, order = rng.integers(0, 256, (3 * n, 3)).astype(float), rng.permutation(3 * n)
    a, b = ends[:, :2], ends[:, 2:]
    kinds = [(raster.ellipses, (a, b)), (raster.lines, (a, b)), (raster.discs, (a,))]
    together = raster.paint(
        [shape(*ends, width, order[n * i : n * (i + 1)], size) for i, (shape, ends) in enumerate(kinds)], colours, size
    )
    canvas = np.zeros((*size, 3))
    for place in range(3 * n):
        kind, i = divmod(int(np.flatnonzero(order == place)[0]), n)
        shape, ends = kinds[kind]
        samples = shape(*(end[i : i + 1] for end in ends), width, np.zeros(1, np.int64), size)
        coverage = np.zeros(size)
        coverage.flat[samples.pixel] = samples.coverage
        canvas += coverage[..., None] * (colours[place] - canvas)
    np.testing.assert_allclose(together, canvas, atol=1.01)


@given(st.floats(-40, 80), st.floats(-40, 80), st.floats(-40, 80), st.floats(-40, 80), st.floats(0.5, 6))
@settings(max_examples=60, deadline=None)
def test_a_canvas_is_a_window_of_a_larger_one(x0, y0, x1, y1, width):
    for shape in (raster.lines, raster.ellipses, lambda a, _, *rest: raster.discs(a, *rest)):
        small = white(one(shape, (x0, y0), (x1, y1), width=width, size=(32, 40)), (32, 40))
        big = one(shape, (x0 + 50, y0 + 50), (x1 + 50, y1 + 50), width=width, size=(132, 140))
        np.testing.assert_allclose(small, white(big, (132, 140))[50:82, 50:90].astype(int), atol=1)


def test_far_away_and_huge():
    for a, b in (((-1e9, 30.0), (1e9, 30.0)), ((40.0, -1e9), (40.0, 1e9))):
        assert white(one(raster.lines, a, b, width=2.0))[30, 40] == 255
    assert not white(one(raster.lines, (1e9, 1e9), (2e9, 1e9), width=2.0)).any()
    assert not raster.paint([], WHITE, SIZE).any()
