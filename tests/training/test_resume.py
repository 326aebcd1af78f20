"""Real processes: killed, preempted and resumed runs end as undisturbed ones do, bit for bit."""

import os
import pathlib
import random
import shutil
import signal
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

sys.path.append(str(pathlib.Path(__file__).parent))

import processes
from processes import finish, lines, losses, wait_for

from astra_jax.training.lock import WorkdirLock

STEPS = 14
SLOW = 0.1  # seconds a step, so that signals fall between steps


def start(workdir, steps=STEPS, **options):
    return processes.start(workdir, steps, **options)


def assert_same_end(first, second, steps=STEPS):
    with np.load(first / "state.npz") as a, np.load(second / "state.npz") as b:
        assert len(a.files) > 10
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    ours, theirs = (load_file(w / "pretrained" / "model.safetensors") for w in (first, second))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert losses(first) == losses(second)
    assert len(losses(first)) == steps


@pytest.fixture(scope="module")
def undisturbed(compile_cache, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    finish(start(workdir))
    return workdir


def test_killed_while_saving_resumes_bit_for_bit(undisturbed, tmp_path):
    process = start(tmp_path, every=1, seconds=0.02)
    checkpoints = tmp_path / "checkpoints"
    # The newest checkpoint is being written, others are there.
    wait_for(
        lambda: len(list(checkpoints.glob("*"))) > 2 and any(checkpoints.glob("[5-9].orbax-checkpoint-tmp")), process
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "pretrained").exists()
    (checkpoints / "12.orbax-checkpoint-tmp").mkdir(exist_ok=True)  # what a kill at another moment leaves behind
    finish(start(tmp_path))
    assert_same_end(undisturbed, tmp_path)


@pytest.mark.slow
def test_killed_at_random_moments_again_and_again(tmp_path):
    rng, kills = random.Random(0), 0
    options = {"steps": 80, "ballast": 80_000}  # far more steps than eight runs take before they are killed
    while kills < 8:
        process = start(tmp_path, every=1, seconds=SLOW, **options)
        reached = max(lines(tmp_path), default=0)
        wait_for(lambda reached=reached: max(lines(tmp_path), default=0) > reached, process)
        time.sleep(rng.uniform(0, 3 * SLOW))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    whole = tmp_path / "whole"
    whole.mkdir()
    finish(start(tmp_path, **options), start(whole, **options))
    assert_same_end(whole, tmp_path, options["steps"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, to mount a small disk")
def test_a_full_disk_leaves_the_checkpoint_before_and_says_so(tmp_path):
    script = """
    mount -t tmpfs -o size=6m tmpfs "$0" && { "$@"; echo "exit code $?"; ls "$0/checkpoints"
    mount -o remount,size=60m "$0" && "$@" && rm -r "$0/checkpoints" "$0/tensorboard" && cp -r "$0" "$0.kept"; }
    """
    disk, whole = tmp_path / "disk", tmp_path / "whole"
    disk.mkdir()
    whole.mkdir()
    ballast = {"ballast": 400_000}
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(disk)]
    process = processes.popen([*command, *processes.command(disk, STEPS, **ballast)], 2)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, (out, err)
    assert "exit code 2\n" in out
    assert "Traceback" not in err, err
    (told,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "there is no room left on the disk of" in told
    assert "its newest checkpoint, of step 6, is whole: make room and give the same command again" in told
    assert "from step 6 " in out
    finish(processes.start(whole, STEPS, **ballast))
    assert_same_end(whole, tmp_path / "disk.kept")


def test_a_second_run_in_one_workdir_is_refused(tmp_path):
    first = start(tmp_path, seconds=60.0)
    wait_for(lambda: (tmp_path / "lock").exists() and (tmp_path / "lock").read_text(), first)
    second = start(tmp_path)
    _, err = second.communicate(timeout=120)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.returncode == 2, err
    assert f"error: {tmp_path} is in use by another run (process {first.pid} on" in err
    with WorkdirLock(tmp_path):  # what a killed process leaves behind blocks nobody
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_sigterm_saves_and_exits_zero(undisturbed, tmp_path):
    process = start(tmp_path, seconds=SLOW)
    wait_for(lambda: 4 in lines(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)  # a second one changes nothing
    assert "stopped by SIGTERM after step" in finish(process)
    assert time.monotonic() - began < 20  # a step and a save; far more on a machine with much else to do
    saved = max(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
    assert 4 <= saved < STEPS
    assert saved == max(lines(tmp_path))
    assert not (tmp_path / "pretrained").exists()
    assert f"from step {saved} " in finish(start(tmp_path))
    assert_same_end(undisturbed, tmp_path)
