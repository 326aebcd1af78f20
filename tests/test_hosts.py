import os
import pathlib
import subprocess
import sys

import pytest

from astra_jax.errors import UserError
from astra_jax.hosts import connect, together, wait_for_all

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("10.0.0.1:8476", 2, None), "--process_id missing: give --coordinator, --processes and --process_id, or none"),
        ((None, 2, None), "--coordinator and --process_id missing"),
        (("10.0.0.1", 2, 0), "--coordinator '10.0.0.1' is not HOST:PORT"),
        (("10.0.0.1:99999", 2, 0), "is not HOST:PORT"),
        ((":8476", 2, 0), "is not HOST:PORT"),
        (("10.0.0.1:8476", 2, 2), "--process_id 2 is not one of the 2 --processes"),
        (("10.0.0.1:8476", 2, -1), "--process_id -1 is not one of the 2 --processes"),
        (("10.0.0.1:8476", 0, 0), "--process_id 0 is not one of the 0 --processes"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        connect(*given)


def test_a_process_alone_connects_to_nobody():
    connect("10.0.0.1:8476", 1, 0)
    assert together(lambda: 3) == 3
    wait_for_all("here")

    def refuse():
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        together(refuse)


def child(program, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | environment
    command = [sys.executable, "-c", f"from astra_jax import cli, hosts\n{program}"]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=100)


def test_processes_that_do_not_come_are_told_in_one_line():
    result = child("cli.guard(lambda: hosts.connect('127.0.0.1:9', 2, 1, timeout=1))")
    assert result.returncode == 2, result.stderr
    assert "error: process 0 does not answer at --coordinator 127.0.0.1:9 within 1 s" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_environment_says_who_we_are():
    slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_LOCALID": "0", "SLURM_NTASKS": "1"}
    say = "import jax; hosts.connect(); print(jax.process_index(), jax.process_count(), jax.distributed.is_initialized())"
    assert child(say).stdout == "0 1 False\n"
    result = child(say, **slurm, SLURM_PROCID="0")
    assert result.stdout == "0 1 True\n", result.stderr
    result = child(f"cli.guard(lambda: exec({say!r}))", JAX_COORDINATOR_ADDRESS="127.0.0.1:9")
    assert result.returncode == 2, result.stderr
    assert "error: the environment names processes that do not fit together" in result.stderr
