"""Several real processes on this machine train as one does: jax.distributed, gloo collectives, Orbax together."""

import pathlib
import signal
import sys
import time

import jax
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))

import processes
import regression
from processes import finish, lines, losses, start_all, wait_for

from astra_jax.config import MeshConfig
from astra_jax.training.loop import train

STEPS = 9


def alone(workdir, devices, steps=STEPS, **mesh):
    """The same run in this process."""
    workdir.mkdir(exist_ok=True)
    mesh = MeshConfig(**({"data": 1, "fsdp": -1} | mesh))
    config = regression.make_config(steps=steps, checkpoint_every=3, log_every=1, mesh=mesh)
    train(config, workdir, regression.Regression(), regression.dataset(), devices=jax.devices()[:devices])
    return losses(workdir)


def assert_close(first, second, tolerance=1e-6):
    assert first.keys() == second.keys()
    for step, loss in first.items():
        np.testing.assert_allclose(loss, second[step], rtol=0, atol=tolerance, err_msg=f"step {step}")


def test_two_processes_train_as_one_and_one_goes_on_from_their_checkpoint(tmp_path):
    shared = tmp_path / "shared"
    out = finish(*start_all(shared, 6, 2))
    assert "fsdp 2; from step 0 to 6" in out
    one = alone(tmp_path / "one", 2)
    assert losses(shared) == {step: loss for step, loss in one.items() if step <= 6}  # bit for bit
    # Both have written their part of the checkpoint; one process with one device goes on with the same batches.
    assert {path.name for path in (shared / "checkpoints").iterdir()} == {"3", "6"}
    assert_close(alone(shared, 1), one)


@pytest.mark.slow
def test_four_processes_and_a_mesh_of_data_and_fsdp(tmp_path):
    finish(*start_all(tmp_path / "four", STEPS, 4, mesh={"data": 2, "fsdp": 2}))
    one = alone(tmp_path / "one", 4, data=2, fsdp=2)
    assert_close(losses(tmp_path / "four"), one)  # the last bit depends on the order in which four are added up
    assert_close(alone(tmp_path / "single", 1), one)


@pytest.mark.slow
def test_two_processes_of_two_devices_and_back(tmp_path):
    workdir = tmp_path / "run"
    alone(workdir, 4, steps=3, data=2, fsdp=2)
    # A mesh in which each process's parts of a batch lie apart, as on a pod whose wiring the mesh follows.
    finish(*start_all(workdir, 6, 2, devices=2, mesh={"data": 2, "fsdp": 2}, order=[0, 2, 1, 3]))
    assert_close(alone(workdir, 1), alone(tmp_path / "one", 1))


@pytest.mark.slow
@pytest.mark.parametrize("told", [0, 1])
def test_sigterm_to_one_process_stops_all_at_the_same_step(tmp_path, told):
    workdir = tmp_path / "run"
    run = start_all(workdir, 400, 2, seconds=0.05)
    wait_for(lambda: 5 in lines(workdir), run[0])
    began = time.monotonic()
    for _ in range(3):
        run[told].send_signal(signal.SIGTERM)
        time.sleep(0.2)
    out = finish(*run)
    assert time.monotonic() - began < 30
    assert "stopped by SIGTERM after step" in out
    (saved,) = {max(int(path.name) for path in (workdir / "checkpoints").iterdir()), max(lines(workdir))}
    assert 5 <= saved < 400
    finish(*start_all(workdir, saved + 3, 2))
    assert_close(losses(workdir), alone(tmp_path / "one", 2, steps=saved + 3))


def assert_lost_another(process, said, index):
    """Exit code 2 and one line of ours; jax may add lines of its log (I, W or E and a number), and no traceback."""
    assert process.returncode == 2, said
    (ours,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert ours.startswith(f"error: process {index} of 2 has lost another one, whose own message says why (")
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("failing", [0, 1])
def test_a_process_that_fails_does_not_keep_the_other_waiting(tmp_path, failing):
    run = start_all(tmp_path / "run", 400, 2, seconds=0.02, every=1000, fails_at={str(failing): 7})
    said = [process.communicate(timeout=100)[1] for process in run]
    assert run[failing].returncode == 2
    assert said[failing] == "error: batch 7 is damaged\n"
    assert_lost_another(run[1 - failing], said[1 - failing], 1 - failing)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_is_killed_ends_the_other(tmp_path, killed):
    run = start_all(tmp_path / "run", 4000, 2, seconds=0.02, every=1000)
    wait_for(lambda: 5 in lines(tmp_path / "run"), run[0])
    run[killed].kill()
    said = [process.communicate(timeout=30)[1] for process in run]
    assert_lost_another(run[1 - killed], said[1 - killed], 1 - killed)


@pytest.mark.slow
def test_a_refusal_of_one_process_is_one_of_all(tmp_path):
    with processes.start(tmp_path / "run", 400, seconds=0.1) as holder:  # it makes the folder, too
        (tmp_path / "run").mkdir(exist_ok=True)
        wait_for(lambda: 1 in lines(tmp_path / "run"), holder)
        run = start_all(tmp_path / "run", 6, 2)
        said = [process.communicate(timeout=100) for process in run]
        holder.kill()
    assert [process.returncode for process in run] == [2, 2], said
    assert "is in use by another run" in said[0][1]
    assert "process 0 of 2 refused to go on: its own message says why" in said[1][1]
