import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.pose.drawing import OPENPOSE_FROM_COCO, draw
from astra_jax.pose.pose_files import FORMS, letterbox, load_people, read_people, save_people
from astra_jax.pose.skeleton import FACE, FEET, JOINTS, LEFT_HAND, RIGHT_HAND, neck

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


def test_openpose_hands_and_face(write, make_whole_people):
    people = make_whole_people(2)
    people[:, FEET] = 0
    people[1, LEFT_HAND] = 0
    bodies = as_body_18(people[:, :17])
    for body, person in zip(bodies, people, strict=True):
        # OpenPose's face has two pupils after the 68 points.
        body["face_keypoints_2d"] = [*(person[FACE] / [1, 1, 2]).ravel().tolist(), *([50, 50, 1] * 2)]
        body["hand_right_keypoints_2d"] = (person[RIGHT_HAND] / [1, 1, 2]).ravel().tolist()
    bodies[0]["hand_left_keypoints_2d"] = (people[0, LEFT_HAND] / [1, 1, 2]).ravel().tolist()
    for missing in (None, []):
        bodies[1]["hand_left_keypoints_2d"] = missing
        np.testing.assert_allclose(load_people(write({"people": bodies}), (100, 100)), people, atol=1e-4)
    bodies[0]["face_keypoints_2d"] = bodies[0]["face_keypoints_2d"][:204]
    bodies[0]["face_keypoints_2d"][2] = 0.2
    people[0, FACE.start] = 0
    np.testing.assert_allclose(load_people(write({"people": bodies}), (100, 100)), people, atol=1e-4)


def test_openpose_feet(write, make_whole_people):
    people = make_whole_people(1)
    people[:, 23:] = 0
    points = np.zeros((25, 3))
    points[[BODY_25.split().index(name) for name in JOINTS]] = people[0, :17]
    points[19:] = people[0, FEET]
    found = load_people(write({"people": [{"pose_keypoints_2d": points.ravel().tolist()}]}), (100, 100))
    np.testing.assert_allclose(found, people, atol=1e-4)


def test_wholebody_forms(write, tmp_path, make_whole_people):
    people = make_whole_people(2)
    parts = {"foot_kpts": FEET, "face_kpts": FACE, "lefthand_kpts": LEFT_HAND, "righthand_kpts": RIGHT_HAND}
    split = [{"keypoints": p[:17].ravel().tolist(), **{name: p[at].ravel().tolist() for name, at in parts.items()}}
             for p in people]  # fmt: skip
    scores = [{"keypoints": p[:, :2].tolist(), "keypoint_scores": (p[:, 2] * 0.4).tolist()} for p in people]
    for tree in (split, as_coco(people), scores):
        np.testing.assert_allclose(load_people(write(tree), (100, 100)), people, atol=1e-4)
    scores[0]["keypoint_scores"][FACE.start] = 0.29
    found = load_people(write(scores), (100, 100))
    assert [(found[i, FACE, 2] > 0).sum() for i in range(2)] == [67, 68]
    split[0] |= {"face_valid": False, "lefthand_kpts": []}
    found = load_people(write(split), (100, 100))
    assert not found[0, FACE].any()
    assert not found[0, LEFT_HAND].any()
    assert found[0, RIGHT_HAND].all()


def test_a_detectors_arrays(tmp_path, make_whole_people):
    people = make_whole_people(2)
    confidences = np.full((2, 133), 5.3, np.float32)  # DWPose's scores go beyond 1
    confidences[0, 100] = 0.1
    np.savez(tmp_path / "pose.npz", keypoints=people[..., :2], scores=confidences, size=(100, 100))
    people[0, 100] = 0
    np.testing.assert_allclose(load_people(tmp_path / "pose.npz", (100, 100)), people, atol=1e-4)
    np.testing.assert_allclose(load_people(tmp_path / "pose.npz", (50, 50))[..., :2], people[..., :2] / 2, atol=1e-4)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 3),
    points=st.sampled_from([17, 133]),
    form=st.sampled_from(FORMS),
    size=st.tuples(st.integers(2, 4000), st.integers(2, 4000)),
)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, seed, count, points, form, size):
    rng = np.random.default_rng(seed)
    people = rng.uniform(-50, 5000, (count, points, 3)).astype(np.float32)
    people[..., 2] = rng.choice([0, 1, 2], (count, points), p=[0.3, 0.2, 0.5])
    people[rng.random(count) < 0.3, 91:112, 2] = 0
    people[:, 0] = 1.5, 1.5, 2
    people *= people[..., 2:] > 0
    path = tmp_path_factory.getbasetemp() / f"round.{'npz' if form == 'npz' else 'json'}"
    save_people(path, people, size, form)
    found, found_size = read_people(path)
    if form == "openpose":  # it has no hidden points
        people[..., 2] = np.where(people[..., 2] > 0, 2, 0)
    if not people[:, 17:, 2].any():
        people = people[:, :17]
    np.testing.assert_array_equal(found, people)
    assert found_size == size


def test_written_trees_are_complete(tmp_path, make_whole_people):
    people = make_whole_people(1)
    people[0, LEFT_HAND] = 0
    save_people(tmp_path / "a.json", people, (100, 120), "openpose")
    tree = json.loads((tmp_path / "a.json").read_text())
    assert (tree["canvas_height"], tree["canvas_width"]) == (100, 120)
    (person,) = tree["people"]
    lengths = {name: len(values) // 3 for name, values in person.items()}
    assert lengths == {"pose_keypoints_2d": 25, "face_keypoints_2d": 68, "hand_left_keypoints_2d": 0,
                       "hand_right_keypoints_2d": 21}  # fmt: skip
    body = np.reshape(person["pose_keypoints_2d"], (25, 3))
    np.testing.assert_allclose(body[8], [*people[0, [11, 12], :2].mean(axis=0), 1], rtol=1e-6)
    np.testing.assert_allclose(body[1], [*people[0, [5, 6], :2].mean(axis=0), 1], rtol=1e-6)
    save_people(tmp_path / "a.json", people, (100, 120), "coco")
    tree = json.loads((tmp_path / "a.json").read_text())
    (person,) = tree["annotations"]
    assert person["num_keypoints"] == 17
    assert (person["lefthand_valid"], person["righthand_valid"]) == (False, True)
    assert tree["images"] == [{"id": 1, "height": 100, "width": 120}]
    x, y = people[0, :17, 0], people[0, :17, 1]
    np.testing.assert_allclose(person["bbox"], [x.min(), y.min(), np.ptp(x), np.ptp(y)], rtol=1e-5)
    assert not (tmp_path / "a.json.part").exists()


def test_cocoapi_reads_what_is_written(tmp_path, make_whole_people, capsys):
    from pycocotools.coco import COCO

    save_people(tmp_path / "a.json", make_whole_people(2), (100, 100), "coco")
    coco = COCO(tmp_path / "a.json")
    assert len(coco.loadAnns(coco.getAnnIds(imgIds=1, catIds=coco.getCatIds(["person"])))) == 2
    result = [{"image_id": 1, "category_id": 1, "score": 1.0, "keypoints": a["keypoints"]} for a in coco.anns.values()]
    assert len(coco.loadRes(result).anns) == 2
    capsys.readouterr()


def test_what_cannot_be_written(tmp_path, make_people):
    people = make_people(1)
    with pytest.raises(UserError, match=r"form npz is named \*\.npz"):
        save_people(tmp_path / "a.json", people, (10, 10), "npz")
    with pytest.raises(UserError, match="cannot write .*No such file"):
        save_people(tmp_path / "none" / "a.json", people, (10, 10), "coco")
    with pytest.raises(UserError, match="finite"):
        save_people(tmp_path / "a.json", people * np.float32(np.nan), (10, 10), "coco")
    assert not list(tmp_path.iterdir())


ARRAYS = {"keypoints": np.ones((1, 17, 2)), "scores": np.ones((1, 17)), "size": np.array([64, 64])}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, "no array 'scores'"),
        ({"keypoints": np.ones((1, 16, 2))}, r"\[P 17 2\] and \[P 17\]"),
        ({"keypoints": np.ones((1, 17, 3))}, r"\[P 17 2\] and \[P 17\]"),
        ({"scores": np.ones((2, 17))}, r"\[P 17 2\] and \[P 17\]"),
        ({"keypoints": np.ones(3)}, r"\[P 17 2\] and \[P 17\]"),
        ({"keypoints": np.full((1, 17, 2), np.nan)}, "finite numbers"),
        ({"keypoints": np.full((1, 17, 2), 1e30)}, "finite numbers"),
        ({"scores": np.full((1, 17), np.inf)}, "finite numbers"),
        ({"scores": np.full((1, 17), "a")}, "scores is not made of numbers"),
        ({"size": np.array([-64, 64])}, "height and width, whole numbers"),
        ({"size": np.array([64.0, 64.0])}, "height and width, whole numbers"),
        ({"size": np.array(64)}, "height and width, whole numbers"),
        ({"scores": np.zeros((1, 17))}, "no joint with visibility"),
        ({"keypoints": np.ones((0, 17, 2)), "scores": np.ones((0, 17))}, "holds no people"),
        ({"keypoints": np.array([None])}, "no readable npz|allow_pickle"),
    ],
)
def test_bad_arrays(tmp_path, changes, message):
    np.savez(tmp_path / "pose.npz", **{k: v for k, v in (ARRAYS | changes).items() if v is not None})
    with pytest.raises(UserError, match=message):
        load_people(tmp_path / "pose.npz", (64, 64))


GOOD = [1.0, 2.0, 2.0] * 17
OPENPOSE = {"pose_keypoints_2d": [5.0, 6.0, 1.0] * 18}


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
        ([{"keypoints": GOOD[:48]}], "has 16 joints .*expected 17 or 133"),
        ([{"keypoints": GOOD, "id": 5}, {"keypoints": GOOD, "id": 5}], "two people with the id 5"),
        ([{"keypoints": GOOD, "lefthand_kpts": [1, 2, 2] * 20}], "has 20 points of a hand .*expected 21"),
        ([{"keypoints": GOOD, "face_kpts": {"a": 1}}], "has 0 points of a face .*expected 68"),
        ([{"keypoints": GOOD, "foot_kpts": [None] * 18}], "points of a foot are not made of finite numbers"),
        ([{"keypoints": GOOD, "keypoint_scores": [1] * 17}], "must be a list of .x, y."),
        ([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1] * 16}], "one number for each of the 17"),
        ([{"keypoints": [[1, 2]] * 16, "keypoint_scores": [1] * 16}], "has 16 joints"),
        ([{"keypoints": [["a", 2]] * 17, "keypoint_scores": [1] * 17}], "finite numbers"),
        ({"people": [{**OPENPOSE, "hand_left_keypoints_2d": [1, 2, 1] * 22}]}, "has 22 points of a hand"),
        ({"people": [{**OPENPOSE, "hand_right_keypoints_2d": 7}]}, "has 0 points of a hand"),
        ({"people": [{**OPENPOSE, "face_keypoints_2d": [1, 2, 1] * 69}]}, "has 69 points .*expected 68 or 70"),
        ({"people": [{"pose_keypoints_2d": None}]}, "has 0 joints"),
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
            st.sampled_from(
                [
                    "people",
                    "keypoints",
                    "pose_keypoints_2d",
                    "annotations",
                    "images",
                    "width",
                    "height",
                    "id",
                    "face_kpts",
                    "hand_left_keypoints_2d",
                    "keypoint_scores",
                ]
            ),
            children,
        ),
    ),
    max_leaves=12,
)


@given(tree=json_trees)
@settings(max_examples=80, deadline=None)
def test_any_json_is_people_or_a_user_error(tree, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(tree))
    try:
        people = load_people(path, (64, 64))
    except UserError:
        return
    assert people.shape[1:] in ((17, 3), (133, 3))
    assert np.isfinite(people).all()


def test_letterbox(make_people):
    picture = draw(make_people(1), (100, 100))
    boxed = letterbox(picture, (100, 200))
    np.testing.assert_array_equal(boxed[:, 50:150], picture)
    assert not boxed[:, :50].any()
    assert not boxed[:, 150:].any()
    assert letterbox(picture, (64, 48)).shape == (64, 48, 3)
