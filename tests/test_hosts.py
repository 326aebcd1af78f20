import os
import pathlib
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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


def test_a_time_limit_is_a_second_at_least():
    with pytest.raises(UserError, match="--coordinator_timeout must be at least 1 second, not 0"):
        connect("10.0.0.1:8476", 2, 0, timeout=0)


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


def test_all_that_are_there_say_who_does_not_come():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    with ThreadPoolExecutor() as pool:
        programs = [f"cli.guard(lambda: hosts.connect({place!r}, 3, {index}, timeout=5))" for index in range(2)]
        for result in pool.map(child, programs):
            assert result.returncode == 2, result.stderr
            assert result.stderr == "error: not all of the 3 processes are there after 5 s: start the others, too\n"


@pytest.mark.slow
def test_the_environment_says_who_we_are():
    slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_LOCALID": "0", "SLURM_NTASKS": "2"}
    slurm |= {"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_GPUS_ON_NODE": "4"}
    say = (
        "import jax as j; hosts.connect(); print(j.process_index(), j.process_count(), j.distributed.is_initialized())"
    )
    assert child(say).stdout == "0 1 False\n"
    assert child(say, **slurm | {"SLURM_NTASKS": "1"}, SLURM_PROCID="0").stdout == "0 1 False\n"
    say += "; print(j.config.values['jax_cuda_visible_devices'])"
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda index: child(say, **slurm, SLURM_PROCID=index), "01"))
    assert [result.stdout for result in both] == ["0 2 True\n0,1,2,3\n", "1 2 True\n0,1,2,3\n"], both
    result = child(f"cli.guard(lambda: exec({say!r}))", JAX_COORDINATOR_ADDRESS="127.0.0.1:9")
    assert result.returncode == 2, result.stderr
    assert "error: the environment names processes that do not fit together" in result.stderr
