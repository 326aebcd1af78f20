import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from safetensors.numpy import load_file, save_file

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.weights.importing import check_published, load_published, place_pretrained, total_bytes
from astra_jax.weights.mapping import LINEAR, one, save_leaf, stack, swapped
from astra_jax.weights.pretrained import save_pretrained
from astra_jax.weights.tensors import open_tensors
from astra_jax.weights.writing import write_safetensors

# Two layers of one matrix that the file keeps in two parts, a matrix with swapped halves, and a vector.
NAMING = {
    "blocks/kernel": stack(lambda i: (f"b.{i}.q", f"b.{i}.kv"), 2, LINEAR, rows=(4, 8)),
    "final/kernel": one("final", layout=swapped(LINEAR)),
    "scale": one("scale"),
}
SHAPES = {"blocks": {"kernel": (2, 8, 12)}, "final": {"kernel": (8, 4)}, "scale": (5,)}
ABSTRACT = jax.tree.map(
    lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), SHAPES, is_leaf=lambda x: isinstance(x, tuple)
)


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), ABSTRACT)


def published(params):
    tensors = {}
    for path, leaf in flatten(params).items():
        tensors |= save_leaf(NAMING[path], leaf)
    return tensors


@pytest.fixture
def file(tmp_path, params):
    save_file(published(params), tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


def test_names_and_layouts_of_the_file(params):
    tensors = published(params)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "b.0.q": (4, 8), "b.0.kv": (8, 8), "b.1.q": (4, 8), "b.1.kv": (8, 8), "final": (4, 8), "scale": (5,),
    }  # fmt: skip
    np.testing.assert_array_equal(tensors["b.1.kv"], params["blocks"]["kernel"][1, :, 4:].T)
    np.testing.assert_array_equal(tensors["final"][:2], params["final"]["kernel"][:, 2:].T)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_to_the_host(file, params, dtype):
    seen = []
    with open_tensors(file) as tensors:
        loaded = load_published(tensors, NAMING, ABSTRACT, dtype, progress=seen.append)
        assert sum(seen) == total_bytes(tensors, NAMING) == 4 * (2 * 12 * 8 + 4 * 8 + 5)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype(dtype)), loaded, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("blocks", "final"),
    [((None, "x", "y"), ("y", None)), (("x", None, None), (None, "x")), ((), ()), ((None, ("x", "y")), ("x",))],
)
def test_straight_onto_a_mesh_with_target_sharding_and_dtype(file, params, blocks, final):
    mesh = jax.make_mesh((2, 4), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    specs = {"blocks": {"kernel": PartitionSpec(*blocks)}, "final": {"kernel": PartitionSpec(*final)}}
    specs["scale"] = PartitionSpec()
    shardings = jax.tree.map(lambda s: NamedSharding(mesh, s), specs, is_leaf=lambda x: isinstance(x, PartitionSpec))
    with open_tensors(file) as tensors:
        loaded = load_published(tensors, NAMING, ABSTRACT, jnp.bfloat16, shardings)
    for path, leaf in flatten(loaded).items():
        assert leaf.dtype == jnp.bfloat16
        assert leaf.sharding == flatten(shardings)[path]
        np.testing.assert_array_equal(np.asarray(leaf), flatten(params)[path].astype(ml_dtypes.bfloat16))


def test_what_differs_is_listed_in_one_line(tmp_path, params):
    tensors = published(params)
    del tensors["b.1.q"], tensors["scale"]
    tensors |= {"final": tensors["final"].T.copy(), "b.0.q": tensors["b.0.q"].astype(np.int32)}
    tensors |= {"lora": np.zeros(1, np.float32)}
    save_file(tensors, tmp_path / "x.safetensors")
    with open_tensors(tmp_path / "x.safetensors") as opened, pytest.raises(UserError) as caught:
        load_published(opened, NAMING, ABSTRACT)
    assert str(caught.value) == (
        f"{tmp_path / 'x.safetensors'} does not fit this model: 2 missing (b.1.q, scale), 1 unknown (lora), "
        "1 of another shape (final [8, 4], not [4, 8]), 1 of a dtype other than BF16, F16, F32 (b.0.q I32): "
        "give the weights it was made for"
    )


def test_own_folders_go_straight_onto_a_mesh(tmp_path, params):
    tree = {"model": params, "other": {"x": np.ones(3, np.float32)}}
    save_pretrained(tmp_path / "own", Config(), tree, "float32")
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    specs = {"blocks": {"kernel": PartitionSpec(None, "x")}, "final": {"kernel": PartitionSpec("x")}}
    specs["scale"] = PartitionSpec()
    dtypes = {"blocks": {"kernel": jnp.bfloat16}, "final": {"kernel": jnp.float32}, "scale": jnp.float16}

    def target(leaf, spec, dtype):
        return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=NamedSharding(mesh, spec))

    model = jax.tree.map(target, ABSTRACT, specs, dtypes)
    seen = []
    loaded = place_pretrained(tmp_path / "own", {"model": model, "absent": {"y": model["scale"]}}, progress=seen.append)
    assert list(loaded) == ["model"]
    assert sum(seen) == 4 * sum(leaf.size for leaf in jax.tree.leaves(params))
    for path, leaf in flatten(loaded["model"]).items():
        wanted = flatten(model)[path]
        assert (leaf.dtype, leaf.sharding) == (wanted.dtype, wanted.sharding)
        np.testing.assert_array_equal(np.asarray(leaf), flatten(params)[path].astype(wanted.dtype))

    seen.clear()
    some = place_pretrained(tmp_path / "own", {"model": model}, {"model/scale"}, seen.append)
    assert list(flatten(some)) == ["model/scale"]
    assert sum(seen) == 4 * 5

    with pytest.raises(UserError, match="has model, other but this model needs absent"):
        place_pretrained(tmp_path / "own", {"absent": {"y": model["scale"]}})
    with pytest.raises(UserError, match=r"does not fit this model: 1 missing \(model/more\)"):
        # What is not wanted must fit, too.
        place_pretrained(tmp_path / "own", {"model": model | {"more": model["scale"]}}, {"model/scale"})
    tree["model"]["blocks"]["kernel"][1, 2, 3] = np.nan
    save_pretrained(tmp_path / "own", Config(), tree, "float32")
    with pytest.raises(UserError, match="model/blocks/kernel has values that are NaN"):
        place_pretrained(tmp_path / "own", {"model": model})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_name(file, params, value):
    params["blocks"]["kernel"][1, 3, 7] = value
    save_file(published(params), file)
    with open_tensors(file) as tensors, pytest.raises(UserError, match=r"b\.1\.q, b\.1\.kv has values that are NaN"):
        load_published(tensors, NAMING, ABSTRACT)


def test_values_beyond_the_target_dtype_are_refused(file, params):
    params["scale"][2] = 1e6
    save_file(published(params), file)
    with open_tensors(file) as tensors:
        load_published(tensors, NAMING, ABSTRACT, ml_dtypes.bfloat16)
        with pytest.raises(UserError, match=r"scale has values that are NaN or infinite as float16"):
            load_published(tensors, NAMING, ABSTRACT, np.float16)


def test_a_naming_of_another_tree_is_a_programmers_error(file):
    with open_tensors(file) as tensors, pytest.raises(ValueError, match=r"differ in \['scale'\]"):
        check_published(tensors, {k: v for k, v in NAMING.items() if k != "scale"}, ABSTRACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_streamed_files_are_safetensors(tmp_path, dtype):
    a, b = np.arange(12).reshape(2, 3, 2).astype(dtype), np.array(3.5, dtype)
    shapes = {"a": a.shape, "empty": (0, 4), "b": ()}
    chunks = [a[0], a[1].astype(np.float32), b]
    write_safetensors(tmp_path / "x.safetensors", shapes, dtype, chunks, {"format": "pt"})
    loaded = load_file(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(loaded["a"], a)
    np.testing.assert_array_equal(loaded["b"], b)
    assert loaded["empty"].shape == (0, 4)
    assert {tensor.dtype for tensor in loaded.values()} == {np.dtype(dtype)}
    with pytest.raises(ValueError, match="bytes came for tensors of"):
        write_safetensors(tmp_path / "y.safetensors", shapes, dtype, chunks[1:])
