"""What the shipped keypoint networks reach on scenes drawn anew, of people, poses and places their training never saw.

ASTRA_KEYPOINTS in the environment has other weights measured: pytest -m slow -rP tests/test_shipped_keypoints.py
"""

import os
import pathlib

import numpy as np
import pytest

from astra_jax.evaluation.figures import mean_figure
from astra_jax.evaluation.pose_scores import precision_figure
from astra_jax.evaluation.vitpose_estimator import puppet_estimator
from astra_jax.pose.average_precision import TruePeople
from astra_jax.pose.oks import areas, image_oks
from data.puppets.examples import make_example

SHIPPED = pathlib.Path(__file__).resolve().parent.parent / "pretrained" / "puppet_keypoints"
WEIGHTS = os.environ.get("ASTRA_KEYPOINTS", SHIPPED)
SEED, SCENES = 977, 200
OKS, AP, COUNTED = 0.95, 0.87, 0.94


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
    pairs = zip(truth, found, strict=True)
    scores = [image_oks(one.people, areas(one.people), two.people).tolist() for one, two in pairs]
    oks = mean_figure(scores)
    print(f"OKS {oks} of people in {SCENES} scenes")
    assert oks.value >= OKS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_people_without_boxes(scenes, estimator):
    truth = [TruePeople.drawn(np.stack([who.keypoints for who in scene.subjects])) for scene in scenes]
    found = estimator([scene.image for scene in scenes])
    pairs = list(zip(truth, found, strict=True))
    precision = precision_figure([[pair] for pair in pairs])
    counted = mean_figure([[float(len(one.people) == len(two.people))] for one, two in pairs])
    print(f"AP {precision} scenes; as many people found as there are in {counted} of the scenes")
    assert precision.value >= AP
    assert counted.value >= COUNTED
