"""Places out of maps whose right answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.models.heatmaps import (
    DEVIATION,
    cell_places,
    dark_places,
    distributions,
    expected_places,
    gaussian_targets,
)

GRID = (12, 16)  # rows, columns
expected = jax.jit(expected_places, static_argnums=2)
dark = jax.jit(dark_places)
inside = st.tuples(st.floats(4, 11), st.floats(4, 7))


def test_cells_are_counted_row_by_row():
    np.testing.assert_array_equal(cell_places(2, 3), [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])


def test_distributions_are_a_softmax_of_each_map():
    maps = np.zeros((1, 2, 2, 2), np.float32)
    maps[0, 1, 0, 1] = np.log(3)
    shares = distributions(jnp.asarray(maps))
    np.testing.assert_allclose(shares, [[[0.25] * 4, [1 / 6, 1 / 6, 0.5, 1 / 6]]], rtol=1e-6)


def test_a_target_outside_the_grid_is_at_its_edge():
    target = gaussian_targets(jnp.array([[[-5.0, 4.0]]]), GRID)
    assert int(target[0, 0].argmax()) == 4 * GRID[1]
    np.testing.assert_allclose(target.sum(), 1, rtol=1e-5)


@settings(deadline=None)  # the first one compiles
@given(place=inside, deviation=st.floats(0.8, 1.5))
def test_the_expected_place_of_a_gaussian_is_its_middle(place, deviation):
    shares = gaussian_targets(jnp.array([[place]], jnp.float32), GRID, deviation)
    places, sure = expected(shares, jnp.full((1, 1), 1.5), GRID)
    np.testing.assert_allclose(places[0, 0], place, atol=0.03)
    # Two Gaussians multiply: the window covers 1 / (1 + deviation^2 / window^2).
    wanted = min((1 + DEVIATION**2 / 1.5**2) / (1 + deviation**2 / 1.5**2), 1)
    np.testing.assert_allclose(sure[0, 0], wanted, atol=0.02)


def test_of_two_peaks_the_higher_one_counts_and_a_flat_map_is_unsure():
    first = gaussian_targets(jnp.array([[[3.0, 3.0], [3.0, 3.0]]]), GRID)
    second = gaussian_targets(jnp.array([[[12.0, 8.0], [12.0, 8.0]]]), GRID)
    shares = jnp.stack([0.7 * first[:, 0] + 0.3 * second[:, 0], jnp.full((1, 192), 1 / 192)], axis=1)
    places, sure = expected(shares, jnp.ones((1, 2)), GRID)
    np.testing.assert_allclose(places[0, 0], [3, 3], atol=0.01)
    np.testing.assert_allclose(sure[0, 0], 0.7, atol=0.01)
    assert sure[0, 1] < 0.1


@settings(deadline=None)  # the first one compiles
@given(place=inside, height=st.floats(0.1, 2.0))
def test_darks_place_of_a_gaussian_bump_is_its_middle(place, height):
    place = np.add(place, 4)  # the smoothing mirrors what is at the edge
    square = np.square(np.asarray(cell_places(20, 24)) - place).sum(axis=1).reshape(20, 24, 1)
    # Wide enough to stay above the clipping around the peak: the logarithm is a parabola there.
    places, heights = dark(jnp.asarray(height * np.exp(-square[None] / (2 * 1.5**2)), jnp.float32))
    np.testing.assert_allclose(places[0, 0], place, atol=0.05)
    assert 0.85 * height < heights[0, 0] < 1.001 * height


def test_dark_has_no_place_for_a_map_that_is_nowhere_positive():
    maps = -np.ones((1, *GRID, 1), np.float32)
    maps[0, 5, 5] = -0.5
    places, heights = dark(jnp.asarray(maps))
    assert heights[0, 0] == -0.5
    np.testing.assert_allclose(places[0, 0], [0, 0], atol=1e-3)
