import subprocess
import sys

import pytest

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
