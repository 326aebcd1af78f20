import json

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.pictures import Picture
from astra_jax.pose.vcoco import join_actions, read_actions

LINE = {"image_id": 7, "row": 3, "actions": [["ride", "instr", "horse", [0, 0, 1, 1]]], "plain": ["smile"]}
RIDE, SMILE = ("ride", "instr", "horse"), ("smile", "", "")


def write(path, *lines):
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_people_are_found_by_row_and_by_annotation(tmp_path):
    path = write(tmp_path / "a.jsonl", {**LINE, "coco_ann_id": 99}, {**LINE, "row": 5, "plain": []})
    assert read_actions(path) == {("7", 3): (RIDE, SMILE), ("7", 99): (RIDE, SMILE), ("7", 5): (RIDE,)}


def test_what_is_known_makes_one_more_caption(tmp_path):
    def picture(name, numbers, captions=()):
        many = len(numbers)
        return Picture(
            name,
            9,
            9,
            np.zeros((many, 17, 3)),
            np.zeros((many, 4)),
            np.zeros(many),
            np.zeros(many, bool),
            np.array(numbers),
            captions,
        )

    actions = {("7", 3): (RIDE, SMILE), ("8", 4): (SMILE,)}
    joined = join_actions([picture("7", [2, 3], ("a man",)), picture("9", [3]), picture("8", [4, 4])], actions)
    assert [one.verbs for one in joined] == [
        "person riding horse, smiling",
        "",
        "person smiling and person smiling",
    ]
    assert joined[0].captions == ("a man",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"row": 3}, "line 2: no person with actions"),
        ([], "line 2: no person"),
        ({**LINE, "actions": [["ride"]]}, "line 2: no person"),
        ({**LINE, "plain": ["fly"]}, "'fly' is no verb of V-COCO"),
        ({**LINE, "plain": [3]}, "that is no text"),
        ({**LINE, "row": "3"}, "must be whole numbers"),
        ({**LINE, "coco_ann_id": None}, "must be whole numbers"),
    ],
)
def test_other_lines(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        read_actions(write(tmp_path / "a.jsonl", LINE, line))


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        read_actions(tmp_path / "none.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no text"):
        read_actions(tmp_path / "b.jsonl")
