"""What the shipped weights do, on people, poses and combinations of actions that their training never saw.

A picture is compared with drawings of its own scene that differ from it in one thing alone: who stands there, in which
pose, or who of two is who. It follows a condition if the drawing that has it right is the nearest of all.

ASTRA_CHECKPOINT in the environment has other weights measured: pytest -m slow -rP tests/test_shipped_weights.py
"""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from astra_jax.inputs.requests import GivenPose, Request, SubjectRequest
from astra_jax.pipeline import AstraPipeline
from data.pose_library.scenes import sample_scene
from data.puppets.backgrounds import BACKGROUNDS, paint_background
from data.puppets.canvas import SUPERSAMPLING
from data.puppets.drawing import draw_scene
from data.puppets.examples import draw_portrait, fit, is_child, solid_joints
from data.puppets.identity import sample_identity
from data.puppets.prompts import write_prompt

SHIPPED = pathlib.Path(__file__).resolve().parent.parent / "pretrained" / "puppets"
WEIGHTS = os.environ.get("ASTRA_CHECKPOINT", SHIPPED)
SIZE, CHOICES, SCENES = 128, 4, 48
# Shares that must be right; chance is 1/4, 1/4 and 1/2.
IDENTITY, POSE, ASSIGNMENT = 0.7, 0.85, 0.85


class Stage:
    """One held-out scene whose people and joints can be exchanged."""

    def __init__(self, seed, people):
        self.rng = np.random.default_rng([2026, seed, people])
        self.scene = fit(sample_scene(self.rng, people, "test"))
        self.kinds = ["girl" if is_child(joints) else "woman" for joints in solid_joints(self.scene)]
        self.people = self.cast()
        self.background = list(BACKGROUNDS)[seed % len(BACKGROUNDS)]
        self.prompt = write_prompt(self.rng, self.kinds, self.background, self.scene.clauses, self.scene.joint_clause)
        self.portraits = [draw_portrait(who, self.rng, SIZE, "test") for who in self.people]

    def cast(self):
        """As many new identities as the scene has people."""
        return [sample_identity(self.rng, kind, "test") for kind in self.kinds]

    def drawing(self, people=None, scene=None):
        """The picture and whose each pixel is, with these people or this scene in place of the stage's own."""
        scene = scene or self.scene
        place = paint_background(self.background, np.random.default_rng(0), SIZE * SUPERSAMPLING)
        picture, owners = draw_scene(solid_joints(scene) * SIZE, people or self.people, place, scene.order)
        return picture.astype(np.float64), owners

    def request(self, index):
        """What the scene is drawn from: the portraits, the joints, the words."""
        photos = map(Image.fromarray, self.portraits)
        subjects = tuple(SubjectRequest(*pair) for pair in zip(self.prompt.phrases, photos, strict=True))
        joints = np.concatenate([self.scene.people[..., :2] * SIZE, np.full((*self.scene.people.shape[:2], 1), 2)], -1)
        return Request(self.prompt.text, subjects, GivenPose(people=joints), seed=index)


def drawn(pipe, stages):
    results = pipe.draw([stage.request(index) for index, stage in enumerate(stages)], batch_size=8)
    return [result.picture.astype(np.float64) for result in results]


def share(right, of, what):
    print(f"{right} of {of} pictures {what}")  # for `pytest -rP`
    return right / of


def nearest(picture, drawings, where):
    """The number of the drawing that is nearest to `picture` on the pixels `where`."""
    return int(np.argmin([np.square(picture - drawing)[where].mean() for drawing in drawings]))


@pytest.fixture(scope="module")
def pipe():
    return AstraPipeline.from_pretrained(WEIGHTS)


@pytest.fixture(scope="module")
def alone(pipe):
    stages = [Stage(seed, 1) for seed in range(SCENES)]
    return list(zip(stages, drawn(pipe, stages), strict=True))


@pytest.mark.slow
def test_a_picture_carries_the_looks_of_its_photo(alone):
    right = 0
    for stage, picture in alone:
        casts = [stage.people, *(stage.cast() for _ in range(CHOICES - 1))]
        drawings, owners = zip(*(stage.drawing(people=people) for people in casts), strict=True)
        right += nearest(picture, drawings, np.all(np.stack(owners) == 1, axis=0)) == 0
    assert share(right, len(alone), "show whom their photo shows") >= IDENTITY


@pytest.mark.slow
def test_a_picture_takes_the_pose_of_its_skeleton(alone):
    right = 0
    for stage, picture in alone:
        scenes = [stage.scene]
        while len(scenes) < CHOICES:
            other = fit(sample_scene(stage.rng, 1, "test"))
            if other.name != stage.scene.name and is_child(solid_joints(other)[0]) == (stage.kinds[0] == "girl"):
                scenes.append(other)
        drawings, owners = zip(*(stage.drawing(scene=scene) for scene in scenes), strict=True)
        right += nearest(picture, drawings, np.any(np.stack(owners) == 1, axis=0)) == 0
    assert share(right, len(alone), "have the pose of their skeleton") >= POSE


@pytest.mark.slow
def test_each_of_two_people_keeps_its_own_looks(pipe):
    pairs = [stage for stage in (Stage(seed, 2) for seed in range(2 * SCENES)) if len(set(stage.kinds)) == 1][:SCENES]
    right = 0
    for stage, picture in zip(pairs, drawn(pipe, pairs), strict=True):
        drawings, owners = zip(stage.drawing(), stage.drawing(people=stage.people[::-1]), strict=True)
        right += nearest(picture, drawings, np.all(np.stack(owners) > 0, axis=0)) == 0
    assert share(right, len(pairs), "show both people with their own looks") >= ASSIGNMENT
