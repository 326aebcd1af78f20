"""Real processes: killed, preempted and resumed runs end as undisturbed ones do, bit for bit."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

CHILD = pathlib.Path(__file__).parent / "child.py"
STEPS = 14
SLOW = 0.1  # seconds a step, so that signals fall between steps


def start(workdir, steps=STEPS, seconds=0.0):
    flags = os.environ.get("XLA_FLAGS", "").replace("device_count=8", "device_count=2")
    environment = os.environ | {"XLA_FLAGS": flags, "NPROC": "16", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(CHILD), str(workdir), str(steps), str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def wait_for(condition, process):
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def steps_logged(workdir):
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("}")]


def assert_same_end(first, second):
    with np.load(first / "state.npz") as a, np.load(second / "state.npz") as b:
        assert len(a.files) > 10
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    ours, theirs = (load_file(w / "pretrained" / "model.safetensors") for w in (first, second))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    losses = [[json.loads(x)["loss"] for x in (w / "metrics.jsonl").read_text().splitlines()] for w in (first, second)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == STEPS


@pytest.fixture(scope="module")
def undisturbed(compile_cache, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    finish(start(workdir))
    return workdir


def test_killed_run_resumes_bit_for_bit(undisturbed, tmp_path):
    process = start(tmp_path, seconds=SLOW)
    wait_for(lambda: 8 in steps_logged(tmp_path) and (tmp_path / "checkpoints" / "6").is_dir(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "pretrained").exists()
    # What a kill in the middle of writing leaves behind.
    (tmp_path / "checkpoints" / "12.orbax-checkpoint-tmp").mkdir()
    assert "from step 6 " in finish(start(tmp_path)) or (tmp_path / "checkpoints" / "9").is_dir()
    assert_same_end(undisturbed, tmp_path)


def test_sigterm_saves_and_exits_zero(undisturbed, tmp_path):
    process = start(tmp_path, seconds=SLOW)
    wait_for(lambda: 4 in steps_logged(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # a second one changes nothing
    assert "stopped by SIGTERM after step" in finish(process)
    saved = max(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
    assert 4 <= saved < STEPS
    assert saved == max(steps_logged(tmp_path))
    assert not (tmp_path / "pretrained").exists()
    assert f"from step {saved} " in finish(start(tmp_path))
    assert_same_end(undisturbed, tmp_path)
