import pytest

from astra_jax.errors import UserError
from astra_jax.training.lock import WorkdirLock


def test_one_at_a_time(tmp_path):
    message = f"{tmp_path} is in use by another run .process .* on .*: let it end"
    with WorkdirLock(tmp_path), pytest.raises(UserError, match=message):
        WorkdirLock(tmp_path)
    with WorkdirLock(tmp_path):
        pass


def test_a_file_that_is_left_behind_blocks_nobody(tmp_path):
    (tmp_path / "lock").write_text("process 1 on another machine, a longer line than ours, of a run long dead" * 9)
    with WorkdirLock(tmp_path), pytest.raises(UserError) as told:
        WorkdirLock(tmp_path)
    assert "long dead" not in str(told.value)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    with pytest.raises(UserError, match="No such file or directory: choose a --workdir you can write to"):
        WorkdirLock(tmp_path / "nowhere")
