"""DreamBench's files, and what a hostile or incomplete copy of them leads to."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation import dreambench_data
from astra_jax.evaluation.dreambench_data import Subject, dreambooth_entries, read_subjects, uno_entries
from tests.evaluation.colours import BLUE, GREEN, RED, plain

TABLE = """Classes

subject_name,class
cat2,cat
red_mug,coffee mug
boot,boot

Prompts

Object Prompts

prompt_list = [
'a {0} {1} in the jungle'.format(unique_token, class_token),
'a cube shaped {0} {1}'.format(unique_token, class_token)
]

Live Subject Prompts

prompt_list = [
'a {0} {1} wearing a red hat'.format(unique_token, class_token)
]
"""
PHOTOS = {"cat2": (RED, (255, 128, 0)), "red_mug": (GREEN, (0, 255, 128), (0, 255, 64)), "boot": (BLUE, (0, 0, 128))}


@pytest.fixture
def folder(tmp_path):
    """Three subjects of two or three photos of plain colours."""
    folder = tmp_path / "dataset"
    for name, colours in PHOTOS.items():
        (folder / name).mkdir(parents=True)
        for number, colour in enumerate(colours):
            Image.fromarray(plain(colour)).save(folder / name / f"{number:02d}.png")
        (folder / name / "notes.txt").write_text("no photo")
    (folder / "prompts_and_classes.txt").write_text(TABLE)
    return folder


def write(folder, items):
    path = folder / "dreambench.json"
    path.write_text(json.dumps(items))
    return path


def test_subjects_and_the_prompts_of_their_kind(folder):
    subjects = read_subjects(folder)
    assert {name: (one.kind, len(one.photos)) for name, one in subjects.items()} == {
        "cat2": ("cat", 2), "red_mug": ("coffee mug", 3), "boot": ("boot", 2)
    }  # fmt: skip
    entries = dreambooth_entries(folder, subjects)
    assert [(entry.prompt, entry.phrases, entry.photos[0].name) for entry in entries] == [
        ("a cat wearing a red hat", ("a cat",), "00.png"),
        ("a coffee mug in the jungle", ("a coffee mug",), "00.png"),
        ("a cube shaped coffee mug", ("a cube shaped coffee mug",), "00.png"),
        ("a boot in the jungle", ("a boot",), "00.png"),
        ("a cube shaped boot", ("a cube shaped boot",), "00.png"),
    ]


def test_unos_entries_find_their_photos_and_their_words(folder):
    paths = [f"./dreambooth/dataset/{name}.png" for name in ("cat2/01", "boot/00")]
    items = [
        {"prompt": "a cat wearing a red hat, next to it is a boot", "image_paths": paths},
        {"prompt": "a cube shaped cat and a cat", "image_paths": paths[:1] * 2},
    ]
    first, second = uno_entries(write(folder, items), read_subjects(folder), 2)
    assert first.subjects == ("cat2", "boot")
    assert first.phrases == ("a cat", "a boot")
    assert [photo.relative_to(folder).as_posix() for photo in first.photos] == ["cat2/01.png", "boot/00.png"]
    assert second.phrases == ("a cube shaped cat", "a cat")


GOOD = {"prompt": "a cat", "image_paths": ["cat2/00.png"]}


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({}, "must be a list of 1 to"),
        ([], "must be a list of 1 to"),
        ([GOOD, 7], "entry 1: must be an object"),
        ([GOOD | {"prompt": " "}], "'prompt' must be a text"),
        ([GOOD | {"prompt": "a" * 10_001}], "'prompt' must be a text of 1 to 10000"),
        ([GOOD | {"image_paths": "cat2/00.png"}], "'image_paths' must be a list"),
        ([GOOD | {"image_paths": []}], "entry 0 has 0 photos in 'image_paths', not 1"),
        ([GOOD, GOOD | {"image_paths": ["cat2/00.png"] * 2}], "entry 1 has 2 photos in 'image_paths', not 1"),
        ([GOOD | {"image_paths": [7]}], "there is no photo '7': get .*google/dreambooth"),
        ([GOOD | {"image_paths": ["cat2/07.png"]}], "there is no photo"),
        ([GOOD | {"image_paths": ["cat2/../../secret.png"]}], "there is no photo"),
        ([GOOD | {"image_paths": ["cat2/notes.txt"]}], "there is no photo"),
        ([GOOD | {"prompt": "a dog"}], "entry 0: the phrase 'cat' is not in the prompt"),
    ],
)
def test_bad_entries_are_named(folder, items, message):
    with pytest.raises(UserError, match=message):
        uno_entries(write(folder, items), read_subjects(folder), 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8), lambda kids: st.lists(kids, max_size=3), max_leaves=5
)


@settings(deadline=None)  # an example writes a file, and how long that takes is not ours
@given(st.lists(st.dictionaries(st.sampled_from(["prompt", "image_paths"]), json_values, max_size=2), max_size=3))
def test_any_list_is_read_or_refused(tmp_path_factory, items):
    path = write(tmp_path_factory.getbasetemp(), items)
    subjects = {"cat2": Subject("cat2", "cat", (Path("cat2/00.png"),))}
    with pytest.raises(UserError):
        uno_entries(path, subjects, 1)  # no text of these names a photo


def test_a_list_of_single_subjects_is_none_of_pairs(folder):
    with pytest.raises(UserError, match=r"entry 0 has 1 photos in 'image_paths', not 2.*: .*multiip\.json"):
        uno_entries(write(folder, [GOOD]), read_subjects(folder), 2)


def test_missing_data_name_their_source(folder, monkeypatch):
    with pytest.raises(UserError, match=r"cannot be read .*github\.com/google/dreambooth, with prompts_and_classes"):
        read_subjects(folder / "cat2")
    with pytest.raises(UserError, match=r"is not there: .*github\.com/bytedance/UNO has dreambench_singleip\.json"):
        uno_entries(folder / "none.json", read_subjects(folder), 1)
    (folder / "boot" / "00.png").unlink()
    (folder / "boot" / "01.png").unlink()
    with pytest.raises(UserError, match="boot has 0 photos"):
        read_subjects(folder)
    (folder / "prompts_and_classes.txt").write_text(TABLE.replace("subject_name", "name"))
    with pytest.raises(UserError, match="no table 'subject_name,class'"):
        read_subjects(folder)
    (folder / "prompts_and_classes.txt").write_bytes(b"\xff")
    with pytest.raises(UserError, match="is no text"):
        read_subjects(folder)
    monkeypatch.setattr(dreambench_data, "MAX_TABLE", 0)
    with pytest.raises(UserError, match="has more than"):
        read_subjects(folder)


def test_a_table_without_prompts_and_subjects_outside(folder):
    (folder / "prompts_and_classes.txt").write_text(TABLE.partition("Live")[0])
    with pytest.raises(UserError, match="no prompts for objects or for live subjects"):
        dreambooth_entries(folder, read_subjects(folder))
    (folder / "prompts_and_classes.txt").write_text(TABLE.replace("cat2,", "../dataset/cat2,"))
    assert "cat2" in read_subjects(folder)  # a name is one folder's: what leads elsewhere is not part of it


@pytest.mark.real_data
def test_the_real_data_set_and_unos_lists_agree():
    root = Path(os.environ["ASTRA_DATA_DIR"])
    subjects = read_subjects(root / "dreambench_512" / "dataset")
    assert (len(subjects), sum(len(one.photos) for one in subjects.values())) == (30, 158)
    lists = root / "uno_dreambench" / "datasets"
    single = uno_entries(lists / "dreambench_singleip.json", subjects, 1)
    ours = dreambooth_entries(root / "dreambench_512" / "dataset", subjects)
    assert [(entry.prompt, entry.subjects) for entry in ours] == [(entry.prompt, entry.subjects) for entry in single]
    assert len(single) == 750
    multi = uno_entries(lists / "dreambench_multiip.json", subjects, 2)
    assert len(multi) == 750
    assert len({entry.photos for entry in multi}) == 30
    assert {len(entry.subjects) for entry in multi} == {2}
