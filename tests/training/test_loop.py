import dataclasses
import json
import pathlib
import sys
import time

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from astra_jax.config import MeshConfig, OptimizerConfig
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.training import loop
from astra_jax.training.export import export_workdir
from astra_jax.training.loop import train
from astra_jax.training.meter import Meter
from astra_jax.weights.pretrained import load_pretrained, save_pretrained

sys.path.append(str(pathlib.Path(__file__).parent))

import regression
from regression import Regression, dataset, make_config


def run(workdir, config, data=None, devices=1, previews=None, objective=None, **more):
    workdir.mkdir(exist_ok=True)
    objective = objective or Regression()
    return train(config, workdir, objective, data or dataset(), previews, devices=jax.devices()[:devices], **more)


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def same(first, second):
    return jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), first, second))


def test_training_learns_and_writes_everything(tmp_path):
    config = make_config(steps=40, sample_every=20)
    state = run(tmp_path, config, devices=2, previews=dataset())
    losses = [line["loss"] for line in lines(tmp_path)]
    assert losses[-1] < 0.5 * losses[0]
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["step_0000020.png", "step_0000040.png"]
    with Image.open(tmp_path / "samples" / "step_0000040.png") as image:
        assert image.size == (8, 8)
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"35", "40"}  # train.keep
    saved_config, params = load_pretrained(tmp_path)
    assert saved_config == config
    start = flatten(Regression().init(jax.random.split(jax.random.key(config.train.seed))[0]))
    # The frozen part is the random start's, the trained part the average.
    np.testing.assert_allclose(params["features"]["kernel"], start["features/kernel"], rtol=1e-6)
    assert same(params["head"], state.ema["head"])
    assert not same(state.ema, state.params)
    # Nothing is left to do, and that is no error.
    assert int(run(tmp_path, config, devices=2).step) == 40


def test_the_lack_of_mfu_is_told_once(tmp_path, capsys, monkeypatch):
    run(tmp_path / "cpu", make_config(steps=2, log_every=1))
    assert "mfu is not" not in capsys.readouterr().out
    monkeypatch.setattr(loop.StepWork, "why_no_mfu", lambda self: "mfu is not logged: no peak")
    run(tmp_path / "gpu", make_config(steps=3, log_every=1))
    assert capsys.readouterr().out.count("mfu is not logged: no peak\n") == 1


def test_resume_on_fewer_devices_goes_on_with_the_same_losses(tmp_path):
    whole = run(tmp_path / "whole", make_config(log_every=1))
    parts = {}
    # A longer run is the same run; so is one with other intervals, on other devices.
    for steps, devices, mesh in (
        (8, 8, MeshConfig(data=2, fsdp=4)),
        (14, 2, MeshConfig(fsdp=2)),
        (20, 1, MeshConfig()),
    ):
        config = make_config(steps=steps, log_every=1, checkpoint_every=0, mesh=mesh)
        parts = run(tmp_path / "parts", config, devices=devices)
    first, second = ([line["loss"] for line in lines(tmp_path / name)] for name in ("whole", "parts"))
    assert len(first) == 20
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-6)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_workdir_of_another_config_is_refused(tmp_path):
    run(tmp_path, make_config(steps=2))
    other = make_config(steps=2, optimizer=OptimizerConfig(learning_rate=0.5))
    with pytest.raises(UserError, match="train.optimizer.learning_rate: 0.01 -> 0.5"):
        run(tmp_path, other)
    with pytest.raises(UserError, match=r"train.trainable: '\^head/' -> '\^features/'"):
        run(tmp_path, make_config(steps=2, trainable="^features/"))
    config = make_config(steps=2)
    model = dataclasses.replace(config.model, text_length=3)
    with pytest.raises(UserError, match=r"model.text_length: 512 -> 3\): use another --workdir"):
        run(tmp_path, dataclasses.replace(config, model=model))


def test_a_cosine_run_cannot_change_its_length(tmp_path):
    optimizer = OptimizerConfig(schedule="cosine")
    run(tmp_path, make_config(steps=2, optimizer=optimizer))
    with pytest.raises(UserError, match="train.steps: 2 -> 4"):
        run(tmp_path, make_config(steps=4, optimizer=optimizer))


def test_initial_weights_come_from_folders(tmp_path):
    first = run(tmp_path / "first", make_config(steps=3))
    # The whole tree of the first run, and in a later folder another "features" part.
    part = {"features": {"kernel": np.full((8, 16), 0.25, np.float32)}}
    save_pretrained(tmp_path / "part", make_config(), part, "float32")
    sources = (str(tmp_path / "first"), str(tmp_path / "part"))
    config = make_config(steps=1, initialize_from=sources, optimizer=OptimizerConfig(learning_rate=0.0))
    state = run(tmp_path / "second", config)
    assert same(state.params["head"], first.ema["head"])
    assert same(load_pretrained(tmp_path / "second")[1]["features"], part["features"])
    # The same weights elsewhere are the same run; other weights are not.
    (tmp_path / "part").rename(tmp_path / "moved")
    moved = dataclasses.replace(config.train, initialize_from=(sources[0], str(tmp_path / "moved")))
    run(tmp_path / "second", dataclasses.replace(config, train=moved))
    part["features"]["kernel"] += 1
    save_pretrained(tmp_path / "moved", make_config(), part, "float32")
    with pytest.raises(UserError, match="are not those that the run in .* started from"):
        run(tmp_path / "second", dataclasses.replace(config, train=moved))


def test_initial_weights_must_fit(tmp_path):
    save_pretrained(tmp_path / "alien", make_config(), {"unet": {"kernel": np.zeros(2)}}, "float32")
    with pytest.raises(UserError, match="has unet but this model needs features, head"):
        run(tmp_path / "a", make_config(initialize_from=(str(tmp_path / "alien"),)))
    save_pretrained(tmp_path / "shape", make_config(), {"features": {"kernel": np.zeros((8, 15))}}, "float32")
    with pytest.raises(UserError, match=r"features/kernel \[8, 15\], not \[8, 16\]"):
        run(tmp_path / "b", make_config(initialize_from=(str(tmp_path / "shape"),)))
    with pytest.raises(UserError, match="has no model.safetensors"):
        run(tmp_path / "c", make_config(initialize_from=(str(tmp_path / "nothing"),)))


def test_bad_batches_are_skipped_and_then_stop_the_run(tmp_path):
    order = [int(i) for i in grain.MapDataset.range(256).seed(0).shuffle()[:40]]
    # One bad record in the third batch: the run goes on.
    state = run(tmp_path / "one", make_config(steps=5, log_every=1), dataset(poison=(order[16],)))
    assert [line["skipped"] for line in lines(tmp_path / "one")] == [0, 0, 1, 0, 0]
    assert jax.tree.all(jax.tree.map(lambda x: bool(np.isfinite(x).all()), state.params))
    bad = ", ".join(map(str, order[24:32]))  # all of the fourth batch
    with pytest.raises(UserError, match=rf"not finite in the 2 steps up to step 4 \(examples {bad}\)"):
        run(
            tmp_path / "two",
            make_config(steps=9, max_skipped=2),
            dataset(poison=(order[16], order[24])),
            examples=regression.numbers,
        )


def test_data_that_ends_is_refused(tmp_path):
    short = regression.records()[:3].to_iter_dataset()
    with pytest.raises(UserError, match="the data ended after step 3"):
        run(tmp_path, make_config(), short)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "train.steps must be at least 1"),
        ({"export_dtype": "int4"}, "must be bfloat16, float16, float32, not 'int4'"),
        ({"keep": 0}, "train.keep must be at least 1"),
        ({"log_every": -1}, "train.log_every must be 0"),
        ({"mesh": MeshConfig(data=1, tensor=2), "objective": "autoencoder"}, "must be 1 for the autoencoder"),
        ({"batch_size": 7, "mesh": MeshConfig(data=2)}, "batch_size 7 does not divide"),
        ({"mesh": MeshConfig(data=3)}, "does not fit 2 devices"),
        ({"trainable": "lora"}, "matches no parameter"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, make_config(**settings), devices=2)


def test_export_at_any_time(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoints"):
        export_workdir(tmp_path, tmp_path / "out", lambda config: Regression())
    state = run(tmp_path / "run", make_config(steps=2))
    assert export_workdir(tmp_path / "run", tmp_path / "out", lambda config: Regression(), "float32") == 2
    _, params = load_pretrained(tmp_path / "out")
    assert same(params["head"], state.ema["head"])
    assert params["features"]["kernel"].shape == (8, 16)


@dataclasses.dataclass(frozen=True)
class Slow(Regression):
    """Steps that take the device far longer than the host takes to hand over the next one."""

    def loss(self, params, batch, rng):
        loss, metrics = super().loss(params, batch, rng)
        square = jnp.eye(384) + 0 * loss
        return loss + 0 * jax.lax.fori_loop(0, 40, lambda _, x: x @ square, square)[0, 0], metrics


def test_no_step_waits_for_the_device(tmp_path, monkeypatch):
    asked, pushed = [], []

    class Spying(Meter):
        def push(self, step, metrics, needed):
            dispatched = metrics["loss"].is_ready()
            super().push(step, metrics, needed)
            pushed.append((metrics["loss"], dispatched, metrics["loss"].is_ready()))

    take = loop._next

    def watch(iterator, step):
        asked.append(pushed[-1][0].is_ready() if pushed else True)
        return take(iterator, step)

    monkeypatch.setattr(loop, "Meter", Spying)
    monkeypatch.setattr(loop, "_next", watch)
    config = make_config(steps=12, log_every=3, checkpoint_every=0)
    run(tmp_path, config, objective=Slow())
    # The first step of a process is read at once. From then on a step is still being computed when its call returns,
    # when the numbers of the one before have been read, and when the next batch is asked for.
    assert [ready for _, *both in pushed[1:] for ready in both] == [False] * 22
    assert asked == [True, True] + [False] * 10


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    run(tmp_path / "even", make_config(log_every=1))
    true, offset = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: true() + offset[0])

    def jump(index, batch):  # an hour ahead, back, and a day back
        offset[0] += {6: 3600.0, 9: -3600.0, 13: -86400.0}.get(index, 0.0)
        return batch

    data = regression.records().map_with_index(jump).to_iter_dataset(grain.ReadOptions(0, 0))
    run(tmp_path / "jumping", make_config(steps=12, log_every=1), data)
    run(tmp_path / "jumping", make_config(log_every=1), data)
    monkeypatch.undo()
    even, jumping = (lines(tmp_path / name) for name in ("even", "jumping"))
    assert [line["loss"] for line in jumping] == [line["loss"] for line in even]
    assert all(0 < line.get("steps_per_second", 1) < 1e6 for line in jumping)


def test_chosen_steps_are_traced(tmp_path):
    run(tmp_path, make_config(steps=6), profile=(3, 4))
    (trace,) = (tmp_path / "profile").rglob("*.xplane.pb")
    steps = {
        dict(event.stats)["step_num"]
        for plane in jax.profiler.ProfileData.from_file(str(trace)).planes
        for line in plane.lines
        for event in line.events
        if event.name == "train"
    }
    assert steps == {3, 4}
    with pytest.raises(UserError, match="--profile 6:7 does not lie within this run, which does steps 7 to 9"):
        run(tmp_path, make_config(steps=9), profile=(6, 7))
