import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from astra_jax.config import Config, LoraConfig, ModelConfig, from_config_dict
from astra_jax.errors import UserError
from astra_jax.models import lora as lora_lib
from astra_jax.models.astra import Astra
from astra_jax.params import flatten, unflatten

CANVAS = (4, 4)
LORA = LoraConfig(rank=3, scale=0.5)
UNO_PLACES = [
    "double_blocks/img_proj", "double_blocks/img_qkv", "double_blocks/txt_proj", "double_blocks/txt_qkv",
    "single_blocks/linear1", "single_blocks/linear2",
]  # fmt: skip


@pytest.fixture(scope="module")
def adapted(tiny, random_params):
    """The tiny model with a LoRA, recomputing its blocks, and random parameters of all its parts."""
    transformer = dataclasses.replace(tiny.config.transformer, remat="full")
    model = Astra(dataclasses.replace(tiny.config, lora=LORA, transformer=transformer))
    return model, random_params(jax.eval_shape(model.init, jax.random.key(0)))


@pytest.fixture(scope="module")
def point(tiny, params, inputs):
    x = jax.random.normal(jax.random.key(9), (2, 4, 16))
    return x, jnp.full(2, 0.7), jax.jit(lambda p, i: tiny.encode(p, i, CANVAS))(params, inputs)


def velocity(model, params, point):
    used = {name: params[name] for name in ("transformer", "lora") if name in params}
    return _velocity(model, used, *point)


_velocity = jax.jit(lambda model, *args: model.velocity(*args), static_argnums=0)


def zeroed(params, but=""):
    """The parameters with b = 0 everywhere, as at the start, or everywhere but in one place."""
    flat = flatten(params["lora"])
    zero = {path: jnp.zeros_like(x) for path, x in flat.items() if path.endswith("/b") and path != f"{but}/b"}
    return params | {"lora": unflatten(flat | zero)}


def test_the_part_exists_where_the_rank_says_so(tiny, adapted):
    model, params = adapted
    without = jax.eval_shape(tiny.init, jax.random.key(0))
    assert "lora" not in without
    assert set(params) - set(without) == {"lora"}
    shapes = {path: leaf.shape for path, leaf in flatten(params["lora"]).items()}
    assert sorted({path.rpartition("/")[0] for path in shapes}) == UNO_PLACES
    # Two layers of each kind; queries, keys and values alone of the single blocks' fused map; width 16.
    assert shapes["double_blocks/txt_qkv/a"] == (2, 16, 3)
    assert shapes["double_blocks/txt_qkv/b"] == (2, 3, 48)
    assert shapes["single_blocks/linear1/b"] == (2, 3, 48)
    assert shapes["single_blocks/linear2/a"] == (2, 16 + 64, 3)
    whole = dataclasses.replace(LORA, fused_mlp=True)
    factors = lora_lib.init_lora(jax.random.key(0), params["transformer"], whole)
    assert factors["single_blocks"]["linear1"]["b"].shape == (2, 3, 48 + 64)


def test_start(tiny):
    model = Astra(dataclasses.replace(tiny.config, lora=dataclasses.replace(LORA, rank=50)))

    def start(model, *parts):  # what is not returned is not compiled
        return jax.jit(lambda rng: {name: model.init(rng)[name] for name in parts})(jax.random.key(3))

    with_lora, without = start(model, "dsm", "lora"), start(tiny, "dsm")
    jax.tree.map(np.testing.assert_array_equal, with_lora["dsm"], without["dsm"])
    flat = flatten(with_lora["lora"])
    assert all(not leaf.any() for path, leaf in flat.items() if path.endswith("/b"))
    a = np.concatenate([leaf.ravel() for path, leaf in flat.items() if path.endswith("/a")])
    assert a.std() == pytest.approx(1 / 50, rel=0.02)
    assert abs(a.mean()) < 1e-3
    assert not np.array_equal(flat["double_blocks/img_qkv/a"], flat["double_blocks/txt_qkv/a"])


def test_at_its_start_it_changes_nothing_to_the_last_bit(tiny, adapted, point):
    model, params = adapted
    base = {name: part for name, part in params.items() if name != "lora"}
    np.testing.assert_array_equal(velocity(model, zeroed(params), point), velocity(tiny, base, point))
    assert np.abs(velocity(model, params, point) - velocity(tiny, base, point)).max() > 1e-3


def test_every_place_counts_and_the_scale(tiny, adapted, point):
    """One place at a time: the velocity is that of a base whose one kernel has W + scale a b, by NumPy."""
    model, params = adapted
    for place in UNO_PLACES:
        alone = flatten(params["lora"])
        base = flatten(params["transformer"])
        kernel = np.array(base[f"{place}/kernel"], np.float64)
        product = np.asarray(alone[f"{place}/a"], np.float64) @ np.asarray(alone[f"{place}/b"], np.float64)
        kernel[..., : product.shape[-1]] += 0.5 * product
        base[f"{place}/kernel"] = jnp.asarray(kernel, jnp.float32)
        expected = velocity(tiny, {"transformer": unflatten(base)}, point)
        ours = velocity(model, zeroed(params, but=place), point)
        np.testing.assert_allclose(ours, expected, atol=2e-5 * np.abs(expected).max(), err_msg=place)


def test_gradients_reach_both_factors_of_every_place(adapted, point):
    model, params = adapted

    @jax.jit
    def gradient(lora):
        return jax.grad(lambda x: jnp.square(model.velocity(params | {"lora": x}, *point)).mean())(lora)

    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient(params["lora"])))
    # At the start a has none, because b is zero; b has one.
    for path, leaf in flatten(gradient(zeroed(params)["lora"])).items():
        assert (np.abs(leaf).max() > 0) == path.endswith("/b"), path


def test_any_place_by_its_path(tiny, params, point):
    config = LoraConfig(rank=2, places="img_in|mlp_out|time_in/in_layer")
    model = Astra(dataclasses.replace(tiny.config, lora=config))
    factors = flatten(lora_lib.init_lora(jax.random.key(0), params["transformer"], config))
    rng = np.random.default_rng(0)
    assert factors["img_in/a"].shape == (16, 2)  # outside the scans
    assert factors["double_blocks/txt_mlp_out/a"].shape == (2, 64, 2)
    assert factors["time_in/in_layer/b"].shape == (2, 16)
    base = velocity(tiny, params, point)
    for path, leaf in factors.items():
        if path.endswith("/b"):
            one = factors | {path: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32)}
            assert np.abs(velocity(model, params | {"lora": unflatten(one)}, point) - base).max() > 1e-4, path


def test_merged_velocity_equals_the_lora_velocity(tiny, adapted, point):
    model, params = adapted
    merged, _ = lora_lib.merge(params["transformer"], params["lora"], model.config.lora.scale)
    base = {name: part for name, part in params.items() if name != "lora"} | {"transformer": merged}
    expected = velocity(model, params, point)
    np.testing.assert_allclose(velocity(tiny, base, point), expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_merge_and_unmerge_are_inverses_to_the_last_bit(adapted, dtype):
    model, params = adapted
    tree = jax.tree.map(lambda x: x.astype(dtype), params["transformer"])
    before = jax.tree.map(np.array, tree)
    merged, kept = lora_lib.merge(tree, params["lora"], 0.7)
    changed = [path for path, leaf in flatten(merged).items() if not np.array_equal(leaf, flatten(before)[path])]
    assert sorted(flatten(kept)) == changed == [f"{place}/kernel" for place in UNO_PLACES]
    assert jax.tree.map(lambda x: (x.shape, x.dtype), merged) == jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    jax.tree.map(np.testing.assert_array_equal, lora_lib.unmerge(merged, kept), before)
    again, _ = lora_lib.merge(lora_lib.unmerge(merged, kept), params["lora"], 0.7)
    jax.tree.map(np.testing.assert_array_equal, again, merged)
    # The part of the fused map that makes the MLP's input stays as it was.
    linear1 = merged["single_blocks"]["linear1"]["kernel"], before["single_blocks"]["linear1"]["kernel"]
    np.testing.assert_array_equal(linear1[0][..., 48:], linear1[1][..., 48:])


def test_merging_by_hand():
    tree = {"m": {"kernel": jnp.array([[1.0, 2.0, 3.0]]), "bias": jnp.zeros(3)}}
    lora = {"m": {"a": jnp.array([[2.0]]), "b": jnp.array([[1.0, -1.0]])}}
    merged, kept = lora_lib.merge(tree, lora, 0.5)
    np.testing.assert_array_equal(merged["m"]["kernel"], [[2.0, 1.0, 3.0]])
    np.testing.assert_array_equal(kept["m"]["kernel"], [[1.0, 2.0, 3.0]])


def test_the_interceptor_leaves_other_modules_alone():
    layer = nn.Dense(2)
    base = {"params": {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}}
    adapted = base | {"lora": {"a": jnp.ones((2, 1)), "b": jnp.ones((1, 1))}}
    x = jnp.array([[1.0, 2.0]])
    with nn.intercept_methods(lora_lib.interceptor(10.0)):
        np.testing.assert_array_equal(layer.apply(adapted, x), [[33.0, 3.0]])
        np.testing.assert_array_equal(layer.apply(base, x), [[3.0, 3.0]])
    np.testing.assert_array_equal(layer.apply(adapted, x), [[3.0, 3.0]])


def test_bfloat16_computes_in_bfloat16():
    x, a, b = jnp.ones((1, 2), jnp.bfloat16), jnp.ones((2, 1)), jnp.ones((1, 3))
    assert lora_lib.low_rank(x, a, b, 0.3).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": -1}, "model.lora.rank must be 0"),
        ({"places": "("}, "model.lora.places '\\(' is no regular expression"),
    ],
)
def test_settings_that_cannot_be(fields, message):
    with pytest.raises(UserError, match=message):
        from_config_dict({"model": {"lora": fields}})


def test_what_is_refused(params):
    with pytest.raises(UserError, match="'unet' finds no linear map; their paths look like double_blocks/img_mlp_in"):
        lora_lib.find_places(params["transformer"], LoraConfig(rank=1, places="unet"))
    with pytest.raises(ValueError, match="rank 0"):
        lora_lib.init_lora(jax.random.key(0), params["transformer"], LoraConfig())
    with pytest.raises(ValueError, match="adapts gone, which is no linear map"):
        lora_lib.collections(params["transformer"], {"gone": {"a": jnp.zeros((1, 1))}})


def test_the_full_size_has_unos_number_of_parameters():
    """956.3 million at rank 512 (UNO), 608 r D by its places."""
    config = ModelConfig(lora=LoraConfig(rank=512))
    tree = jax.eval_shape(Astra(config).init, jax.random.key(0))["lora"]
    assert sum(leaf.size for leaf in jax.tree.leaves(tree)) == 608 * 512 * 3072
    assert Config().model.lora.rank == 0


def test_strength_scales_the_product(adapted, point):
    """As another `scale` of the config would: beside its weights, and merged; 1 to the last bit; 0 as without."""
    model, params = adapted
    half = params | {"lora": lora_lib.strengthen(params["lora"], 0.5)}
    other = dataclasses.replace(
        model, config=dataclasses.replace(model.config, lora=dataclasses.replace(LORA, scale=0.25))
    )
    np.testing.assert_allclose(velocity(model, half, point), velocity(other, params, point), rtol=1e-5, atol=1e-5)
    merged, _ = lora_lib.merge(params["transformer"], half["lora"], LORA.scale)
    expected, _ = lora_lib.merge(params["transformer"], params["lora"], 0.5 * LORA.scale)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), merged, expected)
    jax.tree.map(np.testing.assert_array_equal, lora_lib.strengthen(params["lora"], 1.0), params["lora"])
    none = params | {"lora": lora_lib.strengthen(params["lora"], 0.0)}
    np.testing.assert_array_equal(velocity(model, none, point), velocity(model, zeroed(params), point))
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params["lora"])
    assert {leaf.dtype for leaf in jax.tree.leaves(lora_lib.strengthen(narrow, 0.3))} == {jnp.dtype(jnp.bfloat16)}
