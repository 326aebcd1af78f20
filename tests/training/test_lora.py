"""A LoRA run through the loop: what is trained, what a checkpoint holds, resuming, export; rules at full size."""

import ast
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from astra_jax import config as c
from astra_jax.errors import UserError
from astra_jax.models.astra import Batch, Inputs
from astra_jax.params import flatten
from astra_jax.pipeline import AstraPipeline
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.export import export_adapters, export_workdir
from astra_jax.training.initialize import initialize
from astra_jax.training.loop import train
from astra_jax.training.mesh import make_mesh, shardings
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.partition import partition
from astra_jax.training.state import abstract_state, create_state
from astra_jax.training.step import make_step
from astra_jax.weights.adapters import load_adapter
from astra_jax.weights.pretrained import load_pretrained, save_pretrained

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINED = "^(lora|dsm)/"
MODEL = c.ModelConfig(
    transformer=c.TransformerConfig(
        width=16, heads=2, axes_dim=(2, 2, 4), double_blocks=1, single_blocks=2, latent_dim=16, context_dim=8,
        pooled_dim=8, guidance_embed=False,
    ),
    autoencoder=c.AutoencoderConfig(channels=4, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=2),
    t5=c.T5Config(vocab_size=40_000, width=8, layers=1, heads=2, head_dim=4, mlp_dim=16),  # most of the base
    clip_text=c.ClipTextConfig(vocab_size=32, width=8, layers=1, heads=2, mlp_dim=16, length=8),
    clip_vision=c.ClipVisionConfig(image_size=8, patch=4, width=8, layers=2, heads=2, mlp_dim=16),
    dsm=c.DsmConfig(width=8, layers=1, heads=2),
    lora=c.LoraConfig(rank=4),
    text_length=8, phrase_length=2, max_subjects=1, dtype="float32",
)  # fmt: skip


def make_config(base, **train_settings):
    settings = {
        "trainable": TRAINED, "steps": 4, "batch_size": 4, "log_every": 1, "checkpoint_every": 2, "sample_every": 0,
        "export_dtype": "float32", "initialize_from": (str(base),),
    }  # fmt: skip
    mesh = train_settings.pop("mesh", c.MeshConfig())
    optimizer = c.OptimizerConfig(learning_rate=1e-2, warmup_steps=0)
    return c.Config(model=MODEL, mesh=mesh, train=c.TrainConfig(optimizer=optimizer, **settings | train_settings))


def make_batch(seed, size=4):
    rng = np.random.default_rng(int(seed))

    def moments(*shape):
        return rng.normal(size=(size, *shape, 2, 2, 8)).astype(np.float32)

    def ids(*shape, high=31):
        return rng.integers(0, high, (size, *shape)).astype(np.int32)

    inputs = Inputs(
        text_tokens=ids(8),
        pooled_tokens=ids(8),
        guidance=np.ones(size, np.float32),
        pose=moments(),
        has_pose=np.ones(size, bool),
        references=moments(1),
        has_reference=np.ones((size, 1), bool),
        portraits=rng.integers(0, 256, (size, 1, 8, 8, 3)).astype(np.uint8),
        phrase_tokens=ids(1, 2),
        placement=ids(1, 2, high=7),
        has_identity=np.ones((size, 1), bool),
    )
    return Batch(target=moments(), inputs=inputs)


def run(workdir, config, devices=1):
    workdir.mkdir(exist_ok=True)
    data = grain.MapDataset.range(64).map(make_batch)
    dataset = data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    return train(config, workdir, AstraObjective(config), dataset, devices=jax.devices()[:devices])


def losses(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines}


@pytest.fixture(scope="module")
def base(tmp_path_factory, random_params):
    """Pretrained weights of every part but the adapters."""
    shapes = jax.eval_shape(AstraObjective(c.Config(model=MODEL)).init, jax.random.key(0))
    parts = {name: part for name, part in random_params(shapes).items() if name not in ("lora", "dsm")}
    folder = tmp_path_factory.mktemp("base")
    model = dataclasses.replace(MODEL, lora=c.LoraConfig())
    save_pretrained(folder, c.Config(model=model), parts, "float32")
    return folder


@pytest.fixture(scope="module")
def finished(base, tmp_path_factory):
    """A run of four steps on one device, and its state."""
    workdir = tmp_path_factory.mktemp("run")
    return workdir, run(workdir, make_config(base))


def test_only_the_adapters_are_trained(finished):
    _, state = finished
    assert set(state.params) == set(state.ema) == {"lora", "dsm"}
    paths = {path.partition("/")[2] for path in flatten(state.params)}
    for name, moment in (("mu", state.opt_state[1][0].mu), ("nu", state.opt_state[1][0].nu)):
        assert {path.partition("/")[2] for path in flatten(moment)} == paths, name
    assert all(np.abs(leaf).max() > 0 for path, leaf in flatten(state.params["lora"]).items())  # b has left zero
    assert np.abs(state.params["dsm"]["shared"]["out_norm"]["scale"]).max() > 0


def test_the_run_leaves_the_adapters_alone_and_sampling_reads_them(finished):
    workdir, state = finished
    config, after = load_pretrained(workdir)
    assert config.model.lora.rank == 4
    assert set(after) == {"lora", "dsm"}
    abstract = jax.eval_shape(AstraObjective(c.Config(model=MODEL)).init, jax.random.key(0))
    for part in after:
        jax.tree.map(np.testing.assert_array_equal, after[part], state.ema[part])
        # What `sample.py --lora=... --dsm=...` calls: each is found in the file of both.
        read = load_adapter(workdir / "pretrained", part, MODEL, abstract[part])
        jax.tree.map(np.testing.assert_array_equal, read, after[part])
    with pytest.raises(UserError, match=r"holds adapters alone, .* --dsm=\S*pretrained --lora=\S*pretrained, or write"):
        AstraPipeline.from_pretrained(workdir)


def test_the_whole_model_is_exported_on_demand(base, finished, tmp_path):
    workdir, state = finished
    assert export_workdir(workdir, tmp_path / "whole", AstraObjective, "float32") == 4
    before, after = (flatten(load_pretrained(folder)[1]) for folder in (base, tmp_path / "whole"))
    assert after.keys() == before.keys() | flatten(state.ema).keys()
    for path, leaf in (before | flatten(state.ema)).items():
        np.testing.assert_array_equal(after[path], leaf, err_msg=path)


def test_a_second_stage_starts_from_the_first(base, finished, tmp_path):
    workdir, state = finished
    config = make_config(base, initialize_from=(str(base), str(workdir)))
    mesh = make_mesh(config.mesh, jax.devices()[:1])
    checkpoints = Checkpoints(tmp_path, config, [])
    with jax.set_mesh(mesh):
        second, _, _ = initialize(config, AstraObjective(config), mesh, checkpoints)
    checkpoints.close()
    jax.tree.map(np.testing.assert_array_equal, second.params, state.ema)


def test_a_checkpoint_holds_the_adapters_and_not_the_base(base, finished):
    workdir, state = finished
    folder = workdir / "checkpoints" / "4"
    names = json.loads((folder / "state" / "_METADATA").read_text())["tree_metadata"]
    stored = {"/".join(ast.literal_eval(name)) for name in names}
    params = set(flatten(state.params))
    tree = {f"{copy}/{path}" for copy in ("params", "ema", "opt_state/1/0/mu", "opt_state/1/0/nu") for path in params}
    assert tree <= stored
    # And besides the step, the random key, and the optimizer's counts and empty states, nothing.
    assert all(re.fullmatch("step|rng|opt_state/(0|1/[012]/(count|inner_state))", path) for path in stored - tree)
    assert {path.partition("/")[0] for path in params} == {"lora", "dsm"}
    on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert on_disk < 0.5 * (base / "model.safetensors").stat().st_size


@pytest.mark.slow
def test_resumes_on_another_mesh_with_the_same_losses(base, finished, tmp_path):
    workdir, whole = finished
    run(tmp_path, make_config(base, steps=2, mesh=c.MeshConfig(data=2, fsdp=2)), devices=4)
    parts = run(tmp_path, make_config(base, steps=4))
    np.testing.assert_allclose([losses(tmp_path)[k] for k in (1, 2, 3, 4)],
                               [losses(workdir)[k] for k in (1, 2, 3, 4)], rtol=1e-6)  # fmt: skip
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


def test_adapters_come_out_alone(finished, tmp_path):
    workdir, state = finished
    forms = {"lora": "uno", "dsm": "astra"}
    files = export_adapters(workdir, tmp_path, AstraObjective, forms)
    assert [file.name for file in files] == ["dit_lora.safetensors", "dsm.safetensors"]
    command = [
        sys.executable,
        "-m",
        "astra_jax.weights",
        "export",
        f"--workdir={workdir}",
        f"--out={tmp_path / 'again'}",
    ]
    subprocess.run([*command, "--adapters=lora=uno"], check=True, cwd=ROOT, timeout=280)
    assert (tmp_path / "again" / "dit_lora.safetensors").read_bytes() == files[0].read_bytes()
    lora, dsm = (load_file(file) for file in files)
    up = lora["single_blocks.1.processor.qkv_lora.up.weight"]
    np.testing.assert_array_equal(up, np.asarray(state.ema["lora"]["single_blocks"]["linear1"]["b"][1]).T)
    np.testing.assert_array_equal(dsm["dsm/shared/proj/kernel"], state.ema["dsm"]["shared"]["proj"]["kernel"])
    with pytest.raises(UserError, match="does not train the whole part 't5'"):
        export_adapters(workdir, tmp_path, AstraObjective, {"t5": "astra"})
    with pytest.raises(UserError, match="the form of a dsm must be xverse or astra, not 'uno'"):
        export_adapters(workdir, tmp_path, AstraObjective, {"dsm": "uno"})


@jax.custom_jvp
def undifferentiable(x):
    return x


@undifferentiable.defjvp
def _refuse(primals, tangents):
    raise AssertionError("a parameter of the base is differentiated")


@dataclasses.dataclass(frozen=True)
class Watched(AstraObjective):
    """The objective with a base that cannot be differentiated."""

    def loss(self, params, batch, rng):
        base = {name: part for name, part in params.items() if name not in ("lora", "dsm")}
        return super().loss(params | jax.tree.map(undifferentiable, base), batch, rng)


def trace_step(trainable):
    """Traces one step on shapes alone."""
    config = c.Config(model=MODEL, train=c.TrainConfig(trainable=trainable))
    objective, optimizer = Watched(config), make_optimizer(config.train.optimizer, 4)
    trained, frozen = partition(jax.eval_shape(objective.init, jax.random.key(0)), trainable)
    state = jax.eval_shape(lambda p: create_state(p, optimizer, jax.random.key(0)), trained)
    batch = jax.tree.map(jnp.asarray, make_batch(0))
    return jax.eval_shape(make_step(objective, optimizer, config.train.optimizer, 4), state, frozen, batch)


def test_the_base_is_not_differentiated():
    state, _ = trace_step(TRAINED)
    assert set(state.params) == {"lora", "dsm"}
    with pytest.raises(AssertionError, match="a parameter of the base is differentiated"):
        trace_step("^(lora|dsm|transformer)/")


def test_rules_at_full_size():
    """Rank 512 beside FLUX.1: every leaf by one rule, every rule used, factors split over fsdp, layers whole."""
    objective = AstraObjective(c.Config(model=c.ModelConfig(lora=c.LoraConfig(rank=512))))
    mesh = make_mesh(c.MeshConfig(data=1, fsdp=8))
    tree = jax.eval_shape(objective.init, jax.random.key(0))
    placed = flatten(shardings(tree, objective.rules, mesh))
    for pattern, _ in objective.rules:
        assert any(re.search(pattern, path) for path in placed), f"{pattern} is never used"
    local = {path: placed[path].shard_shape(leaf.shape) for path, leaf in flatten(tree).items()}
    assert local["lora/double_blocks/img_qkv/a"] == (19, 3072 // 8, 512)
    assert local["lora/double_blocks/img_qkv/b"] == (19, 512, 9216 // 8)
    assert local["lora/single_blocks/linear2/a"] == (38, 15360 // 8, 512)
    lora = [path for path in local if path.startswith("lora/")]
    assert len(lora) == 12
    total, mine = (sum(int(np.prod(shapes[path])) for path in lora) for shapes in
                   ({path: leaf.shape for path, leaf in flatten(tree).items()}, local))  # fmt: skip
    assert mine * 8 == total
    # Adam's moments and the average follow.
    trained, _ = partition(tree, TRAINED)
    state = abstract_state(trained, make_optimizer(c.OptimizerConfig(), 10), objective.rules, mesh)
    expected = jax.tree.map(lambda x: x.sharding, state.params)
    for copy in (state.ema, state.opt_state[1][0].mu, state.opt_state[1][0].nu):
        assert jax.tree.map(lambda x: x.sharding, copy) == expected


def test_factors_outside_the_scans_are_split_too():
    model = dataclasses.replace(MODEL, lora=c.LoraConfig(rank=4, places="^img_in$"))
    objective = AstraObjective(c.Config(model=model))
    mesh = make_mesh(c.MeshConfig(data=1, fsdp=8))
    tree = jax.eval_shape(objective.init, jax.random.key(0))["lora"]
    placed = flatten(shardings({"lora": tree}, objective.rules, mesh))
    assert placed["lora/img_in/a"].shard_shape((16, 4)) == (2, 4)
