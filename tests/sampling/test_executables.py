import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import ModelConfig, TransformerConfig
from astra_jax.models.astra import Astra
from astra_jax.sampling import executables
from astra_jax.sampling.executables import Executables, parameter_shapes
from astra_jax.sampling.programs import Guiding

traces = []


def weighted(kind, tree, guiding):
    traces.append(kind)
    return {"sum": kind * tree["a"] + guiding.cfg_scale, "nothing": None, "pair": (guiding.pose_end, tree["a"])}


ARGUMENTS = {"a": jnp.arange(3.0)}, Guiding(jnp.ones(3), jnp.zeros(3), jnp.ones(3), jnp.zeros(3))


@pytest.fixture(autouse=True)
def _no_traces():
    traces.clear()


def test_a_second_start_traces_nothing(tmp_path):
    first = Executables(tmp_path)
    expected = first.call(weighted, 2, *ARGUMENTS)
    np.testing.assert_array_equal(expected["sum"], [1, 3, 5])
    first.call(weighted, 2, *ARGUMENTS)
    assert (first.count, first.loaded, traces) == (1, 0, [2])
    second = Executables(tmp_path)
    again = second.call(weighted, 2, *ARGUMENTS)
    assert (second.count, second.loaded, traces) == (1, 1, [2])
    jax.tree.map(np.testing.assert_array_equal, again, expected)
    assert again.keys() == expected.keys()


def test_another_kind_or_shape_is_another_program(tmp_path):
    programs = Executables(tmp_path)
    programs.call(weighted, 2, *ARGUMENTS)
    np.testing.assert_array_equal(programs.call(weighted, 3, *ARGUMENTS)["sum"], [1, 4, 7])
    programs.call(weighted, 2, {"a": jnp.arange(3)}, ARGUMENTS[1])
    assert (programs.count, Executables(tmp_path).loaded) == (3, 0)
    assert len(list(tmp_path.iterdir())) == 3


def test_other_sources_or_flags_are_other_programs(tmp_path, monkeypatch):
    Executables(tmp_path).call(weighted, 2, *ARGUMENTS)
    monkeypatch.setattr(executables, "_circumstances", lambda: "others")
    programs = Executables(tmp_path)
    programs.call(weighted, 2, *ARGUMENTS)
    assert (programs.loaded, traces) == (0, [2, 2])


@pytest.mark.parametrize(
    "damage", [lambda blob: blob[:-1], lambda blob: b"", lambda blob: blob[:40] + b"x" + blob[41:]]
)
def test_a_damaged_file_is_made_again(tmp_path, damage):
    Executables(tmp_path).call(weighted, 2, *ARGUMENTS)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    programs = Executables(tmp_path)
    np.testing.assert_array_equal(programs.call(weighted, 2, *ARGUMENTS)["sum"], [1, 3, 5])
    assert programs.loaded == 0
    assert Executables(tmp_path).call(weighted, 2, *ARGUMENTS)["sum"].shape == (3,)
    assert len(traces) == 2


def test_nothing_is_kept_where_nothing_shall_be(tmp_path):
    for programs, keep in ((Executables(None), True), (Executables(tmp_path), False)):
        programs.call(weighted, 2, *ARGUMENTS, keep=keep)
    assert not list(tmp_path.iterdir())


def test_shapes_of_a_model_are_remembered(tmp_path, monkeypatch):
    model = Astra(
        ModelConfig(
            transformer=TransformerConfig(width=16, heads=2, axes_dim=(2, 2, 4), double_blocks=1, single_blocks=1)
        )
    )
    expected = jax.eval_shape(model.init, jax.random.key(0))
    assert jax.tree.structure(parameter_shapes(model, tmp_path)) == jax.tree.structure(expected)

    def no_init(self, rng):
        raise AssertionError("traced again")

    monkeypatch.setattr(Astra, "init", no_init)
    again = parameter_shapes(model, tmp_path)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), again) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), expected
    )


def test_a_cache_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "file").touch()
    programs = Executables(tmp_path / "file" / "cache")
    assert programs.call(weighted, 2, *ARGUMENTS)["sum"].tolist() == [1, 3, 5]
    assert programs.loaded == 0
