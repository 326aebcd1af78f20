import ctypes
import logging
import pathlib
import sys

import pytest

from astra_jax.errors import UserError
from astra_jax.training.disk import full_disk_is_told, is_full

LOGGERS = [logging.getLogger(name) for name in ("absl", "asyncio")]


@pytest.fixture(autouse=True)
def told():
    """What Python tells of errors that nobody can catch; all is as before at the end, as a full disk leaves less."""
    told, tell, filters = [], sys.unraisablehook, [list(logger.filters) for logger in LOGGERS]
    sys.unraisablehook = lambda unraisable: told.append(str(unraisable.exc_value))
    yield told
    sys.unraisablehook = tell
    for logger, before in zip(LOGGERS, filters, strict=True):
        logger.filters[:] = before


def fail_unseen(words):
    """An error in a call from C, as TensorStore's threads make them."""

    def fail():
        raise RuntimeError(words)

    ctypes.CFUNCTYPE(None)(fail)()


def fill():
    with pathlib.Path("/dev/full").open("w") as file:
        file.write("x")


def test_a_write_without_room_is_told(tmp_path):
    message = f"no room left on the disk of {tmp_path}; it holds no checkpoint yet: make"
    with pytest.raises(UserError, match=message), full_disk_is_told(tmp_path):
        fill()
    for step in ("3", "6", "9.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / step).mkdir(parents=True)
    with pytest.raises(UserError, match="its newest checkpoint, of step 6, is whole"), full_disk_is_told(tmp_path):
        raise ValueError("RESOURCE_EXHAUSTED: Failed writing [OS error 28: ENOSPC No space left on device]")


def test_other_errors_stay_what_they_are(tmp_path):
    assert not is_full(ValueError("no such shape"))
    with pytest.raises(FileNotFoundError), full_disk_is_told(tmp_path):
        (tmp_path / "nothing").read_text()


@pytest.mark.parametrize("logger", LOGGERS, ids=lambda logger: logger.name)
def test_what_is_told_once_is_not_logged(tmp_path, caplog, told, logger):
    def log():
        try:
            fill()
        except OSError:
            logger.error("a thread failed", exc_info=True)
        fail_unseen("Event loop is closed")

    with full_disk_is_told(tmp_path):
        log()
        logger.error("something else")
        fail_unseen("another error")
    assert told == ["another error"]
    log()
    assert [record.message for record in caplog.records] == ["something else", "a thread failed"]
    assert told == ["another error", "Event loop is closed"]
    with pytest.raises(UserError), full_disk_is_told(tmp_path):
        fill()
    log()  # threads that are late
    fail_unseen("another error")
    assert len(caplog.records) == 2
    assert told[2:] == ["another error"]
