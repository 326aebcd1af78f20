"""train.py and `python -m astra_jax.weights` as a user starts them."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(pathlib.Path(__file__).parent))

import processes

from astra_jax.weights.pretrained import load_pretrained

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = "--config=configs/puppets.py:autoencoder"
TINY = [
    "--config.model.autoencoder.channels=8",
    "--config.model.autoencoder.channel_mult=(1,2)",
    "--config.train.batch_size=8",
    "--config.train.log_every=1",
    "--config.train.sample_every=2",
    "--config.train.checkpoint_every=2",
]


def start(*arguments):
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.py", CONFIG], "--workdir is missing"),
        (["train.py", "--workdir=x", CONFIG, "--config.train.stepz=3"], "stepz"),
        (["train.py", "--workdir=x", CONFIG, "--profile=9"], "--profile '9' is not START:STOP"),
        (["train.py", "--workdir=x", CONFIG, "--processes=2"], "--coordinator and --process_id missing"),
        (["-m", "astra_jax.weights", "explode"], "usage: python -m astra_jax.weights export"),
        (["-m", "astra_jax.weights", "export", "--workdir=x"], "export needs --workdir=RUN and --out=FOLDER"),
        (["-m", "astra_jax.weights", "export", "--workdir=nowhere", "--out=y"], "nowhere holds no checkpoints"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(arguments, message):
    result = start(*arguments)
    assert result.returncode == 2, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("mesh.data=8", "train.batch_size=13"),
            "batch_size 13 does not divide over mesh data x fsdp = 8; nearest: 16",
        ),
        (("mesh.tensor=8",), "mesh.context and mesh.tensor must be 1 for the autoencoder"),
    ],
)
def test_sizes_that_do_not_fit_the_devices_come_with_some_that_do(tmp_path, overrides, message):
    options = [f"--config.{override}" for override in overrides]
    program = processes.popen([sys.executable, "train.py", CONFIG, f"--workdir={tmp_path}", *options], 8, cwd=ROOT)
    errors = program.communicate(timeout=280)[1].splitlines()
    assert program.returncode == 2
    assert [message in line for line in errors if line.startswith("error: ")] == [True], errors


def test_a_finished_run_says_how_to_draw(tmp_path):
    (tmp_path / "tokenizer_2").mkdir()
    program = (
        "import pathlib, sys\nfrom absl import flags\nimport train\nflags.FLAGS(sys.argv)\n"
        "runs = (['clip_text', 'dsm'], 'ours'), (['lora'], 'ours'), (['dsm', 'lora'], ''), (['lora'], sys.argv[-1])\n"
        "for trained, tokenizer in runs:\n"
        "    print(train._how_to_draw(pathlib.Path('runs/a b'), trained, tokenizer))"
    )
    overrides = ["--config.model.lora.rank=16", "--config.train.steps=9"]
    result = start("-c", program, "--config=configs/flux.py", *overrides, str(tmp_path))
    assert result.returncode == 0, result.stderr
    whole, ours, published, beside = result.stdout.splitlines()
    assert whole == "python sample.py '--checkpoint=runs/a b'"
    assert ours == (
        "python -m astra_jax.weights export '--workdir=runs/a b' '--out=runs/a b/whole'"
        " && python sample.py '--checkpoint=runs/a b/whole'"
    )
    assert published == (
        "python sample.py --config=configs/flux.py --config.model.lora.rank=16 --weights=FLUX.1-dev"
        " '--dsm=runs/a b/pretrained' '--lora=runs/a b/pretrained'"
    )
    assert f"--weights={tmp_path}" in shlex.split(beside)
    # sample.py takes all of it, up to the weights that are not here.
    result = start(*shlex.split(published)[1:], "--prompt=a man", "--pose=none")
    assert result.returncode == 2
    assert "FLUX.1-dev is no folder" in result.stderr


@pytest.mark.slow
def test_train_resume_and_export(tmp_path):
    made = start("-m", "data.puppets", f"--out={tmp_path / 'tfds'}", "--config=small")
    assert made.returncode == 0, made.stderr
    run = tmp_path / "run"
    command = ["train.py", CONFIG, f"--workdir={run}", *TINY]
    command += [f"--config.data.dir={tmp_path / 'tfds'}", "--config.data.source=puppets/small"]
    command += ["--config.train.optimizer.schedule=constant", "--config.train.optimizer.learning_rate=0.001"]
    first = start(*command, "--config.train.steps=2")
    assert first.returncode == 0, first.stderr
    assert "from step 0 to 2" in first.stdout
    second = start(*command, "--config.train.steps=4")
    assert second.returncode == 0, second.stderr
    assert "from step 2 to 4" in second.stdout
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]
    assert [p.name for p in sorted((run / "samples").iterdir())] == ["step_0000002.png", "step_0000004.png"]
    late = start(*command, "--config.train.steps=6", "--profile=4:5")
    assert late.returncode == 2
    assert "--profile 4:5 does not lie within this run, which does steps 5 to 6" in late.stderr
    other = start(
        *command, "--config.train.steps=6", "--config.train.optimizer.learning_rate=0.5"
    )  # the last one counts
    assert other.returncode == 2
    assert "train.optimizer.learning_rate: 0.001 -> 0.5" in other.stderr
    out = tmp_path / "out"
    exported = start("-m", "astra_jax.weights", "export", f"--workdir={run}", f"--out={out}", "--dtype=float32")
    assert exported.returncode == 0, exported.stderr
    assert "weights of step 4" in exported.stdout
    config, params = load_pretrained(out)
    assert config.model.autoencoder.channels == 8
    assert list(params) == ["autoencoder"]


@pytest.mark.slow
def test_two_processes_train_together(tmp_path):
    made = start("-m", "data.puppets", f"--out={tmp_path / 'tfds'}", "--config=small")
    assert made.returncode == 0, made.stderr
    command = [
        "train.py",
        CONFIG,
        *TINY,
        f"--config.data.dir={tmp_path / 'tfds'}",
        "--config.data.source=puppets/small",
    ]
    command += ["--config.train.steps=4", "--profile=3:4"]
    meeting = [f"--coordinator=127.0.0.1:{processes.free_port()}", "--processes=2"]
    runs = [
        processes.popen(
            [sys.executable, *command, f"--workdir={tmp_path / 'two'}", *meeting, f"--process_id={i}"], cwd=ROOT
        )
        for i in range(2)
    ]
    assert "data 2; from step 0 to 4" in processes.finish(*runs, timeout=280)
    processes.finish(processes.popen([sys.executable, *command, f"--workdir={tmp_path / 'one'}"], 2, cwd=ROOT))
    two, one = (processes.losses(tmp_path / name) for name in ("two", "one"))
    assert list(one) == [1, 2, 3, 4]
    np.testing.assert_allclose(list(two.values()), list(one.values()), rtol=0, atol=1e-6)
    assert (tmp_path / "two" / "pretrained" / "model.safetensors").is_file()
    assert len(list((tmp_path / "two" / "profile").rglob("*.xplane.pb"))) == 1
    for name in ("step_0000002.png", "step_0000004.png"):
        first, second = (np.asarray(Image.open(tmp_path / run / "samples" / name)) for run in ("two", "one"))
        np.testing.assert_allclose(first.astype(int), second.astype(int), atol=1)


def test_a_config_file_that_fails_is_told_in_one_line(tmp_path):
    (tmp_path / "broken.py").write_text("def get_config():\n    return zero\n")
    result = start("train.py", f"--config={tmp_path / 'broken.py'}", "--workdir=x")
    assert (result.returncode, result.stderr.splitlines()) == (
        2, ["error: name 'zero' is not defined (see train.py --help)"]
    )  # fmt: skip
