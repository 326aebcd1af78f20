import pytest

from astra_jax.whole_files import draft_of, write_whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    with draft_of(path) as draft:
        draft.write_bytes(b"new")
        assert draft.parent == path.parent
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def half_a_file(path):
    with draft_of(path) as draft:
        draft.write_bytes(b"half")
        raise OSError("full")


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    with pytest.raises(OSError, match="full"):
        half_a_file(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
