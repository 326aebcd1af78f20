import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.skeleton import (
    FACE,
    FEET,
    JOINTS,
    LEFT_HAND,
    RIGHT_HAND,
    WHOLE_BODY_POINTS,
    boxes,
    check_people,
    left_to_right,
    neck,
)


def test_joints_are_coco_s():
    assert len(JOINTS) == 17
    assert JOINTS[0] == "nose"
    assert JOINTS[5:7] == ("left_shoulder", "right_shoulder")
    assert JOINTS[-1] == "right_ankle"


def test_a_whole_body_has_every_point_once():
    places = np.arange(WHOLE_BODY_POINTS)
    parts = [places[:17], *(places[part] for part in (FEET, FACE, LEFT_HAND, RIGHT_HAND))]
    assert [len(part) for part in parts] == [17, 6, 68, 21, 21]
    np.testing.assert_array_equal(np.concatenate(parts), places)


def test_what_reads_bodies_reads_whole_bodies(make_people, make_whole_people):
    people = make_people(3)
    whole = make_whole_people(3)[[2, 0, 1]]
    np.testing.assert_array_equal(left_to_right(whole), [1, 2, 0])
    np.testing.assert_array_equal(neck(whole), neck(people[[2, 0, 1]]))
    with pytest.raises(UserError, match="must have 17 COCO joints"):
        check_people(whole, "this")
    np.testing.assert_array_equal(check_people(whole, "this", (17, 133)), whole)
    with pytest.raises(UserError, match="must have 17 or 133 COCO joints"):
        check_people(whole[:, :132], "this", (17, 133))


def test_neck_and_boxes(make_people):
    people = make_people(1)
    people[0, 5], people[0, 6] = (10, 20, 2), (30, 40, 1)
    np.testing.assert_array_equal(neck(people)[0], [20, 30, 1])
    people[0, 6, 2] = 0
    assert neck(people)[0, 2] == 0
    people[..., 2] = 0
    people[0, 0], people[0, 1] = (1, 2, 2), (5, 12, 1)
    np.testing.assert_array_equal(boxes(people), [[1, 2, 5, 12]])
    people[..., 2] = 0
    np.testing.assert_array_equal(boxes(people), [[0, 0, 0, 0]])


def test_left_to_right(make_people):
    people = make_people(3)
    np.testing.assert_array_equal(left_to_right(people[[2, 0, 1]]), [1, 2, 0])
    people[0, 5, 2] = 0  # no neck: the mean of the joints decides, here the same
    np.testing.assert_array_equal(left_to_right(people[[2, 0, 1]]), [1, 2, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:, :16], "17 COCO joints"),
        (lambda p: p[:0], "no person"),
        (lambda p: p * np.nan, "finite number of pixels"),
        (lambda p: p + [1e7, 0, 0], "finite number of pixels"),
        (lambda p: p * [1, 1, 1.5], "visibility is none of"),
        (lambda p: p * [1, 1, 0], "no joint with visibility"),
    ],
)
def test_bad_people(make_people, change, message):
    with pytest.raises(UserError, match=f"^this: .*{message}"):
        check_people(change(make_people(2).astype(np.float64)), "this")
