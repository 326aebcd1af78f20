"""Which pictures are chosen, which captions, and that every copy of the annotations gives the same list."""

import os
from pathlib import Path

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.coco import read_captions, read_keypoints
from data.coco_complex_pose.__main__ import FOLDER, run
from data.coco_complex_pose.selection import best_caption, select
from tests.evaluation.coco_files import annotation, joints, write_coco


def chosen(keypoints, captions, **changes):
    return select(read_keypoints(keypoints), read_captions(captions), **changes)


def test_the_most_complex_come_first_with_their_captions(tmp_path):
    rows = chosen(*write_coco(tmp_path))
    assert [row.image for row in rows] != sorted(row.image for row in rows)
    assert [row.complexity for row in rows] == sorted((row.complexity for row in rows), reverse=True)
    assert {row.image: row.caption for row in rows} == {11: 111, 12: 121, 13: 130, 14: 140}
    assert [row.image for row in chosen(*write_coco(tmp_path), cases=2)] == [row.image for row in rows[:2]]


def test_what_only_some_copies_of_the_annotations_have_changes_nothing(tmp_path):
    (tmp_path / "more").mkdir()
    crowd = annotation(5, 11, joints(150), iscrowd=1)
    bare = annotation(6, 12, joints(0) * 0, area=77.0)
    more = [crowd, bare | {"bbox": [0, 0, 300, 200]}]
    assert chosen(*write_coco(tmp_path / "more", more)) == chosen(*write_coco(tmp_path))


def small(points):
    return annotation(5, 13, points, bbox=[0.0, 0.0, 90.0, 180.0])  # 0.53 x 90 x 180 is below 96 x 96


def without(*which):
    points = joints(150)
    points[list(which)] = 0
    return points


@pytest.mark.parametrize(
    "more",
    [small(joints(150)), *(annotation(5, 13, without(*w)) for w in ([5], [12], [0, 1, 2, 3, 4, 7, 8, 9]))],
    ids=["small", "no left shoulder", "no right hip", "nine joints"],
)
def test_one_unfit_person_leaves_the_picture_out(tmp_path, more):
    keypoints, captions = write_coco(tmp_path, [more])
    captions.write_text(captions.read_text().replace("A boy throwing", "Two boys throwing"))
    assert sorted(row.image for row in chosen(keypoints, captions)) == [11, 12, 14]


def test_ten_joints_are_enough_but_the_caption_must_count_everybody(tmp_path):
    second = annotation(5, 13, without(0, 1, 2, 3, 4, 7, 8))
    keypoints, captions = write_coco(tmp_path, [second])
    assert 13 not in [row.image for row in chosen(keypoints, captions)]  # "A boy throwing a ball."
    captions.write_text(captions.read_text().replace("A boy throwing", "Two boys throwing"))
    assert 13 in [row.image for row in chosen(keypoints, captions)]


@pytest.mark.parametrize(
    ("texts", "best"),
    [
        (["Two men on a beach.", "Two men hugging.", "A man hugging a boy.", "A woman hugging a man."], 2),
        (["A man and a woman on a beach.", "Two men hugging."], 1),  # an action before words of one's own
        (["A man hugging somebody.", "Three men hugging."], None),
        ([], None),
    ],
)
def test_the_best_caption_of_two_people(texts, best):
    assert best_caption(list(enumerate(texts)), 2) == best
    assert best_caption(list(enumerate(texts))[::-1], 2) == best


def test_too_few_pictures_write_nothing(tmp_path):
    keypoints, captions = write_coco(tmp_path)
    with pytest.raises(UserError, match="4 pictures that fit, not 500"):
        run(["--keypoints", str(keypoints), "--captions", str(captions), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["person_keypoints_val2017.rebuilt.json", "coco_kpts_val2017.npz"])
def test_the_frozen_list_is_what_the_script_makes(tmp_path, file):
    coco = Path(os.environ["ASTRA_DATA_DIR"]) / "coco_pose"
    captions = coco / "captions_val2017.json"
    run(["--keypoints", str(coco / file), "--captions", str(captions), "--out", str(tmp_path)])
    for name in ("images.txt", "captions.txt"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text()
    images = np.loadtxt(FOLDER / "images.txt", int)
    assert len(set(images)) == len(images) == 500
    pictures = {int(picture.id): picture for picture in read_keypoints(coco / file)}
    assert sum(len(pictures[image].people) == 2 for image in images) == 68
