import jax.numpy as jnp
import numpy as np

from astra_jax.models.people_maps import cell_fractions, find_people, people_loss

GRID = (8, 8)
HEADS = np.array([[[0.30, 0.30], [0.80, 0.70], [0, 0]]], np.float32)
BOXES = np.array([[[0.1, 0.2, 0.5, 0.9], [0.6, 0.65, 0.95, 0.9], [0, 0, 0, 0]]], np.float32)
PRESENT = np.array([[True, True, False]])


def perfect(sharpness=12.0):
    """Maps that say what is there: likely heads in two cells, and everybody's box in all cells of their half."""
    cells = np.asarray(cell_fractions(GRID))
    maps = np.zeros((1, *GRID, 5), np.float32).reshape(1, -1, 5)
    maps[..., 0] = -sharpness
    near = np.square(cells[:, None] - HEADS[0, :2]).sum(axis=-1).argmin(axis=1)
    for person in (0, 1):
        closest = np.square(cells - HEADS[0, person]).sum(axis=-1).argmin()
        maps[0, closest, 0] = sharpness
        own = near == person
        maps[0, own, 1:] = BOXES[0, person] - np.tile(cells[own], 2)
    return jnp.asarray(maps.reshape(1, *GRID, 5))


def loss(maps):
    return people_loss(maps, jnp.asarray(HEADS), jnp.asarray(BOXES), jnp.asarray(PRESENT))


def test_a_cell_is_where_its_middle_is():
    np.testing.assert_allclose(cell_fractions((1, 2)), [[0.25, 0.5], [0.75, 0.5]])


def test_right_maps_cost_nothing_and_each_mistake_costs():
    heads, boxes = loss(perfect())
    assert heads < 1e-3
    assert boxes < 1e-3
    lost = perfect().at[0, 2, 2, 0].set(-12.0)
    assert loss(lost)[0] > 1  # somebody is missed
    found = perfect().at[0, 0, 7, 0].set(12.0)
    assert loss(found)[0] > 1  # somebody is seen where nobody is
    wide = perfect().at[..., 3].add(0.1)
    np.testing.assert_allclose(loss(wide)[1], 0.1, atol=1e-4)  # a side of both boxes, a person


def test_cells_beside_a_head_cost_less_than_cells_far_away():
    beside, far = perfect().at[0, 2, 3, 0].set(2.0), perfect().at[0, 7, 0, 0].set(2.0)
    assert loss(beside)[0] < 0.5 * loss(far)[0]


def test_nobody_at_all():
    heads, boxes = people_loss(
        jnp.full((1, *GRID, 5), -12.0), jnp.asarray(HEADS), jnp.asarray(BOXES), jnp.zeros((1, 3), bool)
    )
    assert heads < 1e-3
    assert boxes == 0


def test_people_are_the_peaks_best_first():
    maps = perfect().at[0, 2, 2, 0].set(1.0).at[0, 2, 1, 0].set(0.5)
    boxes, scores = find_people(maps, 3)
    np.testing.assert_allclose(scores[0], [1 / (1 + np.exp(-12)), 1 / (1 + np.exp(-1)), 0], atol=1e-4)
    np.testing.assert_allclose(boxes[0, :2], BOXES[0, [1, 0]], atol=1e-5)
