"""Condition pictures whose keys and values are made once: against one joint sequence with a block mask."""

import dataclasses
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))

from numpy_transformer import numpy_velocity

from astra_jax.config import LoraConfig
from astra_jax.flow.sampler import integrate
from astra_jax.models import lora as lora_lib
from astra_jax.models.astra import Astra
from astra_jax.models.conditions import see_pose

CANVAS = (4, 4)  # latents: 2 x 2 tokens
TEXT, TOKENS, POSE, REFERENCES = 6, 4, 4, 2  # a reference has one token
SHARED = TEXT + TOKENS

_encode = jax.jit(lambda model, params, inputs: model.encode(params, inputs, CANVAS), static_argnums=0)
_velocity = jax.jit(lambda model, *args: model.velocity(*args), static_argnums=0)


def variant(tiny, scope="all", **changes):
    return Astra(dataclasses.replace(tiny.config, condition_attention="cached", condition_scope=scope, **changes))


@pytest.fixture(scope="module")
def models(tiny):
    return {scope: variant(tiny, scope) for scope in ("all", "image")}


@pytest.fixture(scope="module")
def some(inputs, replace):
    """The first example has all conditions, the second neither a pose nor its second reference."""
    return replace(inputs, has_pose=np.array([True, False]), has_reference=np.array([[True, True], [True, False]]))


@pytest.fixture(scope="module")
def made(tiny, params, some, replace):
    """The same with the encoders' outputs in place of words and pictures, for programs of the transformer alone."""
    draw = np.random.default_rng(0).normal
    return replace(
        some,
        text_tokens=draw(size=(2, TEXT, 12)).astype(np.float32),
        pooled_tokens=draw(size=(2, 10)).astype(np.float32),
        pose=draw(size=(2, 4, 4, 8)).astype(np.float32),
        references=draw(size=(2, REFERENCES, 2, 2, 8)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def start():
    return jax.random.normal(jax.random.key(9), (2, TOKENS, 16))


def block_mask(exist, scope):
    """[B, L, L]: text and canvas see what exists, conditions see conditions, or only those of their own picture."""
    batch, length = exist.shape
    picture = np.array([0] * SHARED + [1] * POSE + list(range(2, 2 + REFERENCES)))
    if scope == "all":
        picture = np.minimum(picture, 1)
    sees = (picture[:, None] == picture) | (picture == 0)[:, None]
    sees = sees & np.asarray(exist)[:, None, :]
    return sees | np.eye(length, dtype=bool)  # what does not exist sees itself, so that NumPy has a number


@pytest.mark.parametrize("scope", ["all", "image"])
def test_cached_sampling_is_one_sequence_with_a_block_mask(tiny, models, params, some, start, scope):
    """Two steps from conditions made once, against NumPy that recomputes all tokens in every step."""
    # Smaller weights, whose steps let errors of float32 grow less.
    params = params | {"transformer": jax.tree.map(lambda leaf: 0.5 * leaf, params["transformer"])}
    times = jnp.array([1.0, 0.6, 0.3])
    full = _encode(tiny, params, some)
    at_zero = np.arange(full.mask.shape[1]) >= SHARED
    expected = np.asarray(start, np.float64)
    for now, then in zip(times[:-1], times[1:], strict=True):
        v = numpy_velocity(
            tiny.config.transformer, params["transformer"], expected, np.full(2, now), full,
            block_mask(full.mask, scope), at_zero,
        )  # fmt: skip
        expected = expected + float(then - now) * v
    conditions = _encode(models[scope], params, some)
    assert conditions.images.shape == (2, 0, 16)
    drawn = integrate(lambda x, t: _velocity(models[scope], params, x, t, conditions), start, times)
    np.testing.assert_allclose(drawn, expected, atol=1e-5 * np.abs(expected).max())
    other = "image" if scope == "all" else "all"
    conditions = _encode(models[other], params, some)
    differs = integrate(lambda x, t: _velocity(models[other], params, x, t, conditions), start, times) - expected
    assert np.abs(differs[0]).max() > 1e-4 * np.abs(expected).max()
    # The second example has one reference alone, which is the same in both scopes.
    assert np.abs(differs[1]).max() < 1e-5 * np.abs(expected).max()


def test_text_and_canvas_see_the_conditions(models, params, some, start, replace):
    def velocity(inputs):
        return np.asarray(
            _velocity(models["all"], params, start, jnp.full(2, 0.7), _encode(models["all"], params, inputs))
        )

    here = velocity(some)
    for name in ("pose", "references"):
        changed = velocity(replace(some, **{name: 255 - getattr(some, name)}))
        assert np.abs(changed[0] - here[0]).max() > 1e-4
    # What the second example lacks is not read.
    pose = velocity(replace(some, pose=255 - some.pose))
    np.testing.assert_allclose(pose[1], here[1], atol=1e-6)


def leaves(conditions):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(conditions.cached)]


def test_conditions_see_neither_text_nor_identities(models, params, some, replace):
    here = _encode(models["all"], params, some)
    other = replace(
        some, text_tokens=some.text_tokens[:, ::-1], portraits=255 - some.portraits, placement=some.placement[:, ::-1]
    )
    there = _encode(models["all"], params, other)
    assert np.abs(np.asarray(here.text - there.text)).max() > 1e-3
    for one, same in zip(leaves(here), leaves(there), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("scope", ["all", "image"])
def test_whose_keys_a_reference_changes(models, params, inputs, replace, scope):
    """All scopes lay the tokens out as [pose | reference 1 | reference 2]."""
    changed = np.array(inputs.references)
    changed[:, 0] = 255 - changed[:, 0]
    here, there = (_encode(models[scope], params, i).cached for i in (inputs, replace(inputs, references=changed)))
    assert len(here) == (1 if scope == "all" else 2)
    keys, others = (np.concatenate([np.asarray(one.single.keys) for one in cached], 2) for cached in (here, there))
    assert keys.shape == (2, 2, POSE + REFERENCES, 2, 8)
    moved = np.abs(keys - others).max((0, 1, 3, 4)) > 1e-6
    expected = [False] * POSE + [True, False] if scope == "image" else [True] * (POSE + REFERENCES)
    assert moved.tolist() == expected


@pytest.mark.parametrize("scope", ["all", "image"])
def test_without_conditions_there_is_no_cache(tiny, models, params, inputs, replace, start, scope):
    names = ("references", "has_reference", "portraits", "phrase_tokens", "placement", "has_identity")
    nothing = replace(inputs, pose=None, has_pose=None, **{name: getattr(inputs, name)[:, :0] for name in names})
    conditions = _encode(models[scope], params, nothing)
    assert conditions.cached == ()
    t = jnp.full(2, 0.7)
    np.testing.assert_array_equal(
        _velocity(models[scope], params, start, t, conditions),
        _velocity(tiny, params, start, t, _encode(tiny, params, nothing)),
    )


def test_the_parameters_are_those_of_the_other_variant(tiny, models):
    key = jax.random.key(0)
    shapes = [jax.eval_shape(model.init, key) for model in (tiny, models["image"])]
    assert jax.tree.map(lambda leaf: leaf.shape, shapes[0]) == jax.tree.map(lambda leaf: leaf.shape, shapes[1])


def loss(model, trained, inputs, x):
    params, pose = trained
    conditions = model.encode(params, dataclasses.replace(inputs, pose=pose), CANVAS)
    return jnp.square(model.velocity(params, x, jnp.full(2, 0.7), conditions) - 1).mean()


def test_gradients_go_through_the_cache_and_recomputation_keeps_them(tiny, models, params, made, start):
    """Against a difference quotient, and with blocks recomputed in the backward pass."""
    value_and_grad = jax.jit(jax.value_and_grad(loss, argnums=1), static_argnums=0)
    trained = {"transformer": params["transformer"]}, jnp.asarray(made.pose)
    value, gradient = value_and_grad(models["all"], trained, made, start)
    assert np.abs(gradient[1][0]).max() > 1e-5  # of the pose's moments
    assert not gradient[1][1].any()  # the second example has no pose
    direction = jax.tree.map(jnp.sign, gradient)
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    step = 3e-3 * float(value) / float(slope)

    def moved(step):
        there = jax.tree.map(lambda leaf, way: leaf + step * way, trained, direction)
        return float(value_and_grad(models["all"], there, made, start)[0])

    assert (moved(step) - moved(-step)) / (2 * step) == pytest.approx(float(slope), rel=1e-2)
    transformer = dataclasses.replace(tiny.config.transformer, remat="full")
    _, again = value_and_grad(variant(tiny, transformer=transformer), trained, made, start)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), gradient, again)


def test_a_lora_adapts_the_cache_too(tiny, params, made, random_params):
    model = variant(tiny, "image", lora=LoraConfig(rank=3, scale=0.5))
    base = params["transformer"]
    factors = random_params(jax.eval_shape(model.init, jax.random.key(0)))["lora"]
    keys = [
        leaves(_encode(model, adapted, made))
        for adapted in (
            {"transformer": base, "lora": factors},
            {"transformer": lora_lib.merge(base, factors, 0.5)[0]},
            {"transformer": base},
        )
    ]
    for one, same, plain in zip(*keys, strict=True):
        np.testing.assert_allclose(one, same, atol=1e-4)
        assert one.dtype == bool or np.abs(one - plain).max() > 1e-3


@pytest.mark.parametrize("scope", ["all", "image"])
def test_a_cached_pose_can_be_hidden(models, params, inputs, replace, start, scope):
    conditions = _encode(models[scope], params, inputs)
    hidden = see_pose(conditions, TOKENS, POSE, jnp.array([True, False]))
    masks = [np.concatenate([np.asarray(one.mask) for one in c.cached], 1) for c in (conditions, hidden)]
    gone = masks[0] & ~masks[1]
    assert gone.tolist() == [[False] * (POSE + REFERENCES), [True] * POSE + [False] * REFERENCES]
    if scope == "image":  # where no reference has seen it, it is as none
        none = _encode(models[scope], params, replace(inputs, has_pose=np.array([True, False])))
        velocities = (_velocity(models[scope], params, start, jnp.full(2, 0.7), c) for c in (hidden, none))
        np.testing.assert_allclose(*velocities, atol=1e-5)
