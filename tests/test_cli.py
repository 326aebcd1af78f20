import importlib.util
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from astra_jax import cli
from astra_jax.errors import UserError

PROGRAM = """
from absl import flags
from astra_jax import cli
from astra_jax.errors import UserError
number = flags.DEFINE_integer("number", 0, "n")
def main(argv):
    if number.value == 1: raise UserError("first line\\nsecond line")
    if number.value == 2: raise RuntimeError("a bug")
    if number.value == 3: raise KeyboardInterrupt
    print("fine")
cli.run(main)
"""


def run(*arguments):
    return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60)


def test_message_is_one_line():
    assert str(UserError("a\n b\t c")) == "a b c"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--number=1"], 2, "error: first line second line\n"),
        (["--number=x"], 2, "error: flag --number=x"),
        (["--nubmer=1"], 2, "error: Unknown command line flag 'nubmer'"),
        (["stray"], 2, "error: unexpected argument 'stray'"),
        (["--number=3"], 130, "interrupted\n"),
    ],
)
def test_mistakes_end_in_one_line(arguments, code, message):
    done = run(*arguments)
    assert done.returncode == code
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_bugs_keep_their_traceback_and_success_is_zero():
    bug = run("--number=2")
    assert bug.returncode == 1
    assert "RuntimeError: a bug" in bug.stderr
    fine = run()
    assert (fine.returncode, fine.stdout) == (0, "fine\n")


PLATFORMS = """
import jax
from astra_jax import cli
cli.guard(lambda: print(jax.default_backend(), jax.config.jax_platforms))
"""
REAL = [found for pattern in cli._DEVICES for found in pathlib.Path("/dev").glob(pattern)]


def platforms(**environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("JAX_PLATFORMS", *cli._TPU_VARIABLES)}
    command = [sys.executable, "-c", PLATFORMS]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu")
@pytest.mark.skipif(bool(REAL), reason="needs a machine without an accelerator")
def test_nothing_is_said_of_a_tpu_that_is_not_there():
    done = platforms()
    assert (done.returncode, done.stdout, done.stderr) == (0, "cpu cpu\n", "")


@pytest.fixture
def undecided(tmp_path, monkeypatch):
    """A machine with libtpu on which nothing else decides what jax uses, and its empty folder of devices."""
    for name in (*cli._TPU_VARIABLES, cli._PLUGIN_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    specs = {"libtpu": "found"}
    monkeypatch.setattr(cli.importlib.util, "find_spec", specs.get)
    monkeypatch.setattr(cli.importlib.metadata, "entry_points", lambda group: ())
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", None)
    yield specs, tmp_path
    jax.config.update("jax_platforms", before)


def decided(devices):
    cli.leave_out_absent_tpu(devices)
    return jax.config.jax_platforms


def test_without_an_accelerator_the_cpu_is_used(undecided):
    assert decided(undecided[1]) == "cpu"


@pytest.mark.parametrize("device", ["accel0", "vfio/0", "nvidia0", "nvidiactl", "dxg", "kfd"])
def test_a_device_leaves_the_choice_to_jax(undecided, device):
    (undecided[1] / device).parent.mkdir(exist_ok=True)
    (undecided[1] / device).touch()
    assert decided(undecided[1]) is None


@pytest.mark.parametrize("name", [*cli._TPU_VARIABLES, cli._PLUGIN_VARIABLE])
def test_a_variable_leaves_the_choice_to_jax(undecided, monkeypatch, name):
    monkeypatch.setenv(name, "0")
    assert decided(undecided[1]) is None


def test_plugins_and_the_users_own_choice_are_left_alone(undecided, monkeypatch):
    specs, devices = undecided
    specs["jax_plugins"] = "found"
    assert decided(devices) is None
    del specs["jax_plugins"]
    monkeypatch.setattr(cli.importlib.metadata, "entry_points", lambda group: (group,))
    assert decided(devices) is None
    monkeypatch.setattr(cli.importlib.metadata, "entry_points", lambda group: ())
    del specs["libtpu"]
    assert decided(devices) is None
    specs["libtpu"] = "found"
    jax.config.update("jax_platforms", "tpu,cpu")
    assert decided(devices) == "tpu,cpu"
