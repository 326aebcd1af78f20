import pytest

from astra_jax.errors import UserError
from astra_jax.weights.drafts import draft_of


def names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with draft_of(tmp_path / "a" / "b") as draft:
        (draft / "inner").mkdir()
        (draft / "inner" / "x").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    assert names(tmp_path) == ["a/b/inner/x"]
    with draft_of(tmp_path / "a" / "b" / "empty") as draft:
        (draft / "y").write_text("2")
    assert names(tmp_path) == ["a/b/empty/y", "a/b/inner/x"]


def test_an_older_one_is_replaced_whole_and_kept_where_the_new_one_fails(tmp_path):
    target = tmp_path / "out"
    for name in ("x", "y"):
        with draft_of(target, {"x", "y"}) as draft:
            (draft / name).write_text("")
    assert names(tmp_path) == ["out/y"]

    def fail(error):
        with draft_of(target, {"y"}) as draft:
            (draft / "x").write_text("")
            raise error

    with pytest.raises(RuntimeError):
        fail(RuntimeError())
    with pytest.raises(UserError, match="cannot write .*out: No space left on device: choose another folder"):
        fail(OSError(28, "No space left on device"))
    assert names(tmp_path) == ["out/y"]


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for folder in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(UserError, match="holds other files: choose a new or empty folder"), draft_of(folder, {"x"}):
            raise AssertionError("the block must not run")
    assert names(tmp_path) == ["thesis.tex"]
