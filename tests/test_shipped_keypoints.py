"""What the shipped keypoint networks reach on scenes drawn anew, of people, poses and places their training never saw.

ASTRA_KEYPOINTS in the environment has other weights measured: pytest -m slow -rP tests/test_shipped_keypoints.py
"""

import os
import pathlib

import numpy as np
import pytest

from astra_jax.evaluation.vitpose_estimator import puppet_estimator
from astra_jax.pose.average_precision import TruePeople, keypoint_ap
from astra_jax.pose.oks import areas, oks_matrix
from data.puppets.examples import make_example

SHIPPED = pathlib.Path(__file__).resolve().parent.parent / "pretrained" / "puppet_keypoints"
WEIGHTS = os.environ.get("ASTRA_KEYPOINTS", SHIPPED)
SEED, SCENES = 977, 200
OKS, AP, COUNTED = 0.92, 0.81, 0.94


@pytest.fixture(scope="module")
def scenes():
    return [make_example(SEED, "test", index) for index in range(SCENES)]


@pytest.fixture(scope="module")
def estimator():
    return puppet_estimator(WEIGHTS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_joints_in_true_boxes(scenes, estimator):
    truth = [TruePeople.drawn(np.stack([who.keypoints for who in scene.subjects])) for scene in scenes]
    found = estimator([scene.image for scene in scenes], [people.boxes.astype(np.float64) for people in truth])
    scores = []
    for people, guesses in zip(truth, found, strict=True):
        similar = oks_matrix(people.people, areas(people.people), guesses.people)
        scores += list(similar.max(axis=1) if similar.shape[1] else np.zeros(len(people.people)))
    print(f"mean OKS {np.mean(scores):.4f} of {len(scores)} people in {SCENES} scenes")
    assert np.mean(scores) >= OKS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_people_without_boxes(scenes, estimator):
    truth = [TruePeople.drawn(np.stack([who.keypoints for who in scene.subjects])) for scene in scenes]
    found = estimator([scene.image for scene in scenes])
    precision = keypoint_ap(zip(truth, found, strict=True))["AP"]
    counted = np.mean([len(a.people) == len(b.people) for a, b in zip(truth, found, strict=True)])
    print(f"AP {precision:.3f}; as many people found as there are in {counted:.3f} of the scenes")
    assert precision >= AP
    assert counted >= COUNTED
