"""COCO's annotated people against cocoapi, and the Pose Depot's skeletons against ours."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from astra_jax.pose.average_precision import FoundPeople, TruePeople, keypoint_ap
from astra_jax.pose.drawing import COLOURS, draw
from astra_jax.pose.oks import oks_matrix
from benchmarks.pose_depot import as_person, as_points, find_joints, limb_distances, read_depot
from tests.parity.cocoapi import figures

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def data():
    return Path(os.environ["ASTRA_DATA_DIR"])


def noisy_guesses(data: Path) -> list[tuple[TruePeople, FoundPeople]]:
    """Every val person, and guesses that are these with noise as large as they are, some twice, some left out."""
    tree = json.loads((data / "coco_pose" / "person_keypoints_val2017.rebuilt.json").read_text())
    rows: dict[int, list[dict]] = {}
    for row in tree["annotations"]:
        rows.setdefault(row["image_id"], []).append(row)
    rng, pictures = np.random.default_rng(0), []
    for _, people in sorted(rows.items()):
        joints = np.array([row["keypoints"] for row in people], np.float64).reshape(-1, 17, 3)
        areas = np.array([row["area"] for row in people], np.float64)
        boxes = np.array([row["bbox"] for row in people], np.float64)
        crowd = rng.random(len(people)) < 0.02  # this copy of val has no crowds of its own
        noise = rng.normal(size=joints[..., :2].shape) * np.sqrt(areas)[:, None, None]
        guesses = joints.copy()
        guesses[..., :2] += noise * rng.choice([0, 0.03, 0.08, 0.2], size=(len(people), 1, 1))
        taken = rng.choice(len(people), size=rng.integers(0, len(people) + 2))
        scores = np.round(rng.random(len(taken)), 2)
        pictures.append((TruePeople(joints, areas, boxes, crowd), FoundPeople(guesses[taken], scores)))
    return pictures


def test_ap_is_cocoapi_s_on_val(data):
    pictures = noisy_guesses(data)
    assert sum(len(truth.people) for truth, _ in pictures) == 6352
    ours = keypoint_ap(pictures)
    assert 0.1 < ours["AP"] < 0.9
    assert ours == pytest.approx(figures(pictures), abs=1e-9)


def test_people_are_like_themselves(data):
    for truth, _ in noisy_guesses(data)[::20]:
        np.testing.assert_allclose(np.diag(oks_matrix(truth.people, truth.areas, truth.people)), 1)


def test_limbs_have_the_colours_of_the_pose_depot(data):
    theirs, ours, wrong = [], [], []
    for picture in read_depot(data / "pose_depot").values():
        points, radius = find_joints(picture)
        person = as_person(points)
        theirs.append(limb_distances(picture, points, radius))
        ours.append(limb_distances(draw(person, picture.shape[:2]), as_points(person), radius))
        wrong.append(limb_distances(picture, points, radius, COLOURS[5:] + COLOURS[:5]))
    share = [np.mean(d[~np.isnan(d)] <= 4) for d in (np.array(theirs), np.array(ours), np.array(wrong))]
    assert (~np.isnan(theirs)).sum() > 300
    assert share[0] > 0.95
    assert share[1] > 0.95
    assert share[2] < 0.1
