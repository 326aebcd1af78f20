import json

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.openpose_form import write_openpose
from astra_jax.pose.sources import read_ids, read_pictures


@pytest.fixture
def folder(tmp_path, make_people):
    """The same picture 7 in all four forms, with captions and actions."""
    people = make_people(2)
    rows = [
        {"id": 50 + i, "image_id": 7, "keypoints": person.ravel().tolist(), "bbox": [0, 0, 50, 90]}
        for i, person in enumerate(people)
    ]
    tree = {"images": [{"id": 7, "width": 90, "height": 100}], "annotations": rows}
    (tmp_path / "coco.json").write_text(json.dumps(tree))
    arrays = {"image_id": [7, 7], "image_wh": [[90, 100]] * 2, "bbox_xywh": [[0, 0, 50, 90]] * 2, "keypoints": people}
    np.savez(tmp_path / "coco.npz", **arrays)
    line = {"id": 7, "height": 100, "width": 90, "people": rows}
    (tmp_path / "own.jsonl").write_text(json.dumps(line))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "7.json").write_text(json.dumps(write_openpose(people, (100, 90))))
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": [{"image_id": 7, "caption": "two men"}]}))
    action = {"image_id": 7, "row": 1, "coco_ann_id": 51, "actions": [], "plain": ["walk"]}
    (tmp_path / "actions.jsonl").write_text(json.dumps(action))
    return tmp_path


@pytest.mark.parametrize("name", ["coco.json", "coco.npz", "own.jsonl", "folder"])
def test_all_forms_say_the_same(folder, make_people, name):
    (picture,) = read_pictures(folder / name, folder / "captions.json")
    assert (picture.id, picture.height, picture.width, picture.captions) == ("7", 100, 90, ("two men",))
    np.testing.assert_allclose(picture.people, make_people(2), rtol=1e-5)


@pytest.mark.parametrize("name", ["coco.json", "coco.npz"])
def test_verbs_make_a_caption(folder, name):
    (picture,) = read_pictures(folder / name, actions=folder / "actions.jsonl")
    assert (picture.captions, picture.verbs) == ((), "person walking")


def test_files_that_do_not_belong_together(folder):
    (folder / "captions.json").write_text(json.dumps({"annotations": [{"image_id": 8, "caption": "two men"}]}))
    with pytest.raises(UserError, match=r"captions.json says nothing of the pictures of .*coco.npz: do they belong"):
        read_pictures(folder / "coco.npz", folder / "captions.json")
    with pytest.raises(UserError, match=r"actions.jsonl says nothing of the pictures of .*own.jsonl"):
        read_pictures(folder / "own.jsonl", actions=folder / "actions.jsonl")


def test_ids(tmp_path):
    (tmp_path / "ids.txt").write_text("7\n b/1 \n\n")
    (tmp_path / "ids.json").write_text('[7, "b/1"]')
    assert read_ids(tmp_path / "ids.txt") == read_ids(tmp_path / "ids.json") == {"7", "b/1"}
    (tmp_path / "ids.json").write_text('{"a": 1}')
    with pytest.raises(UserError, match="must be a list of ids"):
        read_ids(tmp_path / "ids.json")
    with pytest.raises(UserError, match="cannot read"):
        read_ids(tmp_path / "none.txt")
    (tmp_path / "ids.json").write_text("[true]")
    with pytest.raises(UserError, match="must be a list of ids"):
        read_ids(tmp_path / "ids.json")
    (tmp_path / "ids.txt").write_text("my dances/1\r\n 8 \n")
    assert read_ids(tmp_path / "ids.txt") == {"my dances/1", "8"}
    (tmp_path / "ids.txt").write_bytes(b"\xff")
    with pytest.raises(UserError, match="is no text"):
        read_ids(tmp_path / "ids.txt")
