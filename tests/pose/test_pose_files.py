import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.pose.drawing import OPENPOSE_FROM_COCO, draw
from astra_jax.pose.pose_files import letterbox, load_people
from astra_jax.pose.skeleton import neck

# OpenPose's own order of its 25 points (openpose/doc/02_output.md), as COCO names.
BODY_25 = ("nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip right_hip "
           "right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear")  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def write(tree):
        path = tmp_path / "pose.json"
        path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
        return path

    return write


def as_body_18(people):
    points = np.concatenate([people, neck(people)[:, None]], axis=1)[:, list(OPENPOSE_FROM_COCO)]
    points[..., 2] /= 2
    return [{"pose_keypoints_2d": p.ravel().tolist()} for p in points]


def as_coco(people, **more):
    return [{"keypoints": p.ravel().tolist(), **more} for p in people]


def test_openpose_18(write, make_people):
    people = make_people(2)
    people[0, 9] = 0
    path = write({"people": as_body_18(people[::-1]), "canvas_height": 100, "canvas_width": 100})
    np.testing.assert_allclose(load_people(path, (100, 100)), people, atol=1e-4)
    np.testing.assert_allclose(load_people(path, (200, 300))[..., 0][people[..., 2] > 0],
                               people[..., 0][people[..., 2] > 0] * 2 + 50, atol=1e-3)  # fmt: skip
    controlnet = write([{"people": as_body_18(people), "canvas_height": 100, "canvas_width": 100}])
    np.testing.assert_allclose(load_people(controlnet, (100, 100)), people, atol=1e-4)


def test_openpose_25(write, make_people):
    from astra_jax.pose.skeleton import JOINTS

    person = make_people(1)[0]
    points = np.zeros((25, 3))
    for i, name in enumerate(BODY_25.split()):
        if name in JOINTS:
            points[i] = person[JOINTS.index(name)]
    path = write({"version": 1.3, "people": [{"pose_keypoints_2d": points.ravel().tolist()}]})
    np.testing.assert_allclose(load_people(path, (100, 100))[0], person, atol=1e-4)


def test_faint_joints_are_absent(write, make_people):
    bodies = as_body_18(make_people(1))
    bodies[0]["pose_keypoints_2d"][2] = 0.29  # the nose
    people = load_people(write({"people": bodies}), (100, 100))
    np.testing.assert_array_equal(people[0, 0], 0)
    assert (people[0, 1:, 2] == 2).all()


def test_coco_forms(write, make_people):
    people = make_people(2)
    people[1, 4, 2] = 1
    for tree in (
        as_coco(people),
        as_coco(people, width=100, height=100, image_id=7),
        {"images": [{"id": 7, "width": 100, "height": 100}], "annotations": as_coco(people, image_id=7)},
    ):
        np.testing.assert_allclose(load_people(write(tree), (100, 100)), people, atol=1e-4)
    single = load_people(write(as_coco(people[:1])[0]), (100, 100))
    np.testing.assert_allclose(single, people[:1], atol=1e-4)


def test_fractions_and_confidences(write, make_people):
    people = make_people(1) / [100, 100, 2]
    people[0, 3, 2], people[0, 4, 2] = 0.8, 0.2
    found = load_people(write(as_coco(people, width=100, height=50)), (50, 100))
    np.testing.assert_allclose(found[0, 3], [people[0, 3, 0] * 100, people[0, 3, 1] * 50, 2], atol=1e-4)
    assert found[0, 4, 2] == 0


GOOD = [1.0, 2.0, 2.0] * 17


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no people"),
        ("3", "holds no people"),
        ({"people": []}, "holds no people"),
        ({"people": [{}]}, "has no pose_keypoints_2d"),
        ({"people": [{"pose_keypoints_2d": [0.5] * 51}]}, "has 17 joints .*expected 18 or 25"),
        ([{"keypoints": GOOD[:48]}], "has 16 joints .*expected 17"),
        ([{"keypoints": "many"}], "has 0 joints"),
        ([{"keypoints": [*GOOD[:50], "x"]}], "finite numbers"),
        ('[{"keypoints": [' + "NaN, " * 50 + "1]}]", "finite numbers"),
        ([{"keypoints": [*GOOD[:50], 10**400]}], "is no JSON|finite numbers"),
        ([{"keypoints": [*GOOD[:48], 1e30, 1, 2]}], "finite numbers"),
        ([{"keypoints": [0.0] * 51}], "no joint with visibility"),
        ([{"keypoints": GOOD, "image_id": 1}, {"keypoints": GOOD, "image_id": 2}], "several pictures"),
        ([{"keypoints": GOOD}] * 65, "65 people: 64 is the most"),
        ([{"keypoints": GOOD, "width": -1, "height": 5}], "whole numbers of pixels"),
        ({"people": as_body_18(np.ones((1, 17, 3))), "canvas_width": "a", "canvas_height": 1}, "whole numbers"),
        ({"images": [{}, {}], "annotations": []}, "one picture"),
        ([{"keypoints": [500.0, 500.0, 2.0] * 17}], "no joint of .* falls on the canvas"),
    ],
)
def test_bad_files(write, tree, message):
    with pytest.raises(UserError, match=message):
        load_people(write(tree), (64, 64))


def test_missing_and_huge_files(tmp_path):
    with pytest.raises(UserError, match="cannot read .*No such file"):
        load_people(tmp_path / "none.json", (64, 64))
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(UserError, match="17 MiB: at most 16 MiB"):
        load_people(tmp_path / "huge.json", (64, 64))


json_trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(GOOD)),
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.dictionaries(
            st.sampled_from(["people", "keypoints", "pose_keypoints_2d", "annotations", "images", "width", "height"]),
            children,
        ),
    ),
    max_leaves=12,
)


@given(tree=json_trees)
@settings(max_examples=200, deadline=None)
def test_any_json_is_people_or_a_user_error(tree, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(tree))
    try:
        people = load_people(path, (64, 64))
    except UserError:
        return
    assert people.shape[1:] == (17, 3)
    assert np.isfinite(people).all()


def test_letterbox(make_people):
    picture = draw(make_people(1), (100, 100))
    boxed = letterbox(picture, (100, 200))
    np.testing.assert_array_equal(boxed[:, 50:150], picture)
    assert not boxed[:, :50].any()
    assert not boxed[:, 150:].any()
    assert letterbox(picture, (64, 48)).shape == (64, 48, 3)
