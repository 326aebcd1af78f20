import logging
import pathlib

import pytest

from astra_jax.errors import UserError
from astra_jax.training.disk import full_disk_is_told, is_full


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


def test_what_is_told_once_is_not_logged(tmp_path, caplog):
    logger = logging.getLogger("absl")

    def log():
        try:
            fill()
        except OSError:
            logger.error("a thread failed", exc_info=True)

    with full_disk_is_told(tmp_path):
        log()
        logger.error("something else")
    log()
    assert [record.message for record in caplog.records] == ["something else", "a thread failed"]
