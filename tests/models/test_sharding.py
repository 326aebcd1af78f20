import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from astra_jax.models.context_parallel import attend_on_mesh, join, pad_tokens, separate
from astra_jax.models.sharding import block_border, compiler_splits, constrain, parts, platform, spec

NAMES = ("data", "fsdp", "context", "tensor")


@pytest.fixture
def on_mesh():
    mesh = jax.make_mesh((1, 2, 2, 2), NAMES, axis_types=(AxisType.Auto,) * 4)
    with jax.set_mesh(mesh):
        yield mesh


def test_without_a_mesh_nothing_happens():
    x = jnp.ones((2, 3, 4))
    assert constrain(x, "batch", "tokens", None) is x
    assert pad_tokens(x) is x
    assert parts("batch") == parts("tokens") == 1
    assert not compiler_splits()
    assert platform() == "cpu"
    np.testing.assert_array_equal(join(x, 2 * x), jnp.concatenate([x, 2 * x], 1))


def test_axes_by_their_meaning(on_mesh):
    assert spec((4, 6, 8), "batch", "tokens", None) == P(("data", "fsdp"), ("context",), None)
    assert spec((3, 6, 4, 8), "batch", "tokens", "heads", None) == P(None, ("context",), ("tensor",), None)
    placed = jax.jit(block_border)(jnp.ones((4, 6, 8)))
    assert placed.sharding.shard_shape(placed.shape) == (2, 3, 8)
    assert jax.jit(block_border)(jnp.ones((3, 5, 8))).shape == (3, 5, 8)  # what does not divide stays whole


def test_two_streams_joined_device_by_device(on_mesh):
    first, second = jnp.arange(1, 4)[None].repeat(2, 0), jnp.arange(11, 16)[None].repeat(2, 0)
    first, second = pad_tokens(first), pad_tokens(second)
    joined = jax.jit(join)(first, second)
    np.testing.assert_array_equal(joined[0], [1, 2, 11, 12, 13, 3, 0, 14, 15, 0])
    assert joined.sharding.shard_shape(joined.shape) == (1, 5)
    for part, stream in zip(jax.jit(separate, static_argnums=1)(joined, 4), (first, second), strict=True):
        np.testing.assert_array_equal(part, stream)


def test_what_does_not_divide_is_refused(on_mesh):
    for shape in ((2, 5, 4, 8), (2, 6, 2, 8)):
        x = jnp.ones(shape)
        with pytest.raises(ValueError, match="do not divide over context 2, tensor=2"):
            attend_on_mesh(x, x, x, jnp.ones(shape[:2], bool))
