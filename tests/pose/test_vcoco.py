import json

import pytest

from astra_jax.errors import UserError
from astra_jax.pose.vcoco import read_actions

LINE = {"coco_split": "val2017", "row": 3, "actions": [["ride", "instr", "horse", [0, 0, 1, 1]]], "plain": ["smile"]}


def write(path, *lines):
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_people_of_one_split(tmp_path):
    path = write(
        tmp_path / "a.jsonl", LINE, {**LINE, "coco_split": "train2017", "row": 4}, {**LINE, "row": 5, "plain": []}
    )
    ride = ("ride", "instr", "horse")
    assert read_actions(path, "val2017") == {3: (ride, ("smile", "", "")), 5: (ride,)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"row": 3}, "line 2: no person with actions"),
        ([], "line 2: no person"),
        ({**LINE, "actions": [["ride"]]}, "line 2: no person"),
        ({**LINE, "plain": ["fly"]}, "'fly' is no verb of V-COCO"),
        ({**LINE, "plain": [3]}, "that is no text"),
        ({**LINE, "row": "3"}, "row that is no number"),
    ],
)
def test_other_lines(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        read_actions(write(tmp_path / "a.jsonl", LINE, line), "val2017")


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        read_actions(tmp_path / "none.jsonl", "val2017")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no text"):
        read_actions(tmp_path / "b.jsonl", "val2017")
