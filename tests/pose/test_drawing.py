import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.pose.drawing import COLOURS, HAND_BONES, LIMBS, OPENPOSE_FROM_COCO, draw, fit
from astra_jax.pose.skeleton import FACE, LEFT_HAND, RIGHT_HAND


def only(*joints: tuple[int, float, float]) -> np.ndarray:
    people = np.zeros((1, 17, 3), np.float32)
    for joint, x, y in joints:
        people[0, joint] = x, y, 2
    return people


def test_nobody_is_black():
    assert not draw(np.zeros((0, 17, 3), np.float32), (32, 48)).any()
    assert not draw(np.zeros((1, 17, 3), np.float32), (32, 48)).any()


def test_limb_and_joint_colours():
    # The right forearm (COCO 8 -> 10) is limb 3: OpenPose 3 -> 4, colour 3 times 0.6.
    picture = draw(only((8, 100, 256), (10, 400, 256)), (512, 512))
    np.testing.assert_array_equal(picture[256, 250], [153, 153, 0])
    np.testing.assert_array_equal(picture[256, 100], [255, 255, 0])
    np.testing.assert_array_equal(picture[256, 400], [170, 255, 0])
    half_width = (picture[:, 250] > 0).any(axis=1).sum() / 2
    assert half_width == pytest.approx(4, abs=0.6)
    disc = (picture[256, :110] > 0).any(axis=1).sum() - (110 - 100)
    assert disc == pytest.approx(4, abs=1)


def test_every_limb_has_its_colour(make_people):
    people = np.zeros((1, 17, 3), np.float32)
    angles = np.arange(17) * 2 * np.pi / 17  # joints on a circle: limbs are chords that rarely touch in the middle
    people[0] = np.stack([500 + 450 * np.cos(angles * 5), 500 + 450 * np.sin(angles * 5), np.full(17, 2)], axis=1)
    joints = np.concatenate([people[0], [[*people[0, [5, 6], :2].mean(axis=0), 2]]])[list(OPENPOSE_FROM_COCO)]
    for i, (a, b) in enumerate(LIMBS):
        alone = np.zeros_like(people)
        for point in (a, b):
            if OPENPOSE_FROM_COCO[point] < 17:
                alone[0, OPENPOSE_FROM_COCO[point]] = people[0, OPENPOSE_FROM_COCO[point]]
            else:
                alone[0, [5, 6]] = people[0, [5, 6]]
        x, y = ((joints[a] + joints[b]) / 2)[:2].round().astype(int)
        pixel = draw(alone, (1000, 1000))[y, x]
        np.testing.assert_array_equal(pixel, [int(c * 0.6) for c in COLOURS[i]], err_msg=str((a, b)))


def test_neck_needs_both_shoulders():
    both = draw(only((5, 20, 30), (6, 60, 30)), (64, 80))
    np.testing.assert_array_equal(both[30, 40], COLOURS[1])
    one = draw(only((5, 20, 30)), (64, 80))
    assert not one[30, 35:].any()


def test_sizes_scale_with_the_canvas():
    big = draw(only((8, 200, 512), (10, 800, 512)), (1024, 1024))
    assert (big[:, 500] > 0).any(axis=1).sum() / 2 == pytest.approx(8, abs=0.6)
    small = draw(only((8, 16, 64), (10, 112, 64)), (128, 128))
    np.testing.assert_array_equal(small[64, 64], [153, 153, 0])
    assert 3 <= (small[:, 64] > 0).any(axis=1).sum() <= 4  # readable: 1.5 px to each side, not 1


def test_joints_lie_over_limbs_of_everybody():
    a = only((8, 10, 50), (10, 90, 50))
    b = only((0, 50, 50))
    for order in ([a, b], [b, a]):
        np.testing.assert_array_equal(draw(np.concatenate(order), (100, 100))[50, 50], COLOURS[0])


def test_cut_off_at_the_border():
    whole = draw(only((8, -40, 10), (10, 60, 10)), (32, 48))
    np.testing.assert_array_equal(whole[10, 10], [153, 153, 0])
    assert not draw(only((8, -400, 10), (10, -60, 10)), (32, 48)).any()
    assert not draw(only((0, 5000, 5000)), (32, 48)).any()


@given(st.floats(-50, 150), st.floats(-50, 150), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_any_place_and_size_can_be_drawn(x, y, height, width):
    picture = draw(only((8, x, y), (10, y, x), (5, 0, 0), (6, x, x)), (height, width))
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 700), st.integers(1, 700))
@settings(max_examples=60, deadline=None)
def test_fit_keeps_shape_and_centre(h, w, height, width):
    corners = np.zeros((1, 17, 3), np.float64)
    corners[0, :3] = [(0, 0, 2), (w, h, 2), (w / 2, h / 2, 2)]
    fitted = fit(corners, (h, w), (height, width))[0]
    size = fitted[1, :2] - fitted[0, :2]
    np.testing.assert_allclose(size / size[1], [w / h, 1])
    np.testing.assert_allclose(fitted[2, :2], [width / 2, height / 2], atol=1e-6)
    assert (size <= [width + 1e-6, height + 1e-6]).all()
    assert np.isclose(size, [width, height]).any()
    np.testing.assert_array_equal(fitted[:, 2], corners[0, :, 2])


def test_fit_leaves_its_input_alone(make_people):
    people = make_people(2)
    before = people.copy()
    fit(people, (100, 100), (300, 200))
    np.testing.assert_array_equal(people, before)


def whole(part: slice, *points: tuple[int, float, float]) -> np.ndarray:
    people = np.zeros((1, 133, 3), np.float32)
    for point, x, y in points:
        people[0, part.start + point] = x, y, 2
    return people


def test_hand_bones_and_points():
    # The ring finger's second bone, point 13 to point 14, is bone 13 of 20: hue 234 degrees.
    assert HAND_BONES[13] == (13, 14)
    assert HAND_BONES[::4] == ((0, 1), (0, 5), (0, 9), (0, 13), (0, 17))
    for part in (LEFT_HAND, RIGHT_HAND):
        picture = draw(whole(part, (13, 100, 256), (14, 400, 256)), (512, 512))
        np.testing.assert_array_equal(picture[256, 250], [0, 26, 255])
        np.testing.assert_array_equal(picture[256, 100], [0, 0, 255])
        assert (picture[:, 250] > 0).any(axis=1).sum() == 3  # 2 px wide, centred on a pixel: half of each neighbour
        disc = (picture[:, 100] > 0).any(axis=1).sum() / 2
        assert disc == pytest.approx(4, abs=1)


def test_a_bone_needs_both_ends():
    picture = draw(whole(LEFT_HAND, (13, 100, 256)), (512, 512))
    assert not picture[:, 110:].any()
    picture = draw(whole(LEFT_HAND, (4, 100, 256), (5, 400, 256)), (512, 512))  # tip of the thumb, root of the next
    assert not picture[:, 110:390].any()


def test_face_dots():
    points = [(i, 20 + 10 * (i % 10), 30 + 10 * (i // 10)) for i in range(68)]
    picture = draw(whole(FACE, *points), (512, 512))
    assert {tuple(picture[int(y), int(x)]) for _, x, y in points} == {(255, 255, 255)}
    alone = draw(whole(FACE, (0, 100, 100)), (512, 512))
    np.testing.assert_array_equal(alone[..., 0], alone[..., 2])
    assert alone[..., 0].sum() / 255 == pytest.approx(np.pi * 9, rel=0.02)


def test_hands_lie_over_bodies_and_faces_over_hands(make_whole_people):
    people = whole(LEFT_HAND, (0, 50, 50))
    people[0, 9] = 50, 50, 2
    np.testing.assert_array_equal(draw(people, (100, 100))[50, 50], [0, 0, 255])
    people[0, FACE.start] = 50, 50, 2
    for order in ([people, whole(LEFT_HAND, (0, 50, 50))], [whole(LEFT_HAND, (0, 50, 50)), people]):
        np.testing.assert_array_equal(draw(np.concatenate(order), (100, 100))[50, 50], [255, 255, 255])


def test_a_whole_body_without_details_is_a_body(make_people, make_whole_people):
    people = make_whole_people(2)
    assert (draw(people, (100, 160)) != draw(people[:, :17], (100, 160))).any()
    people[:, 23:, 2] = 0  # feet stay, which are not drawn
    np.testing.assert_array_equal(draw(people, (100, 160)), draw(make_people(2), (100, 160)))
    with pytest.raises(ValueError, match="17 or 133 points, not 18"):
        draw(people[:, :18], (100, 100))


def test_details_show_at_128():
    picture = draw(whole(LEFT_HAND, (1, 20.3, 20.3), (2, 60.3, 20.3)), (128, 128))
    assert picture[:, 40].max() > 150
    assert picture[20, 20, 2] > 200
    assert draw(whole(FACE, (0, 20.5, 20.5)), (64, 64)).max() > 60


@given(st.integers(1, 200), st.integers(1, 200), st.floats(-30, 230), st.floats(-30, 230), st.floats(0, 80))
@settings(max_examples=15, deadline=None)
def test_whole_bodies_can_be_drawn_anywhere(height, width, x, y, spread):
    people = np.full((1, 133, 3), 2.0)
    people[..., :2] = np.random.default_rng(0).normal(size=(1, 133, 2)) * spread + [x, y]
    picture = draw(people, (height, width))
    assert picture.shape == (height, width, 3)
    assert draw(people + [5000, 0, 0], (height, width)).max() == 0


def test_fast_enough_for_training(make_people):
    people = fit(make_people(1), (100, 100), (128, 128))
    draw(people, (128, 128))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        draw(people, (128, 128))
        times.append(time.perf_counter() - start)
    assert min(times) < 1 / 150  # some 800 a second on a free core; jaxtyping's checks and a busy machine cost
