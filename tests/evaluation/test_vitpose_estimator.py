"""The estimators on tiny networks: given boxes and without, in batches, deterministic, with bad input."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.evaluation import vitpose_estimator
from astra_jax.evaluation.estimators import Estimator
from astra_jax.evaluation.vitpose_estimator import dark_reader, published_estimator, puppet_estimator
from astra_jax.inputs.person_crops import crop_map, grid_scale
from astra_jax.models.heatmaps import distributions, expected_places
from astra_jax.models.vit import imagenet_normalise
from astra_jax.models.vitpose import VitPose
from astra_jax.params import flatten, unflatten
from astra_jax.pose.oks import BOX_FILL, SIGMAS
from astra_jax.training.keypoint_objective import KeypointObjective
from astra_jax.vit_config import KeypointsConfig, VitConfig, VitPoseConfig
from astra_jax.weights.pretrained import save_pretrained

VIT = VitConfig((32, 32), patch=8, width=16, layers=1, heads=2, mlp_dim=16, class_token=False)
NETWORKS = KeypointsConfig(
    joints=VitPoseConfig(VIT, stem=(8, 8), channels=(8,)), people=VitPoseConfig(VIT, channels=(), maps=5)
)
CONFIG = Config(keypoints=NETWORKS)
RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (*shape, 3), np.uint8) for shape in ((40, 60), (64, 64), (30, 90))]
BOXES = [np.array([[5.0, 5, 30, 20], [20, 0, 30, 40]]), np.zeros((0, 4)), np.array([[10.0, 2, 50, 25]])]


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(1)
    shapes = flatten(jax.eval_shape(KeypointObjective(CONFIG).init, jax.random.key(0)))
    # Random maps with peaks, and heads wherever a random map is high.
    size = {"joints/maps/kernel": 2.0}
    flat = {path: size.get(path, 0.3) * rng.standard_normal(leaf.shape, np.float32) for path, leaf in shapes.items()}
    flat["people/maps/bias"] = np.array([0, -0.2, -0.2, 0.2, 0.2], np.float32)
    params = unflatten(flat)
    return params


@pytest.fixture(scope="module")
def folder(tmp_path_factory, params):
    path = tmp_path_factory.mktemp("keypoints") / "weights"
    save_pretrained(path, CONFIG, params, "float32")
    return path


@pytest.fixture(scope="module")
def estimator(folder):
    return dataclasses.replace(puppet_estimator(folder), threshold=0.0)


def test_it_is_an_estimator_with_one_person_at_most_in_a_box(estimator):
    named: Estimator = estimator
    assert named.most_people == 8
    found = named(PICTURES, BOXES)
    assert [people.people.shape for people in found] == [(2, 17, 3), (0, 17, 3), (1, 17, 3)]
    for people in found:
        assert ((people.people[..., 2] >= 0) & (people.people[..., 2] <= 1)).all()
        np.testing.assert_allclose(people.scores, people.people[..., 2].mean(axis=1))


def test_joints_by_hand(estimator, params):
    """One box, step by step: cut, both distributions, the place in the picture half a pixel from the corner."""
    box = BOXES[0][1]
    cut_map = crop_map(box - (0.5, 0.5, 0, 0), (32, 32))
    cut = cut_map.cut(PICTURES[0])
    cell = grid_scale((32, 32), (8, 8))
    sides = imagenet_normalise(jnp.asarray(np.stack([cut, cut[:, ::-1]])))
    shares = np.asarray(distributions(jax.jit(VitPose(NETWORKS.joints).apply)({"params": params["joints"]}, sides)))
    mirrored = shares[1].reshape(17, 8, 8)[[0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15], :, ::-1]
    both = jnp.asarray((shares[0] + mirrored.reshape(17, 64)) / 2)[None]
    # Pixels of the picture a cell, both ways: 1.25 x 40 / 31 a pixel of the cut, 31 / 7 of these a cell.
    tolerance = 2 * SIGMAS * np.sqrt(BOX_FILL * 30 * 40) / (1.25 * 40 / 31 * 31 / 7)
    places, sure = expected_places(both, jnp.asarray(np.maximum(tolerance, 1), jnp.float32)[None], (8, 8))
    found = estimator(PICTURES[:1], [box[None]])[0].people[0]
    np.testing.assert_allclose(found[:, :2], cut_map.to_picture(np.asarray(places[0]) * cell) + 0.5, atol=0.02)
    np.testing.assert_allclose(found[:, 2], sure[0], atol=1e-3)


def test_results_do_not_depend_on_what_else_is_asked(estimator, monkeypatch):
    together = estimator(PICTURES, BOXES)
    alone = estimator([PICTURES[2]], [BOXES[2]])[0]
    np.testing.assert_array_equal(alone.people, together[2].people)
    monkeypatch.setattr(vitpose_estimator, "_BATCH", 2)  # three people are two batches
    parts = estimator(PICTURES, BOXES)
    for first, second in zip(parts, together, strict=True):
        np.testing.assert_allclose(first.people, second.people, atol=1e-3)


def test_without_boxes_people_are_found_and_nobody_twice(estimator):
    found = estimator(PICTURES)
    again = estimator(PICTURES)
    assert len(found) == 3
    for people, same in zip(found, again, strict=True):
        np.testing.assert_array_equal(people.people, same.people)
        assert (np.diff(people.scores) <= 0).all()  # best first
    assert sum(len(people.scores) for people in found) > 0


def test_who_is_unsure_is_not_there(estimator):
    scores = np.concatenate([people.scores for people in estimator(PICTURES, BOXES)])
    middle = float(np.sort(scores)[1])
    kept = dataclasses.replace(estimator, threshold=middle)(PICTURES, BOXES)
    assert sum(len(people.scores) for people in kept) == 2
    nobody = dataclasses.replace(estimator, threshold=1.1)(PICTURES)
    assert [people.people.shape for people in nobody] == [(0, 17, 3)] * 3


def test_no_pictures_and_no_boxes(estimator):
    assert estimator([]) == []
    assert [len(people.scores) for people in estimator(PICTURES, [np.zeros((0, 4))] * 3)] == [0, 0, 0]
    with pytest.raises(ValueError, match="3 pictures and boxes of 1"):
        estimator(PICTURES, BOXES[:1])


def test_a_network_of_joints_alone_needs_boxes(estimator):
    bare = dataclasses.replace(estimator, people=None, reader=dark_reader(NETWORKS.joints))
    assert len(bare(PICTURES, BOXES)) == 3
    assert bare.most_people == 0
    with pytest.raises(UserError, match="give boxes"):
        bare(PICTURES)


def test_wrong_folders_are_refused(tmp_path, params):
    with pytest.raises(UserError, match="has no model.safetensors"):
        puppet_estimator(tmp_path)
    save_pretrained(tmp_path / "half", CONFIG, {"joints": params["joints"]}, "float32")
    with pytest.raises(UserError, match="do not fit this model"):
        puppet_estimator(tmp_path / "half")
    with pytest.raises(UserError, match="is no folder of ViTPose"):
        published_estimator(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vitpose"}))
    with pytest.raises(UserError, match="no proper backbone_config"):
        published_estimator(tmp_path)
