import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.pose.composition import GAP, MARGIN, MAX_OVERLAP, compose, height_standing
from astra_jax.pose.skeleton import boxes

SHOULDER, OTHER_SHOULDER, HIP, KNEE, ANKLE = 5, 6, 11, 13, 15


def upright(height, x=0.0, y=0.0, width=0.2, joints=(SHOULDER, OTHER_SHOULDER, HIP, KNEE, ANKLE)):
    """One side of a person of `height`, shoulder at (x, y), with the other shoulder to its right."""
    at = {SHOULDER: (0, 0), OTHER_SHOULDER: (width, 0), HIP: (0, 0.288), KNEE: (0, 0.533), ANKLE: (0, 0.779)}
    person = np.zeros((17, 3), np.float32)
    for joint in joints:
        person[joint] = (x + height * at[joint][0], y + height * at[joint][1], 2)
    return person


def test_height_by_hand():
    person = upright(100)
    assert height_standing(person) == pytest.approx(100, rel=1e-5)
    person[ANKLE, 1] -= 10  # a shin towards the camera changes nothing
    assert height_standing(person) == pytest.approx(100, rel=1e-5)
    person[ANKLE, 1] += 34.6  # twice as long a shin implies 200 px
    assert height_standing(person) == pytest.approx(200, rel=1e-5)
    face = np.zeros((17, 3), np.float32)
    face[:2] = (3, 4, 2), (3, 12, 2)
    assert height_standing(face) == 8


def test_two_scales_meet_on_one_ground():
    people = compose([upright(100)[None], upright(50, 300, 40)[None]], (200, 400))
    # In heights: 0.2 + GAP + 0.2 wide, 0.779 tall, MARGIN of the larger around.
    scale = 200 / (0.779 * (1 + 2 * MARGIN))
    assert people.shape == (2, 17, 3)
    np.testing.assert_allclose(people[:, ANKLE, 1] - people[:, SHOULDER, 1], 0.779 * scale, rtol=1e-4)
    assert people[0, ANKLE, 1] == pytest.approx(people[1, ANKLE, 1], abs=1e-3)
    assert people[0, ANKLE, 1] == pytest.approx(200 - 0.779 * MARGIN * scale, abs=1e-2)
    assert people[1, SHOULDER, 0] - people[0, OTHER_SHOULDER, 0] == pytest.approx(GAP * scale, rel=1e-4)
    assert people[..., 0][people[..., 2] > 0].mean() == pytest.approx(200, abs=0.2 * scale)


@pytest.mark.parametrize(
    ("width", "gap"),
    [
        (4000, GAP),
        (round(2000 * 0.43 / 0.779), 0.03),  # 0.07 of a height too wide: half of what the gap may give
        (400, -MAX_OVERLAP * 0.2),
    ],
)
def test_people_move_together_on_narrow_canvases(width, gap):
    people = compose([upright(100)[None], upright(100)[None]], (2000, width))
    height = (people[0, ANKLE, 1] - people[0, SHOULDER, 1]) / 0.779
    between = people[1, SHOULDER, 0] - people[0, OTHER_SHOULDER, 0]
    if gap < 0:  # overlapping boxes: the second one's shoulder lies left of the first one's right one
        assert between < 0
    assert between / height == pytest.approx(gap, abs=1e-3)


def test_people_without_feet_have_their_shoulders_where_they_would_be():
    cut = upright(80, joints=(SHOULDER, OTHER_SHOULDER, HIP))
    people = compose([upright(100)[None], cut[None]], (200, 400))
    height = (people[0, ANKLE, 1] - people[0, SHOULDER, 1]) / 0.779
    # 0.818 of a height above the ground, the other's ankle being 0.779 below its shoulder.
    assert people[1, SHOULDER, 1] == pytest.approx(people[0, ANKLE, 1] - 0.818 * height, abs=1e-2)


def test_a_group_keeps_its_own_proportions():
    group = np.stack([upright(100), upright(60, 50, 31.16)])
    people = compose([group, upright(10)[None]], (300, 300))
    heights = people[:, ANKLE, 1] - people[:, SHOULDER, 1]
    assert heights[1] / heights[0] == pytest.approx(0.6, rel=1e-4)
    assert heights[:2].mean() == pytest.approx(heights[2], rel=1e-4)


def test_hands_beside_bodies_without(make_people, make_whole_people):
    people = compose([make_people(1), make_whole_people(1), make_people(1)], (200, 400))
    assert people.shape == (3, 133, 3)
    np.testing.assert_array_equal((people[:, 17:, 2] > 0).all(axis=1), [False, True, False])
    assert (people[[0, 2], 17:, 2] == 0).all()
    seen = people[people[..., 2] > 0]
    assert (seen[:, :2] >= 0).all()
    assert (seen[:, :2] <= [400, 200]).all()
    # Wrist and hand have moved together.
    before = make_whole_people(1)[0]
    scale = np.ptp(people[1, 91:112, 0]) / np.ptp(before[91:112, 0])
    np.testing.assert_allclose(people[1, 91, :2] - people[1, 9, :2], scale * (before[91] - before[9])[:2], atol=0.05)


def test_one_group_is_fitted_alone():
    people = compose([upright(100)[None]], (100, 100))
    assert people[0, ANKLE, 1] == pytest.approx(100 - 77.9 * MARGIN / 0.779 / (1 + 2 * MARGIN), abs=0.1)


joints = st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=17, max_size=17)


@given(st.lists(joints, min_size=2, max_size=4), st.tuples(st.integers(32, 512), st.integers(32, 512)))
@settings(max_examples=60, deadline=None)
def test_any_people_stay_on_the_canvas_and_apart(people, canvas):
    groups = [np.array([[(x, y, 2) for x, y in person]], np.float32) for person in people]
    placed = compose(groups, canvas)
    assert len(placed) == len(groups)
    assert placed[..., :2].min() >= -0.01
    assert (placed[..., :2] <= np.array([canvas[1], canvas[0]]) + 0.01).all()
    box = boxes(placed)
    box = box[np.argsort(box[:, 0])]
    for one, other in zip(box[:-1], box[1:], strict=True):
        narrower = min(one[2] - one[0], other[2] - other[0])
        assert one[2] - other[0] <= MAX_OVERLAP * narrower + 1e-2
