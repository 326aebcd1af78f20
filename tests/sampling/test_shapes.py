import dataclasses
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from astra_jax.inputs.requests import GivenPose, Request, SubjectRequest
from astra_jax.sampling.settings import Settings
from astra_jax.sampling.shapes import OWN_PROGRAM, Shape, choose_shapes, people_asked_for, shape_of, wants_pose

PLAIN = Settings(height=32, width=48, steps=4, guidance=1.0)


def shape(pose=True, subjects=1, **fields):
    values = {"height": 32, "width": 48, "steps": 4, "skipped": 0, "guided": False}
    return Shape(**(values | fields), pose=pose, subjects=subjects)


@pytest.mark.parametrize(
    ("prompt", "phrases", "people", "expected"),
    [
        ("a man waving", ["a man"], None, 1),
        ("a man and a woman dancing", ["a man"], None, 2),
        ("three people in a ring", [], None, 3),
        ("a backpack and a toy in the jungle", ["a backpack", "a toy"], None, 0),
        ("a backpack and a toy in the jungle", ["a backpack", "a toy"], 2, 2),
        ("a man waving", ["a man"], 0, 0),
        ("people dancing", [], None, None),
        ("people dancing", ["people"], None, 1),
    ],
)
def test_number_of_people(prompt, phrases, people, expected):
    subjects = tuple(SubjectRequest(phrase, pathlib.Path("x.png")) for phrase in phrases)
    assert people_asked_for(Request(prompt, subjects, people=people)) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("a man waving"), True),
        (Request("a backpack"), False),
        (Request("a man waving", pose="none"), False),
        (Request("a backpack", pose="pose.json"), True),
        (Request("a crowd of people dancing"), False),
        (Request("a man", pose=GivenPose(people=np.zeros((1, 17, 3)))), True),
        (Request("a man", pose=GivenPose(picture=Image.new("RGB", (4, 4)))), True),
        (Request("a man", pose=GivenPose()), False),
    ],
)
def test_whether_there_is_a_pose_is_told_from_words(request_, expected):
    assert wants_pose(request_) == expected


def test_the_shape_of_a_request():
    subjects = (SubjectRequest("a man", pathlib.Path("x.png")),)
    assert shape_of(Request("a man waving", subjects), PLAIN) == shape()
    start = Request("a backpack", image=pathlib.Path("x.png"))
    guided = Settings(32, 48, 4, 1.0, cfg_scale=2.0, strength=0.5)
    assert shape_of(start, guided) == shape(pose=False, subjects=0, skipped=2, guided=True)
    # A strength that leaves out as many steps is the same shape.
    assert shape_of(start, dataclasses.replace(guided, strength=0.45)) == shape_of(start, guided)


def test_small_groups_go_with_larger_shapes_and_large_ones_stay():
    small, large, other = shape(subjects=1), shape(subjects=2), shape(subjects=1, steps=5)
    assert choose_shapes([small, large, other], [1, 1, 1], 4) == [large, large, other]
    assert choose_shapes([small, large], [4 * OWN_PROGRAM, 1], 4) == [small, large]
    # Nobody has both: no third program is made up.
    assert choose_shapes([shape(True, 0), shape(False, 1)], [1, 1], 4) == [shape(True, 0), shape(False, 1)]
    # Small ones that meet in a shape may make it large enough to stay.
    half = 2 * OWN_PROGRAM
    assert choose_shapes([shape(False, 0), shape(False, 1), shape(True, 1)], [half, half, 1], 4) == [
        shape(False, 1),
        shape(False, 1),
        shape(True, 1),
    ]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=30),
    st.integers(1, 8),
)
def test_every_request_fits_and_programs_are_few(drawn, batch_size):
    asked = [shape(pose, subjects) for pose, subjects, _ in drawn]
    pictures = [number for _, _, number in drawn]
    chosen = choose_shapes(asked, pictures, batch_size)
    assert all(larger.holds(smaller) for larger, smaller in zip(chosen, asked, strict=True))
    assert set(chosen) <= set(asked)
    assert len(set(chosen)) <= len(set(asked))
    again = choose_shapes(chosen, pictures, batch_size)
    assert again == chosen
