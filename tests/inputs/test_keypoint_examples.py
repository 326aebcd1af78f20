"""Training cuts of people: what is shown and what is said of it agree, however it was moved."""

import dataclasses

import numpy as np
import pytest

from astra_jax.config import Config, TrainConfig
from astra_jax.errors import UserError
from astra_jax.inputs import keypoint_examples
from astra_jax.inputs.example import Example
from astra_jax.inputs.keypoint_examples import MIRRORED, collate_keypoints, keypoint_arrays
from astra_jax.inputs.person_crops import grid_scale
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.pose.oks import SIGMAS, areas
from astra_jax.vit_config import KeypointsConfig, VitConfig, VitPoseConfig

SIZE = 96
VIT = VitConfig((64, 64), patch=16, width=8, layers=1, heads=2, mlp_dim=16, class_token=False)
CONFIG = Config(
    keypoints=KeypointsConfig(
        joints=VitPoseConfig(VIT, channels=(4,)), people=VitPoseConfig(VIT, channels=(), maps=5), crops=3
    ),
    train=TrainConfig(objective="keypoints", batch_size=2),
)
CELL = grid_scale((64, 64), (8, 8))


def person(rng, low=20, high=75):
    people = np.full((1, 17, 3), 2, np.float32)
    people[..., :2] = rng.uniform(low, high, (1, 17, 2))
    return people


def dots(people):
    """A picture in which every joint is a spot of a colour of its own: 10 times its number in green."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    for joint, (at_x, at_y, _) in enumerate(people[0]):
        picture[(x - at_x) ** 2 + (y - at_y) ** 2 < 9] = (0, 10 * joint + 60, 0)
    return picture


def example(people, picture=None):
    return Example("", (), people, (SIZE, SIZE), dots(people) if picture is None else picture)


@pytest.fixture
def undamaged(monkeypatch):
    monkeypatch.setattr(keypoint_examples, "damage", lambda cut, rng: cut)
    monkeypatch.setattr(keypoint_examples, "EMPTY", 0.0)


@pytest.mark.parametrize("training", [False, True])
def test_a_joint_is_where_its_colour_is(undamaged, training):
    """Also mirrored, where a left joint has to be the right one's colour."""
    mirrored = seen = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        people = person(rng)
        arrays = keypoint_arrays(example(people), rng, CONFIG, training)
        for cut, places in zip(arrays["cuts"], arrays["places"] * CELL, strict=True):
            inside = ((places >= 1) & (places <= 62)).all(axis=1)
            colours = [cut[tuple(np.round(place[::-1]).astype(int))][1] for place in places[inside]]
            joints = np.arange(17)[inside]
            right, exchanged = (np.abs(np.array(colours, float) - 10 * k - 60) < 4 for k in (joints, MIRRORED[joints]))
            # Joints that lie on one another hide each other's colours.
            assert max(right.mean(), exchanged.mean()) > 0.6
            mirrored += exchanged.mean() > right.mean()
            seen += 1
    assert mirrored == 0 if not training else 0.2 * seen < mirrored < 0.8 * seen


def test_the_scene_says_where_heads_and_boxes_are(undamaged):
    people = np.concatenate([person(np.random.default_rng(1), 10, 40), person(np.random.default_rng(2), 50, 90)])
    arrays = keypoint_arrays(example(people), np.random.default_rng(0), CONFIG, training=False)
    np.testing.assert_array_equal(arrays["present"], [True, True] + [False] * 6)
    np.testing.assert_allclose(arrays["heads"][:2], people[:, :5, :2].mean(axis=1) / SIZE, atol=0.01)
    corners = np.concatenate([people[..., :2].min(axis=1), people[..., :2].max(axis=1)], axis=1)
    np.testing.assert_allclose(arrays["boxes"][:2], corners / SIZE, atol=0.01)
    assert arrays["pictures"].shape == (64, 64, 3)


def test_tolerances_are_those_of_oks_in_cells(undamaged):
    people = person(np.random.default_rng(3))
    arrays = keypoint_arrays(example(people), np.random.default_rng(0), CONFIG, training=False)
    box = np.ptp(people[0, :, :2], axis=0).max()
    cells = 64 / (1.25 * box) * 63 / 64 / CELL[0]  # cells a pixel of the picture
    wanted = 2 * SIGMAS * np.sqrt(areas(people)[0]) * cells
    np.testing.assert_allclose(arrays["tolerances"], np.tile(wanted, (3, 1)), rtol=1e-5)


def test_without_people_a_cut_is_of_nobody():
    picture = np.full((SIZE, SIZE, 3), 7, np.uint8)
    for people in (None, np.zeros((1, 17, 3), np.float32)):
        arrays = keypoint_arrays(example(people, picture), np.random.default_rng(0), CONFIG, training=True)
        assert not arrays["somebody"].any()
        assert not arrays["labelled"].any()
        assert not arrays["present"].any()


def test_some_cuts_show_nobody(monkeypatch):
    monkeypatch.setattr(keypoint_examples, "EMPTY", 1.0)
    people = person(np.random.default_rng(4), 5, 40)
    somebody = [
        keypoint_arrays(example(people), np.random.default_rng(seed), CONFIG, training=True)["somebody"]
        for seed in range(10)
    ]
    assert np.mean(somebody) < 0.2


def test_unlabelled_joints_do_not_count(undamaged):
    people = person(np.random.default_rng(5))
    people[0, 9] = 0
    arrays = keypoint_arrays(example(people), np.random.default_rng(0), CONFIG, training=False)
    np.testing.assert_array_equal(arrays["labelled"].sum(axis=1), [16, 16, 16])


def test_too_many_people_are_refused():
    people = np.concatenate([person(np.random.default_rng(seed)) for seed in range(9)])
    with pytest.raises(UserError, match="9 people in a picture are more than the 8"):
        keypoint_arrays(example(people), np.random.default_rng(0), CONFIG, training=True)


class Source:
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return example(person(np.random.default_rng(index)))


def test_batches_of_the_pipeline_depend_on_seed_and_step_alone():
    first, second = (iter(make_dataset(CONFIG, training=True, source=Source())) for _ in range(2))
    for _ in range(2):
        batch, again = next(first), next(second)
        for name, value in vars(batch).items():
            np.testing.assert_array_equal(value, getattr(again, name))
    assert batch.cuts.shape == (2, 3, 64, 64, 3)
    assert batch.places.shape == (2, 3, 17, 2)
    whole = next(iter(make_dataset(CONFIG, training=False, source=Source())))
    parts = [keypoint_arrays(Source()[i], np.random.default_rng(0), CONFIG, training=False) for i in (0, 1)]
    np.testing.assert_array_equal(whole.cuts, collate_keypoints(parts).cuts)


def test_settings_of_other_objectives_are_refused():
    data = dataclasses.replace(CONFIG.data, latents="cache")
    with pytest.raises(UserError, match="latents and config.data.buckets are for train.objective 'astra'"):
        make_dataset(dataclasses.replace(CONFIG, data=data), training=True, source=Source())
    networks = dataclasses.replace(CONFIG.keypoints, crops=0)
    with pytest.raises(UserError, match="crops must be 1 or more, not 0"):
        make_dataset(dataclasses.replace(CONFIG, keypoints=networks), training=True, source=Source())
