"""Reusing what the rest of the model did: never is the model itself, and no picture sees another's choice."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType

from astra_jax.config import LoraConfig
from astra_jax.flow.sampler import integrate, integrate_with_memory
from astra_jax.flow.schedule import schedule
from astra_jax.models.astra import Astra
from astra_jax.models.blocks import DoubleBlock, SingleBlock
from astra_jax.models.conditions import CachedPictures, KeysValues
from astra_jax.models.first_block_cache import relative_change

CANVAS, TOKENS = (4, 4), 4
X = jax.random.normal(jax.random.key(9), (2, TOKENS, 16))
NEVER, ALWAYS = 0.0, 1e9
NAMES = ("data", "fsdp", "context", "tensor")


@pytest.fixture(scope="module")
def conditions(tiny, params, inputs):
    return jax.jit(lambda inputs: tiny.encode(params, inputs, CANVAS))(inputs)


@pytest.fixture(scope="module")
def reusing(tiny, params):
    call, params = jax.jit(tiny.reusing_velocity), {"transformer": params["transformer"]}
    return lambda *arguments: call(params, *arguments)


@pytest.fixture(scope="module")
def velocity(tiny, params):
    call, params = jax.jit(tiny.velocity), {"transformer": params["transformer"]}
    return lambda *arguments: call(params, *arguments)


def at(time):
    return jnp.full(2, time)


def test_change_by_hand():
    before = jnp.array([[[1.0, -3.0]], [[0.0, 0.0]], [[2.0, 2.0]]])
    now = jnp.array([[[2.0, -4.0]], [[1.0, 0.0]], [[2.0, 2.0]]])
    np.testing.assert_allclose(relative_change(now, before), [1 / 2, np.inf, 0])


def test_computed_in_full_it_is_the_velocity(tiny, random_params, conditions):
    """In another order of the same blocks, with what each has of its own: LoRA, offsets, cached pictures."""
    sizes = dataclasses.replace(tiny.config.transformer, double_blocks=3)
    model = Astra(dataclasses.replace(tiny.config, transformer=sizes, lora=LoraConfig(rank=2, scale=0.5)))
    params = random_params(jax.eval_shape(model.init, jax.random.key(0)))
    params = {name: params[name] for name in ("transformer", "lora")}
    offsets = jnp.concatenate([conditions.offsets, 2 * conditions.offsets[:1]])
    keys = iter(jax.random.split(jax.random.key(1), 4))
    double, single = (
        KeysValues(*(jax.random.normal(next(keys), (layers, 2, 5, 2, 8)) for _ in range(2))) for layers in (3, 2)
    )
    cached = CachedPictures(double, single, jnp.arange(5) < jnp.array([[5], [3]]))
    conditions = dataclasses.replace(conditions, offsets=offsets, cached=(cached,))
    cache = model.first_block_cache(2, TOKENS)
    expected = jax.jit(model.velocity)(params, X, at(0.7), conditions)
    reusing = jax.jit(model.reusing_velocity)
    for threshold in (NEVER, ALWAYS):  # nothing is there to reuse yet
        v, after = reusing(params, X, at(0.7), conditions, cache, threshold)
        np.testing.assert_allclose(v, expected, rtol=1e-5, atol=1e-5)
    assert after.filled.all()
    assert not after.reused.any()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_is_remembered_keeps_its_dtypes(tiny, params, conditions, dtype):
    """As a loop asks for; parameters of either width."""
    model = Astra(dataclasses.replace(tiny.config, dtype=dtype))
    cache = model.first_block_cache(2, TOKENS)
    for width in (jnp.float32, dtype):
        held = jax.tree.map(lambda leaf, width=width: leaf.astype(width), {"transformer": params["transformer"]})
        v, after = jax.eval_shape(model.reusing_velocity, held, X, at(0.7), conditions, cache, 0.1)
        assert v.dtype == jnp.float32
        assert [leaf.dtype for leaf in jax.tree.leaves(after)] == [leaf.dtype for leaf in jax.tree.leaves(cache)]


def test_reuses_below_the_threshold_only(tiny, conditions, reusing, velocity):
    empty = tiny.first_block_cache(2, TOKENS)
    _, cache = reusing(X, at(0.7), conditions, empty, NEVER)
    _, other = reusing(X, at(0.6), conditions, empty, NEVER)
    change = relative_change(other.first, cache.first)
    assert (change > 0).all()
    near, kept = reusing(X, at(0.6), conditions, cache, 1.01 * float(change.max()))
    assert kept.reused.tolist() == [1, 1]
    # What is compared with stays the evaluation in full, so drift is seen.
    np.testing.assert_array_equal(kept.first, cache.first)
    np.testing.assert_array_equal(kept.rest, cache.rest)
    true = velocity(X, at(0.6), conditions)
    assert np.abs(near - true).max() > 1e-5
    # Nearer to the truth than the velocity of the evaluation before would be.
    assert np.square(near - true).sum() < np.square(velocity(X, at(0.7), conditions) - true).sum()
    full, fresh = reusing(X, at(0.6), conditions, cache, 0.99 * float(change.min()))
    assert fresh.reused.tolist() == [0, 0]
    np.testing.assert_allclose(full, true, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fresh.rest, other.rest, rtol=1e-5, atol=1e-5)


def test_the_same_again_is_exact_and_never_means_never(tiny, conditions, reusing):
    v, cache = reusing(X, at(0.7), conditions, tiny.first_block_cache(2, TOKENS), NEVER)
    again, after = reusing(X, at(0.7), conditions, cache, 1e-6)
    assert after.reused.tolist() == [1, 1]
    np.testing.assert_allclose(again, v, rtol=1e-5, atol=1e-6)
    assert reusing(X, at(0.7), conditions, cache, NEVER)[1].reused.tolist() == [0, 0]


def test_pictures_decide_for_themselves(tiny, params, conditions, reusing):
    """One reuses beside one that does not, and is what it is in a batch where all reuse."""
    _, cache = reusing(X, at(0.7), conditions, tiny.first_block_cache(2, TOKENS), NEVER)
    x = X.at[1].set(-3 * X[1])
    both, after = reusing(x, at(0.68), conditions, cache, jnp.array([ALWAYS, NEVER]))
    assert after.reused.tolist() == [1, 0]
    reused, _ = reusing(x, at(0.68), conditions, cache, jnp.array([ALWAYS, ALWAYS]))
    computed, _ = reusing(x, at(0.68), conditions, cache, jnp.array([NEVER, NEVER]))
    np.testing.assert_allclose(both[0], reused[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(both[1], computed[1], rtol=1e-6, atol=1e-6)
    assert np.abs(reused - computed).max(axis=(1, 2)).min() > 1e-4


def test_a_batch_that_reuses_runs_one_block(tiny, params, conditions, reusing):
    """Blocks tell when they run; those behind the first do so unless all pictures reuse."""
    ran = []

    def tell(call, args, kwargs, context):
        if isinstance(context.module, DoubleBlock | SingleBlock) and context.method_name == "__call__":
            jax.debug.callback(ran.append, type(context.module).__name__)
        return call(*args, **kwargs)

    @jax.jit
    def told(params, *arguments):
        with nn.intercept_methods(tell):
            return tiny.reusing_velocity(params, *arguments)

    def blocks(thresholds):
        ran.clear()
        jax.block_until_ready(
            told({"transformer": params["transformer"]}, X, at(0.68), conditions, cache, jnp.array(thresholds))
        )
        jax.effects_barrier()
        return ran.count("DoubleBlock"), ran.count("SingleBlock")

    _, cache = reusing(X, at(0.7), conditions, tiny.first_block_cache(2, TOKENS), NEVER)
    assert blocks([ALWAYS, ALWAYS]) == (1, 0)
    for some in ([ALWAYS, NEVER], [NEVER, NEVER]):
        doubles, singles = blocks(some)
        assert doubles == 2
        assert singles >= 2  # Flax's scan traces its body with the first layer once more


def test_on_a_mesh_it_is_the_same(tiny, params, conditions, reusing):
    """Pictures and tokens over devices; the one choice whether to compute is the whole batch's."""
    mesh = jax.make_mesh((1, 2, 2, 1), NAMES, axis_types=(AxisType.Auto,) * 4, devices=jax.devices()[:4])
    _, cache = reusing(X, at(0.7), conditions, tiny.first_block_cache(2, TOKENS), NEVER)
    transformer = {"transformer": params["transformer"]}
    with jax.set_mesh(mesh):
        call = jax.jit(tiny.reusing_velocity)
        for thresholds in ([ALWAYS, NEVER], [ALWAYS, ALWAYS]):
            arguments = (X, at(0.6), conditions, cache, jnp.array(thresholds))
            v, after = call(transformer, *arguments)
            expected, _ = reusing(*arguments)
            np.testing.assert_allclose(v, expected, rtol=1e-4, atol=1e-4)
            assert after.reused.tolist() == [x == ALWAYS for x in thresholds]


def test_along_a_schedule(tiny, params, conditions):
    """At 0 the picture is the ordinary one; the higher the threshold, the more is reused and the further it is."""
    times = schedule(6, 0.5)

    @jax.jit
    def draw(params, conditions, threshold):
        def velocity(x, t, step, cache):
            return tiny.reusing_velocity(params, x, t, conditions, cache, threshold)

        return integrate_with_memory(velocity, tiny.first_block_cache(2, TOKENS), X, times, "heun")

    @jax.jit
    def plain(params, conditions):
        return integrate(lambda x, t: tiny.velocity(params, x, t, conditions), X, times, "heun")

    params = {"transformer": params["transformer"]}
    expected = plain(params, conditions)
    off, cache = draw(params, conditions, NEVER)
    np.testing.assert_allclose(off, expected, rtol=1e-4, atol=1e-4)
    assert cache.reused.tolist() == [0, 0]
    far, cache = draw(params, conditions, ALWAYS)
    assert cache.reused.tolist() == [10, 10]
    (near, some), error = draw(params, conditions, 0.8), np.abs(far - expected).mean()
    assert 0 < some.reused.sum() < 20
    assert np.abs(near - expected).mean() < error
