"""Where parameters come from: their dtypes, shardings and values, and the memory that a large folder costs."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from astra_jax import config as c
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.initialize import initialize
from astra_jax.training.mesh import make_mesh
from astra_jax.weights import importing
from astra_jax.weights.pretrained import WEIGHTS, save_pretrained
from astra_jax.weights.writing import write_safetensors
from tests.training import regression

ROOT = pathlib.Path(__file__).resolve().parents[2]


def start(tmp_path, config, devices=8):
    """The trained and the frozen leaves by path, on the mesh."""
    mesh = make_mesh(c.MeshConfig(data=1, fsdp=-1), jax.devices()[:devices])
    checkpoints = Checkpoints(tmp_path / "run", config, [])
    with jax.set_mesh(mesh):
        state, frozen, _ = initialize(config, regression.Regression(), mesh, checkpoints)
    checkpoints.close()
    return flatten(state.params), flatten(frozen)


def with_dtype(dtype, **train):
    config = regression.make_config(**train)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtypes_shardings_and_values(tmp_path, dtype, random_params):
    """The trained part, split inside one top-level part, has float32; the frozen one the model's dtype."""
    tree = random_params(regression.Regression().init(jax.random.key(0)))
    save_pretrained(tmp_path / "base", regression.make_config(), tree, "float32")
    config = with_dtype(dtype, trainable="^head/inner/", initialize_from=(str(tmp_path / "base"),))
    trained, frozen = start(tmp_path, config)
    assert sorted(trained) == ["head/inner/bias", "head/inner/kernel"]
    assert sorted(frozen) == ["features/kernel", "head/kernel"]
    for leaves, held in ((trained, jnp.float32), (frozen, dtype)):
        for path, leaf in leaves.items():
            assert leaf.dtype == held
            np.testing.assert_array_equal(leaf, flatten(tree)[path].astype(held), err_msg=path)
    # Eight devices: every kernel's longest side is split, the bias is not.
    specs = {path: leaf.sharding.spec for path, leaf in (trained | frozen).items()}
    split = {"features/kernel": (None, "fsdp"), "head/kernel": ("fsdp",), "head/inner/kernel": ("fsdp",)}
    assert specs == {path: PartitionSpec(*split.get(path, ())) for path in specs}


def test_what_no_folder_has_is_random_and_the_same_on_any_mesh_and_in_any_dtype(tmp_path):
    first = start(tmp_path / "a", with_dtype("float32"), devices=1)
    trained, frozen = start(tmp_path / "b", with_dtype("bfloat16"))
    for path, leaf in trained.items():
        np.testing.assert_array_equal(leaf, first[0][path])
    assert {leaf.dtype for leaf in frozen.values()} == {jnp.dtype(jnp.bfloat16)}
    for path, leaf in frozen.items():
        np.testing.assert_array_equal(leaf, first[1][path].astype(jnp.bfloat16))


def test_the_last_folder_wins_and_nothing_is_read_twice(tmp_path, monkeypatch, random_params):
    tree = random_params(regression.Regression().init(jax.random.key(0)))
    later = {"features": random_params(tree["features"], 1)}
    save_pretrained(tmp_path / "first", regression.make_config(), tree, "float32")
    save_pretrained(tmp_path / "second", regression.make_config(), later, "float32")
    read = []
    original = importing.Tensors.read

    def count(self, name):
        read.append(name)
        return original(self, name)

    monkeypatch.setattr(importing.Tensors, "read", count)
    folders = (str(tmp_path / "first"), str(tmp_path / "second"))
    trained, frozen = start(tmp_path, regression.make_config(initialize_from=folders))
    np.testing.assert_array_equal(frozen["features/kernel"], later["features"]["kernel"])
    np.testing.assert_array_equal(trained["head/kernel"], tree["head"]["kernel"])
    assert sorted(read) == ["features/kernel", "head/inner/bias", "head/inner/kernel", "head/kernel"]


@pytest.mark.parametrize("trainable", ["^head/", "^features/"])
def test_a_part_must_fit_whole_whether_it_is_trained_or_frozen(tmp_path, trainable, random_params):
    tree = random_params(regression.Regression().init(jax.random.key(0)))
    del tree["head"]["inner"]["bias"]
    tree["head"]["kernel"] = np.zeros((16, 9), np.float32)
    save_pretrained(tmp_path / "base", regression.make_config(), tree, "float32")
    config = regression.make_config(trainable=trainable, initialize_from=(str(tmp_path / "base"),))
    with pytest.raises(UserError) as caught:
        start(tmp_path, config)
    assert str(caught.value).endswith(
        "does not fit this model: 1 missing (head/inner/bias), 1 of another shape (head/kernel [16, 9], not [16, 8]): "
        "give the weights it was made for"
    )


CHILD = """
import json, sys, threading, time

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from astra_jax.config import MeshConfig, from_config_dict
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.initialize import initialize
from astra_jax.training.mesh import fsdp, make_mesh


class Objective:
    rules = ((r"kernel$", fsdp()),)

    def init(self, rng):
        base = {str(i): {"kernel": jax.random.normal(rng, (2048, 4096))} for i in range(24)}
        return {"base": base, "adapter": {"kernel": jax.random.normal(rng, (8, 8))}}


def memory():
    # Anonymous pages alone: those of the mapped file are the kernel's to drop.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024


config = from_config_dict(json.loads(sys.argv[1]))
mesh = make_mesh(config.mesh)
checkpoints = Checkpoints(sys.argv[2], config, [])
peak, done = 0, threading.Event()


def watch():
    global peak
    while not done.is_set():
        peak = max(peak, memory())
        time.sleep(0.002)


before = memory()
watcher = threading.Thread(target=watch)
watcher.start()
with jax.set_mesh(mesh):
    state, frozen, _ = initialize(config, Objective(), mesh, checkpoints)
jax.block_until_ready((state, frozen))
done.set()
watcher.join()
held = sum(leaf.nbytes for leaf in jax.tree.leaves(frozen))
print(json.dumps({"growth": peak - before, "held": held}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_folder_costs_the_host_no_second_copy(tmp_path):
    """A real process on two fake devices: these lie in the host's memory, so at the end the tree does, once."""
    config = with_dtype("bfloat16", trainable="^adapter/", initialize_from=(str(tmp_path / "base"),))
    config = dataclasses.replace(config, mesh=c.MeshConfig(data=1, fsdp=-1))
    leaf = np.ones((2048, 4096), jnp.bfloat16)
    shapes = {f"base/{index}/kernel": leaf.shape for index in sorted(map(str, range(24)))}
    (tmp_path / "base").mkdir()
    write_safetensors(tmp_path / "base" / WEIGHTS, shapes, leaf.dtype, (leaf for _ in shapes))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(c.to_dict(config)), str(tmp_path / "run")],
        capture_output=True, text=True, timeout=280, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    print({name: f"{value / 1e6:.0f} MB" for name, value in result.items()})
    size = 24 * leaf.nbytes  # 403 MB
    assert result["held"] == size
    # Besides the tree: a few leaves of 17 MB under way and the start's programs.
    assert result["growth"] < 1.6 * size
