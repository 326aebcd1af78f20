import re

import pytest

from astra_jax.errors import UserError
from astra_jax.training.trace import Trace, parse_steps


def test_steps_are_two_numbers():
    assert parse_steps("10:14") == (10, 14)


@pytest.mark.parametrize("text", ["", "10", "10:", ":14", "-1:4", "1:2:3", "a:b", "1.5:2", "1 :2", "1:9999999999"])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match="is not START:STOP"):
        parse_steps(text)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ((14, 10), "--profile 14:10 ends before it starts"),
        ((1, 101), "are more than 100 steps"),
        ((0, 3), "does not lie within this run, which does steps 1 to 50"),
        ((48, 51), "does not lie within this run"),
    ],
)
def test_steps_that_a_run_does_not_have_are_refused(tmp_path, chosen, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Trace(tmp_path, chosen, 0, 50)


def test_without_steps_nothing_starts(tmp_path):
    trace = Trace(tmp_path, None, 0, 50)
    assert not any(trace.starts_at(step) or trace.ends_at(step) for step in range(52))
    trace.stop()
    assert not list(tmp_path.iterdir())
