import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astra_jax.pose.oks import SIGMAS, areas, image_oks, oks_matrix

people_arrays = arrays(np.float64, (3, 17, 2), elements=st.floats(0, 500)).map(
    lambda xy: np.concatenate([xy, np.full((3, 17, 1), 2.0)], axis=-1)
)


def test_oks_by_hand(make_people):
    person = make_people(1).astype(np.float64)
    area = np.array([400.0])
    moved = person.copy()
    moved[0, 0, 0] += 3  # only the nose is off, by 3 px: exp(-9 / (2 * 400 * 0.052^2))
    nose = np.exp(-9 / (2 * 400 * 0.052**2))
    assert oks_matrix(person, area, moved)[0, 0] == pytest.approx((16 + nose) / 17)


def test_unlabelled_joints_do_not_count(make_people):
    person = make_people(1).astype(np.float64)
    guess = person.copy()
    guess[0, 9] += 300
    person[0, 9, 2] = 0
    assert oks_matrix(person, np.array([400.0]), guess)[0, 0] == pytest.approx(1)


def test_oks_equals_pycocotools(make_people):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(1)
    truth, areas_, guesses = make_people(3).astype(np.float64), np.array([300.0, 900.0, 2000.0]), None
    truth[0, 3:6, 2] = 0
    truth[1, 8, 2] = 1
    guesses = truth + np.concatenate([rng.normal(size=(3, 17, 2)) * 3, np.zeros((3, 17, 1))], axis=-1)
    coco = COCO()
    coco.dataset = {"info": {}, "images": [{"id": 1}], "categories": [{"id": 1, "name": "person"}], "annotations": []}
    for i, person in enumerate(truth):
        annotation = {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": areas_[i]}
        annotation |= {"bbox": [0, 0, 9, 9], "num_keypoints": int((person[:, 2] > 0).sum())}
        coco.dataset["annotations"].append({**annotation, "keypoints": person.ravel().tolist()})
    coco.createIndex()
    results = [{"image_id": 1, "category_id": 1, "keypoints": g.ravel().tolist(), "score": 1 - i / 10}
               for i, g in enumerate(guesses)]  # fmt: skip
    evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
    evaluation.evaluate()
    theirs = np.array(evaluation.ious[1, 1]).T  # they give [guess, truth]
    np.testing.assert_allclose(oks_matrix(truth, areas_, guesses), theirs, atol=1e-9)


@given(people_arrays, people_arrays)
@settings(max_examples=25, deadline=None)
def test_oks_bounds_and_identity(truth, guesses):
    areas_ = np.full(3, 1000.0)
    scores = oks_matrix(truth, areas_, guesses)
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    np.testing.assert_allclose(np.diag(oks_matrix(truth, areas_, truth)), 1)
    best = image_oks(truth, areas_, guesses)
    shuffled = image_oks(truth, areas_, guesses[::-1].copy())
    assert best.sum() == pytest.approx(shuffled.sum())
    assert best.sum() >= np.diag(scores).sum() - 1e-9


def test_image_oks_matches_and_counts_the_missing(make_people):
    truth = make_people(3)
    found = image_oks(truth, np.full(3, 500.0), truth[[2, 0]])
    np.testing.assert_allclose(found, [1, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(image_oks(truth, np.full(3, 500.0), np.zeros((0, 17, 3))), np.zeros(3))


def test_sigmas_are_coco_s():
    np.testing.assert_allclose(SIGMAS[[0, 5, 11, 16]], [0.026, 0.079, 0.107, 0.089])


def test_areas_by_hand(make_whole_people):
    people = np.zeros((2, 17, 3), np.float32)
    people[0, 0], people[0, 1] = (1, 2, 2), (5, 12, 1)
    np.testing.assert_allclose(areas(people), [0.53 * 4 * 10, 1])
    whole = make_whole_people(2)
    np.testing.assert_array_equal(areas(whole), areas(whole[:, :17]))  # toes and fingers do not enlarge a person


def test_without_labels_the_distance_to_the_doubled_box_counts():
    truth, box = np.zeros((1, 17, 3)), np.array([[100.0, 200.0, 10.0, 20.0]])
    guesses = np.zeros((2, 17, 3))
    guesses[0, :, :2] = 90, 240  # a corner of the box enlarged by its size on every side: x 90..120, y 180..240
    guesses[1, :, :2] = 87, 244  # 3 left of it and 4 below: 5 px away
    far = np.exp(-25 / (2 * 400 * (2 * SIGMAS) ** 2)).mean()
    np.testing.assert_allclose(oks_matrix(truth, np.array([400.0]), guesses, box), [[1, far]])


def test_oks_needs_labels_or_boxes_and_areas(make_people):
    people = make_people(1)
    with pytest.raises(ValueError, match="positive areas"):
        oks_matrix(people, np.zeros(1), people)
    people[..., 2] = 0
    with pytest.raises(ValueError, match="labelled joint"):
        oks_matrix(people, np.ones(1), people)
    oks_matrix(people, np.zeros(1), people, np.ones((1, 4)))
    with pytest.raises(ValueError, match="positive areas"):
        oks_matrix(people, np.full(1, np.nan), people, np.ones((1, 4)))
