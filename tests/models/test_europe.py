import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.models.europe import apply_rotary, positions, rotary_tables


def segments(ids, *sizes):
    return np.split(ids, np.cumsum(sizes)[:-1])


def test_pose_is_bound_to_the_canvas_and_references_leave_it():
    ids = positions(3, (2, 4), (2, 4), [(2, 3), (1, 2)])
    text, canvas, pose, first, second = segments(ids, 3, 8, 8, 6, 2)
    assert not text.any()
    np.testing.assert_array_equal(canvas, [[0, r, c] for r in range(2) for c in range(4)])
    np.testing.assert_array_equal(pose, canvas)
    np.testing.assert_array_equal(first, [[0, r, c] for r in (2, 3) for c in (4, 5, 6)])
    np.testing.assert_array_equal(second, [[0, 4, 7], [0, 4, 8]])


def test_without_a_pose_the_references_stay_where_they_are():
    with_pose = positions(0, (4, 4), (4, 4), [(2, 2)])
    np.testing.assert_array_equal(positions(0, (4, 4), None, [(2, 2)]), np.delete(with_pose, range(16, 32), 0))


def test_coarse_pose_sits_at_cell_centres():
    pose = positions(0, (4, 4), (2, 2))[16:]
    np.testing.assert_array_equal(pose[:, 1:], [[0.5, 0.5], [0.5, 2.5], [2.5, 0.5], [2.5, 2.5]])


def test_ablations():
    unope = positions(0, (4, 4), (4, 4), [(2, 2)], mode="unope")
    assert unope[16].tolist() == [0, 4, 4]
    assert unope[32].tolist() == [0, 8, 8]
    rope = positions(0, (4, 4), (4, 4), [(2, 2), (2, 2)], mode="rope")
    assert rope[16].tolist() == rope[32].tolist() == rope[36].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="mode must be one of"):
        positions(0, (4, 4), mode="learned")


@given(
    canvas=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    references=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=3),
)
def test_references_never_share_a_row_or_column_with_each_other_or_the_canvas(canvas, references):
    ids = positions(0, canvas, canvas, references)
    area = canvas[0] * canvas[1]
    parts = segments(ids, area, area, *(h * w for h, w in references))
    for before, after in zip(parts[1:], parts[2:], strict=False):
        assert (after[:, 1:].min(0) == before[:, 1:].max(0) + 1).all()


def test_tables_by_hand():
    cos, sin = rotary_tables(jnp.array([[0.0, 2.0, 3.0]]), (2, 4, 2), 100.0)
    angles = [0.0, 2.0, 2.0 / 10, 3.0]  # theta^(-2k/d): 1 for the first pair, 100^(-1/2) for the second
    np.testing.assert_allclose(cos[0], np.cos(angles), rtol=1e-6)
    np.testing.assert_allclose(sin[0], np.sin(angles), rtol=1e-6)


def test_rotation_by_hand():
    x = jnp.array([1.0, 0.0, 0.0, 1.0]).reshape(1, 1, 1, 4)
    quarter = jnp.full((1, 1, 2), np.pi / 2)
    turned = apply_rotary(x, jnp.cos(quarter), jnp.sin(quarter))
    np.testing.assert_allclose(turned.reshape(4), [0, 1, -1, 0], atol=1e-6)


@settings(deadline=None, max_examples=10)
@given(shift=st.integers(-20, 20))
def test_logits_depend_on_distances_alone(shift):
    ids = positions(2, (3, 3), (3, 3), [(2, 2)])[None]
    q, k = jax.random.normal(jax.random.key(0), (2, 1, ids.shape[1], 2, 16))

    def logits(ids):
        cos, sin = rotary_tables(jnp.asarray(ids, jnp.float32), (4, 6, 6))
        return jnp.einsum("BLHD,BMHD->BHLM", apply_rotary(q, cos, sin), apply_rotary(k, cos, sin))

    np.testing.assert_allclose(logits(ids), logits(ids + np.array([0, shift, shift])), atol=2e-4)


def test_bfloat16_is_rotated_in_float32():
    ids = jnp.array([[[0.0, 100.0, 101.0]]])
    cos, sin = rotary_tables(ids, (4, 6, 6))
    x = jax.random.normal(jax.random.key(0), (1, 1, 1, 16))
    low = apply_rotary(x.astype(jnp.bfloat16), cos, sin)
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(jnp.float32), apply_rotary(x, cos, sin), atol=0.03)
