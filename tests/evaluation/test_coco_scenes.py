"""The benchmark's scenes: what the frozen list names, whose words are whose, and what a bank must not hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.evaluation.coco_scenes import check_held_out, read_scenes, subject_phrases
from astra_jax.inputs.placement import find_phrases
from astra_jax.pose.curation import curate
from astra_jax.pose.database import PoseEntry
from astra_jax.pose.sources import read_pictures
from tests.evaluation.coco_files import HEIGHT, WIDTH, annotation, joints, write_coco, write_list


def test_scenes_are_what_the_list_names_in_its_order(tmp_path):
    crowd = annotation(5, 12, joints(190), iscrowd=1)
    files = write_coco(tmp_path, [crowd])
    listed = write_list(tmp_path / "list", [(14, 140), (12, 121), (11, 111)])
    scenes = read_scenes(listed, *files)
    assert [scene.image for scene in scenes] == ["14", "12", "11"]
    assert [scene.phrases for scene in scenes] == [("a man", "a woman", "a girl"), ("a woman", "a man"), ("a man",)]
    assert scenes[1].prompt == "A woman waving at a man."
    assert scenes[1].size == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(scenes[1].people, [joints(10, 40), joints(150)])


def test_bare_groups_have_no_words_of_their_own(tmp_path):
    files = write_coco(tmp_path)
    (scene,) = read_scenes(write_list(tmp_path / "list", [(12, 120)]), *files)
    assert (scene.phrases, len(scene.people)) == ((), 2)


@pytest.mark.parametrize(
    ("prompt", "phrases"),
    [
        ("A man hugging his wife", ("a man", "his wife")),
        ("Two men and a small boy", ("a small boy",)),
        ("A man, a man and a dog", ("a man", "a man")),
        ("Nobody is here", ()),
    ],
)
def test_phrases_are_those_of_single_people(prompt, phrases):
    assert subject_phrases(prompt) == phrases
    find_phrases(prompt, phrases)


TEXT = "a the two man woman men boy's 's tall, old and young person people of hugging his - wife"
WORDS = st.sampled_from(TEXT.split(" "))


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_any_phrases_can_be_placed(prompt):
    find_phrases(prompt, subject_phrases(prompt))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(99, 111)], r"has nobody in picture 99: .* cocodataset\.org"),
        ([(11, 5)], r"no caption 5 of picture 11"),
        ([(11, 121)], r"no caption 121 of picture 11"),
        ([(11, 111), (11, 110)], r"damaged: it must be numbers, one a line, each once"),
        ([("x", 111)], r"damaged: it must be numbers"),
        ([("1" * 5000, 111)], r"damaged: it must be numbers"),
    ],
)
def test_what_does_not_fit_the_annotations_is_told(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        read_scenes(write_list(tmp_path / "list", rows), *write_coco(tmp_path))


def test_missing_annotations_name_their_source(tmp_path):
    keypoints, captions = write_coco(tmp_path)
    listed = write_list(tmp_path / "list", [(11, 111)])
    with pytest.raises(UserError, match=r"none.json is not there: annotations_trainval2017.zip of cocodataset.org"):
        read_scenes(listed, tmp_path / "none.json", captions)
    (listed / "captions.txt").write_text("111\n130\n")
    with pytest.raises(UserError, match="1 images and 2 captions"):
        read_scenes(listed, keypoints, captions)


def entry(name, source):
    return PoseEntry(name, joints(20)[None].astype(np.float32), 200, 300, ("a man",), source=source)


def test_what_curation_makes_of_the_same_pictures_is_refused(tmp_path):
    pictures = [picture for picture in read_pictures(*write_coco(tmp_path)) if picture.id == "11"]
    entries, _ = curate(pictures, "COCO 2017", "CC BY 4.0")
    assert [entry.id for entry in entries] == ["coco-2017-11"]
    with pytest.raises(UserError, match=r"the pose bank holds 1 pictures .*, such as 11: .*--exclude"):
        check_held_out(entries, ["11"])
    check_held_out(entries, ["111", "1", "2017"])


@pytest.mark.parametrize(
    ("name", "source", "inside"),
    [
        ("a-785", "set 785 http://images.cocodataset.org/val2017/000000000785.jpg", True),
        ("mine", "http://images.cocodataset.org/val2017/000000000785.jpg", True),
        ("poses-000000000785", "", True),
        ("wave-785", "a library of actions", False),
        ("mine", "photo 1000000000785", False),
    ],
)
def test_provenance_is_told_by_id_and_source(name, source, inside):
    if inside:
        with pytest.raises(UserError, match="such as 785"):
            check_held_out([entry(name, source)], ["785", "42"])
    else:
        check_held_out([entry(name, source)], ["785", "42"])
