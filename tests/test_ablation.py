"""An ablation's processes: which runs there are, what is done again and what is not, and how it ends."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from astra_jax.ablation import Budget, read_ablation, run_ablation
from astra_jax.config import to_dict
from astra_jax.errors import UserError
from astra_jax.evaluation.result import read_result

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = """
import ml_collections
from astra_jax.config import Config, as_config_dict

START, SEEDS = "start", (0, 1)
VARIANTS = {"europe": "the method", "rope": "all at the origin"}

def get_config(name):
    config = as_config_dict(Config())
    config.train.steps = 7
    if name == "rope":
        config.model.positions = "rope"
    return config
"""
# In the place of train.py and evaluate.py: leaves what they leave behind and tells how it was called.
# A folder's name in REFUSED or BROKEN makes it fail.
PROGRAM = """
import json, os, pathlib, sys
flags = dict(flag[2:].partition("=")[::2] for flag in sys.argv[2:])
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(flags) + "\\n")
out = pathlib.Path(flags.get("workdir") or flags["out"])
if out.name == os.environ.get("REFUSED"):
    sys.exit(print("error: this is refused", file=sys.stderr) or 2)
if out.name == os.environ.get("BROKEN"):
    raise ValueError("a bug")
if "workdir" in flags:
    (out / "pretrained").mkdir(parents=True)
    (out / "pretrained" / "model.safetensors").write_text("")
else:
    out.mkdir(parents=True)
    name, seed = out.parent.name.rsplit("-", 1)
    value = (0.75 if name == "europe" else 0.5) + 0.125 * int(seed)
    sample = {"case": "a", "index": 0, "prompt": "", "picture": "", "values": {"oks": [value]}, "pictures": {}}
    tree = {"format": 1, "benchmark": "puppets", "headline": ["oks"], "weights": "", "settings": {}, "figures": {},
            "calibration": {}, "notes": [], "samples": [sample]}
    (out / "result.json").write_text(json.dumps(tree))
"""


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "ablations"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "tiny.py").write_text(CONFIG)
    return folder


@pytest.fixture
def program(tmp_path):
    """The command, and a function for what it was called with since."""
    (tmp_path / "program.py").write_text(PROGRAM)
    calls = tmp_path / "calls"

    def called():
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    return [sys.executable, "-S", str(tmp_path / "program.py"), str(calls)], called


def name_of(call):
    return call["workdir"].rsplit("/", 1)[1] if "workdir" in call else "/".join(call["out"].rsplit("/", 2)[1:])


def test_every_variant_is_trained_from_the_start_with_every_seed_and_measured(config, program, tmp_path):
    command, called = program
    out = tmp_path / "out"
    line = run_ablation(read_ablation(config), Budget(steps=5), out, command, command, {})
    calls = {name_of(call): call for call in called()}
    trained = {name: call for name, call in calls.items() if "workdir" in call}
    assert list(trained)[0] == "start"
    assert set(trained) == {"start", "europe-0", "rope-0", "europe-1", "rope-1"}
    assert trained["start"]["config"] == f"{config / 'tiny.py'}:start"
    assert "config.train.steps" not in trained["start"]  # as its config says
    assert trained["rope-1"] | {"workdir": ""} == {
        "config": f"{config / 'tiny.py'}:rope", "workdir": "", "config.train.steps": "5", "config.train.seed": "1",
        "config.data.seed": "1", "config.train.initialize_from": f"('{out / 'start' / 'pretrained'}',)",
    }  # fmt: skip
    measured = {name: call for name, call in calls.items() if "workdir" not in call}
    assert len(measured) == 4 * 3
    assert measured["rope-1/rag"] == {
        "checkpoint": str(out / "rope-1"), "track": "rag", "out": str(out / "rope-1" / "rag"), "nocontrols": ""
    }  # fmt: skip
    assert [name for name, call in measured.items() if "nocontrols" not in call] == [
        "europe-0/oracle", "europe-0/rag", "europe-0/none"
    ]  # fmt: skip
    assert line == {
        "benchmark": "puppets", "count": 1,
        "europe_oracle_oks": 0.8125, "europe_rag_oks": 0.8125, "europe_none_oks": 0.8125,
        "rope_oracle_oks": 0.5625, "rope_rag_oks": 0.5625, "rope_none_oks": 0.5625,
    }  # fmt: skip
    tree = json.loads((out / "result.json").read_text())
    assert tree["budget"]["steps of a variant"] == "5 of 16 examples"
    assert tree["cells"][3]["differences"]["oks"]["value"] == -0.25
    assert "| rope | oracle | -0.250 (-0.250 to -0.250) |" in (out / "table.md").read_text()
    assert (out / "plot.svg").read_text().startswith("<svg")


def test_what_is_there_is_not_done_again(config, program, tmp_path):
    command, called = program
    out = tmp_path / "out"
    ablation = read_ablation(config, [0])
    line = run_ablation(ablation, Budget(), out, command, command, {})
    called()
    (out / "rope-0" / "none" / "result.json").unlink()
    (out / "rope-0" / "none").rmdir()
    (out / "rope-0" / "pretrained" / "model.safetensors").unlink()
    (out / "rope-0" / "pretrained").rmdir()
    assert run_ablation(ablation, Budget(), out, command, command, {}) == line
    assert [name_of(call) for call in called()] == ["rope-0", "rope-0/none"]
    run_ablation(read_ablation(config, [0, 3]), Budget(), out, command, command, {})  # one more seed
    assert {name_of(call).partition("/")[0] for call in called()} == {"europe-3", "rope-3"}


def test_a_run_with_other_settings_is_not_taken_for_this_one(config, program, tmp_path):
    command, called = program
    ablation, out = read_ablation(config, [0]), tmp_path / "out"
    (out / "start").mkdir(parents=True)
    stored = out / "start" / "config.json"
    stored.write_text(json.dumps(to_dict(ablation.runs["start"])))
    with pytest.raises(UserError, match="holds a run with other settings"):
        run_ablation(ablation, Budget(start_steps=3), out, command, command, {})
    assert not called()
    run_ablation(ablation, Budget(), out, command, command, {"scenes": 4})
    with pytest.raises(UserError, match="measured otherwise"):
        run_ablation(ablation, Budget(), out, command, command, {"scenes": 5})


def test_a_run_from_before_a_setting_was_there_has_its_default(config, program, tmp_path):
    command, called = program
    ablation, out = read_ablation(config, [0]), tmp_path / "out"
    stored = json.loads(json.dumps(to_dict(ablation.runs["start"])))
    del stored["keypoints"]["crops"], stored["mesh"]
    (out / "start").mkdir(parents=True)
    (out / "start" / "config.json").write_text(json.dumps(stored))
    run_ablation(ablation, Budget(), out, command, command, {})
    assert called()
    (out / "start" / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"config\.json must be a group of settings, not \[\]"):
        run_ablation(ablation, Budget(), out, command, command, {})


def test_flags_may_change_until_something_is_measured(config, program, tmp_path, monkeypatch):
    command, _ = program
    ablation, out = read_ablation(config, [0]), tmp_path / "out"
    monkeypatch.setenv("REFUSED", "start")
    with pytest.raises(UserError, match="start: this is refused"):
        run_ablation(ablation, Budget(), out, command, command, {"scenes": 4})
    monkeypatch.delenv("REFUSED")
    run_ablation(ablation, Budget(), out, command, command, {"scenes": 5})


def test_what_the_start_learns_from_must_be_there(config, program, tmp_path):
    command, called = program
    (config / "tiny.py").write_text(
        CONFIG.replace("    if name", '    config.data.latents = "no/latents"\n    if name')
    )
    with pytest.raises(UserError, match=re.escape(f"no/latents is missing, which the ablation starts from: {config}")):
        run_ablation(read_ablation(config), Budget(), tmp_path / "out", command, command, {})
    assert not called()


def test_a_refusal_is_told_in_its_own_line_and_a_bug_is_none(config, program, tmp_path, monkeypatch):
    command, _ = program
    ablation, out = read_ablation(config, [0]), tmp_path / "out"
    monkeypatch.setenv("REFUSED", "rag")
    with pytest.raises(UserError, match=re.escape("0, rag: this is refused")):
        run_ablation(ablation, Budget(processes=1), out, command, command, {})
    monkeypatch.setenv("BROKEN", "rag")
    monkeypatch.delenv("REFUSED")
    with pytest.raises(RuntimeError, match="ValueError: a bug"):
        run_ablation(ablation, Budget(processes=1), out, command, command, {})
    assert (out / "europe-0" / "oracle" / "result.json").exists()  # what was done stays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("SEEDS", "SEED"), "has no SEEDS"),
        (('{"europe": "the method", "rope": "all at the origin"}', "{}"), "has no VARIANTS"),
        (("VARIANTS = {", "VARIANTS = {{"), r"tiny.py fails: SyntaxError: .*never closed"),
        (("(0, 1)", "(zero, 1)"), "fails: NameError: name 'zero' is not defined"),
        (("config.train.steps", "config.trains.steps"), "fails: AttributeError: .*trains"),
        (("(0, 1)", "(0, 0)"), "must differ"),
        (("config.model.positions", "config.train.batch_size = 4; config.model.positions"), "the same steps, batches"),
        (('= "rope"\n', '= "ropes"\n'), "model.positions must be"),
    ],
)
def test_a_wrong_ablation_is_refused(config, program, tmp_path, change, message):
    (config / "tiny.py").write_text(CONFIG.replace(*change))
    with pytest.raises(UserError, match=message):
        run_ablation(read_ablation(config), Budget(), tmp_path / "out", *[program[0]] * 2, {})
    assert not (tmp_path / "out").exists()


def test_a_folder_without_its_one_file(tmp_path, config):
    with pytest.raises(UserError, match="there is no such file"):
        read_ablation(tmp_path / "nothing")
    (config / "second.py").write_text(CONFIG)
    with pytest.raises(UserError, match="2 config files: name one"):
        read_ablation(config)
    assert read_ablation(config / "second.py").seeds == (0, 1)
    with pytest.raises(UserError, match="steps must be at least 1"):
        Budget(steps=0)


def test_our_own_ablation_varies_positions_and_adapter_alone():
    ablation = read_ablation(ROOT / "configs" / "ablations")
    assert next(iter(ablation.variants)) == "europe"
    trees = {name: to_dict(config) for name, config in ablation.runs.items()}
    start = trees.pop(ablation.start)
    assert (start["model"]["max_subjects"], start["data"]["drop_pose"]) == (0, 1.0)  # no reference, no pose
    for name, tree in trees.items():
        assert name.startswith(tree["model"].pop("positions"))
        assert ("dsm/" in tree["train"].pop("trainable")) == name.endswith("-no-dsm")
    assert all(tree == trees["europe"] for tree in trees.values())
    assert len(ablation.seeds) >= 2


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


STOPPABLE = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have background jobs ignore it
from astra_jax.processes import Processes
with Processes() as processes:
    processes.run([sys.executable, "-Sc", sys.argv[1]], pathlib.Path(sys.argv[2]), "child", 1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_children_end_with_their_parent(tmp_path, number):
    child = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, child, str(tmp_path / "log")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as parent:  # fmt: skip
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), parent)
        parent.send_signal(number)
        parent.communicate(timeout=60)
    assert parent.returncode == (143 if number == signal.SIGTERM else -2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# A real ablation of two tiny variants: real training, real pictures, a figure that needs no network.
TINY = """
import ml_collections
from configs import puppets

START, SEEDS = "start", (0,)
VARIANTS = {{"europe": "the method", "rope": "all at the origin"}}

def get_config(name):
    config = puppets.get_config("autoencoder")
    config.model.max_subjects = 0 if name == START else 3
    config.model.positions = "rope" if name == "rope" else "europe"
    config.model.transformer.update(width=32, heads=2, axes_dim=(4, 6, 6), double_blocks=1, single_blocks=1)
    config.model.autoencoder.update(channels=8, channel_mult=(1, 1, 2, 2))
    for part in ("t5", "clip_text", "clip_vision"):
        config.model[part].layers = 2
    config.data.update(source="puppets/small", dir={tfds!r}, height=32, width=32, reference_size=16, crop=0)
    config.sample.update(height=32, width=32, steps=2)
    config.train.update(objective="astra", trainable="^(?!autoencoder/)", steps=4, batch_size=2, log_every=1,
                        checkpoint_every=1, sample_every=0)
    return config
"""
MEASURE = """
import dataclasses, pathlib, sys
from PIL import Image
from astra_jax.evaluation.report import keep, write_report
from astra_jax.evaluation.result import Result
from astra_jax.evaluation.samples import Scores
from astra_jax.evaluation.scoring import Scored, figures_of
from astra_jax.pipeline import AstraPipeline
flags = dict(flag[2:].partition("=")[::2] for flag in sys.argv[1:])
out = pathlib.Path(flags["out"])
out.mkdir(parents=True, exist_ok=True)
bank = "data/pose_library/bank" if flags["track"] == "rag" else None
pipe = AstraPipeline.from_pretrained(flags["checkpoint"], bank)
scored, records = [], []
for seed in range(2):
    pose = "none" if bank is None else "auto"
    picture = pipe("a man waving hello", pose=pose, seed=seed).images[0]
    path = out / f"case{seed}_0.png"
    picture.save(path)
    scored.append(Scored(f"case{seed}", 0, Scores({"brightness": [sum(picture.convert("L").tobytes()) / 1024 / 255]})))
    records.append(keep(scored[-1], "a man waving hello", path, out))
write_report(out, Result("tiny", ("brightness",), pipe.weights, {}, {"model": figures_of(scored)}, {}, (),
                         tuple(records)))
"""


def end(process):
    """Kills a process and its children, however the test ends."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(1500)  # on a busy machine
def test_a_real_ablation_is_killed_in_training_and_goes_on(tmp_path):
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": quick}
    environment |= {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "xla")}
    subprocess.run([sys.executable, "-m", "data.puppets", f"--out={tmp_path / 'tfds'}", "--config=small"],
                   cwd=ROOT, env=environment, check=True)  # fmt: skip
    (tmp_path / "tiny.py").write_text(TINY.format(tfds=str(tmp_path / "tfds")))
    (tmp_path / "measure.py").write_text(MEASURE)
    out = tmp_path / "out"
    program = f"""
import sys
from astra_jax.ablation import Budget, read_ablation, run_ablation
run_ablation(read_ablation({str(tmp_path / "tiny.py")!r}), Budget(), {str(out)!r}, [sys.executable, "train.py"],
             [sys.executable, {str(tmp_path / "measure.py")!r}], {{}})
"""

    def start():
        return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment, start_new_session=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip

    first = start()
    try:
        wait_for(lambda: any((out / "europe-0" / "checkpoints").glob("[123]")), first, 600)
    finally:
        end(first)
    assert (out / "start" / "pretrained" / "model.safetensors").exists()
    assert not (out / "europe-0" / "pretrained").exists()
    begun = (out / "start.log").read_bytes()
    second = start()
    try:
        said, _ = second.communicate(timeout=800)
    finally:
        end(second)
    assert second.returncode == 0, said
    assert "start: begins" not in said
    assert (out / "start.log").read_bytes() == begun
    assert re.search(r"from step [1234] to 4", (out / "europe-0.log").read_text())
    tree = json.loads((out / "result.json").read_text())
    assert [(cell["variant"], cell["track"]) for cell in tree["cells"]] == [
        (variant, track) for variant in ("europe", "rope") for track in ("oracle", "rag", "none")
    ]
    weights = {read_result(out / f"{variant}-0" / "none").weights for variant in ("europe", "rope")}
    assert len(weights) == 2
