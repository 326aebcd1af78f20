import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.pose import jsonl_pictures
from astra_jax.pose.jsonl_pictures import read_jsonl
from astra_jax.pose.openpose_form import write_openpose


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        (tmp_path / "file.jsonl").write_text(text, encoding="utf-8")
        return tmp_path / "file.jsonl"

    return write


def line(persons, **changes):
    listed = [{"keypoints": person[:17].ravel().tolist()} for person in persons]
    return {"id": "a", "height": 100, "width": 90, "people": listed, "captions": ["two  men\nwaving", " "]} | changes


def test_everything_is_kept(write, make_people):
    people = make_people(2)
    rest = {"action": "wave", "source": "http://x", "licence": "CC0-1.0"}
    boxed = line(people, id=7, **rest)
    boxed["people"][0] |= {"bbox": [1, 2, 3, 4], "iscrowd": 1}
    first, second = read_jsonl(write(line(people), "", boxed))
    assert (first.id, first.height, first.width, first.captions) == ("a", 100, 90, ("two men waving",))
    np.testing.assert_allclose(first.people, people, rtol=1e-6)
    low, high = people[0, :, :2].min(axis=0), people[0, :, :2].max(axis=0)
    np.testing.assert_allclose(first.boxes[0], [*low, *(high - low)], rtol=1e-6)
    assert (first.action, first.source, first.licence, first.crowd.tolist()) == ("", "", "", [False, False])
    assert (second.id, second.action, second.source, second.licence) == ("7", "wave", "http://x", "CC0-1.0")
    np.testing.assert_array_equal(second.boxes[0], [1, 2, 3, 4])
    assert second.crowd.tolist() == [True, False]


def test_whole_bodies_and_openpose(write, make_whole_people):
    whole = make_whole_people(2)
    flat = [{"keypoints": person.ravel().tolist()} for person in whole]
    openpose = write_openpose(whole, (100, 90))["people"]
    for picture in read_jsonl(write(line(whole, people=flat), line(whole, id="b", people=openpose))):
        np.testing.assert_allclose(picture.people, whole, rtol=1e-5)


def test_texts_are_one_line(write, make_people):
    (picture,) = read_jsonl(write(line(make_people(1), source="a\u2028b", licence="c\nd", action=" wave\x85")))
    assert (picture.source, picture.licence, picture.action) == ("a b", "c d", "wave")


def test_nobody_and_somebody_without_a_joint(write):
    nobody, bare = read_jsonl(write(line([], id="x"), line(np.zeros((1, 17, 3)))))
    assert nobody.people.shape == (0, 17, 3)
    assert bare.people.shape == (1, 17, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": None}, "line 2 has no list 'people'"),
        ({"id": ""}, "line 2 has no id"),
        ({"id": True}, "line 2 has no id"),
        ({"id": "a"}, "line 2: the id 'a' is there twice"),
        ({"captions": "a man"}, "captions must be a list of texts"),
        ({"captions": [1]}, "captions must be a list of texts"),
        ({"action": 3}, "action, source, licence texts"),
        ({"height": -3}, "line 2: height and width must be whole numbers"),
        ({"height": None}, "line 2: height and width must be whole numbers"),
        ({"people": [{"keypoints": [1, 2, 2] * 16}]}, "line 2: a person has 16 joints"),
        ({"people": [{"keypoints": [float("nan"), 2, 2] * 17}]}, "line 2: a person's joints are not made of finite"),
        ({"people": [{"keypoints": [1, 2, 2] * 17, "bbox": [1, 2, -3, 4]}]}, "a bbox is negative"),
        ({"people": [{"keypoints": [1, 2, 2] * 17, "bbox": [1, 2, float("inf"), 4]}]}, "or not finite"),
        ({"people": [{"keypoints": [1, 2, 2] * 17, "bbox": "x"}]}, "a bbox is not x, y, width and height"),
        ({"people": [3]}, "line 2 holds no people"),
        ({"people": [{"pose_keypoints_2d": []}]}, "line 2: a person has 0 joints"),
    ],
)
def test_bad_lines(write, make_people, change, message):
    with pytest.raises(UserError, match=message):
        list(read_jsonl(write(line(make_people(1)), line(make_people(1), **{"id": "b"} | change))))


def test_other_files(write, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="cannot read"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match="line 1 is no JSON"):
        list(read_jsonl(write("{")))
    with pytest.raises(UserError, match="has no height and width"):
        list(read_jsonl(write({"id": 1, "people": []})))
    (tmp_path / "file.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="line 1 is no JSON"):
        list(read_jsonl(tmp_path / "file.jsonl"))
    monkeypatch.setattr(jsonl_pictures, "MAX_LINE_BYTES", 100)
    with pytest.raises(UserError, match="line 1 has more than"):
        list(read_jsonl(write("x" * 101)))


_NAMES = ("id", "height", "width", "people", "captions", "keypoints", "bbox", "pose_keypoints_2d", "x")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_read_or_refused(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(json.dumps(tree))
    with contextlib.suppress(UserError):
        list(read_jsonl(path))
