"""Pictures that somebody else drew, found by case and number."""

import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.folders import find_pictures
from astra_jax.evaluation.samples import Case
from astra_jax.inputs.requests import Request

CASES = [Case("0", Request("a dog", num_images=2)), Case("man-1", Request("a man"))]


def put(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")


def test_all_pictures_of_all_cases_in_any_format(tmp_path):
    put(tmp_path, "0_0.png", "0_1.JPG", "man-1_0.webp", "notes.txt", "7_0.png")
    found = find_pictures(tmp_path, CASES)
    assert {key: path.name for key, path in found.items()} == {
        ("0", 0): "0_0.png",
        ("0", 1): "0_1.JPG",
        ("man-1", 0): "man-1_0.webp",
    }


def test_missing_pictures_are_counted_and_the_first_is_named(tmp_path):
    put(tmp_path, "0_0.png")
    with pytest.raises(UserError, match=r"lacks 2 of 3 pictures, the first of them 0_1.png.*--partial"):
        find_pictures(tmp_path, CASES)
    assert list(find_pictures(tmp_path, CASES, partial=True)) == [("0", 0)]


def test_an_empty_folder_and_none_at_all(tmp_path):
    with pytest.raises(UserError, match="lacks 3 of 3"):
        find_pictures(tmp_path, CASES, partial=True)
    with pytest.raises(UserError, match="no such folder"):
        find_pictures(tmp_path / "none", CASES)


def test_two_files_of_one_picture_are_refused(tmp_path):
    put(tmp_path, "0_0.png", "0_0.jpg", "0_1.png", "man-1_0.png")
    with pytest.raises(UserError, match="0_0.png and 0_0.jpg"):
        find_pictures(tmp_path, CASES)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a_0", "a.png"])
def test_an_id_that_is_no_file_name_is_a_programming_error(name):
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        Case(name, Request("a dog"))
