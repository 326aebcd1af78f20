import dataclasses
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.inputs.requests import GivenPose, Request, SubjectRequest
from astra_jax.sampling.identity import picture_key
from astra_jax.sampling.settings import Settings

SETTINGS = Settings(32, 32, 4, 1.0)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (4, 4), "red").save(path)
    return path


def key(request, index=0, settings=SETTINGS, weights="w", bank="b"):
    return picture_key(request, index, settings, weights, bank)


def test_all_that_determines_a_picture_is_in_its_key(photo, tmp_path):
    request = Request("a man", (SubjectRequest("a man", photo),), seed=1, image=photo)
    other = tmp_path / "other.png"
    Image.new("RGB", (4, 4), "blue").save(other)
    keys = [
        key(request),
        key(request, index=1),
        key(request, weights="x"),
        key(request, bank="x"),
        *(
            key(dataclasses.replace(request, **change))
            for change in (
                {"prompt": "a woman"},
                {"seed": 2},
                {"people": 1},
                {"pose": "none"},
                {"pose": str(photo)},
                {"pose": GivenPose(people=np.ones((1, 17, 3)))},
                {"pose": GivenPose(picture=Image.new("RGB", (4, 4)))},
                {"image": other},
                {"subjects": (SubjectRequest("a man", other),)},
                {"subjects": (SubjectRequest("man", photo),)},
            )
        ),
        *(
            key(request, settings=dataclasses.replace(SETTINGS, **{field.name: change}))
            for field, change in zip(
                dataclasses.fields(Settings), (16, 16, 5, 2.0, 2.0, 0.1, 0.9, 0.5, 0.5, "heun", 0.1), strict=True
            )
        ),
    ]
    assert len(set(keys)) == len(keys)


def test_what_does_not_determine_it_is_not(photo, tmp_path):
    request = Request("a man", (SubjectRequest("a man", photo),), name="line 1")
    renamed = tmp_path / "renamed.png"
    renamed.write_bytes(photo.read_bytes())
    assert key(dataclasses.replace(request, name="line 2", num_images=5)) == key(request)
    assert key(dataclasses.replace(request, subjects=(SubjectRequest("a man", renamed),))) == key(request)
    assert key(dataclasses.replace(request, pose="none"), bank="x") == key(dataclasses.replace(request, pose="none"))


def test_a_photo_that_changes_under_its_name_is_another(photo):
    request = Request("a man", (SubjectRequest("a man", photo),))
    before = key(request)
    Image.new("RGB", (4, 4), "blue").save(photo)
    os.utime(photo, (1, 1))
    assert key(request) != before


@pytest.mark.parametrize("name", ["missing.png", "\0.png"])
def test_files_that_cannot_be_read(name):
    with pytest.raises(UserError, match=r"missing|null byte|\\x00"):
        key(Request("a man", (SubjectRequest("a man", pathlib.Path(name)),)))
