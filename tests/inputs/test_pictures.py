import dataclasses

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.inputs.pictures import check_crop, random_picture
from astra_jax.inputs.transforms import skeletons


def kind_of(picture, example):
    """0: target, 1: skeleton, 2: photo; targets are of one grey, photos of another, skeletons neither."""
    if (picture == example.target[0, 0, 0]).all():
        return 0
    return 2 if set(np.unique(picture)) <= {255, *(s.photo[0, 0, 0] for s in example.subjects)} else 1


@pytest.mark.parametrize("crop", [0, 24, 48])
def test_all_three_kinds_in_their_shares(config, source, change, crop):
    config = change(config, data={"crop": crop})
    example = source[7]
    rng = np.random.default_rng(0)
    pictures = [random_picture(example, rng, config) for _ in range(500)]
    assert {p.shape for p in pictures} == {(crop or 64, crop or 64, 3)}
    shares = np.bincount([kind_of(p, example) for p in pictures], minlength=3) / 500
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.08)


def test_crops_come_from_everywhere(config, source, change):
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 3))
    example = dataclasses.replace(source[0], target=ramp.copy(), subjects=(), people=None)
    config = change(config, data={"crop": 60})
    rng = np.random.default_rng(0)
    tops = {int(random_picture(example, rng, config)[0, 0, 0]) for _ in range(200)}
    assert tops == {0, 1, 2, 3, 4}


def test_the_skeleton_is_the_models(config, source, change):
    rng = np.random.default_rng(0)
    example = source[7]
    pictures = [random_picture(example, rng, config) for _ in range(40)]
    skeleton = skeletons(example, (64, 64))
    assert any(np.array_equal(picture, skeleton) for picture in pictures)


def test_without_a_target(config, source):
    bare = dataclasses.replace(source[0], target=None, subjects=(), people=None)
    with pytest.raises(ValueError, match="without a target"):
        random_picture(bare, np.random.default_rng(0), config)


def test_sizes(config, change):
    check_crop(config)
    check_crop(change(config, data={"crop": 10}))
    with pytest.raises(UserError, match=r"data.crop 11 is no positive multiple of 2: 12 is the nearest"):
        check_crop(change(config, data={"crop": 11}))
    with pytest.raises(UserError, match=r"crop 66 does not fit into 64 x 64"):
        check_crop(change(config, data={"crop": 66}))
    with pytest.raises(UserError, match=r"data.height 63 is no positive multiple of 2"):
        check_crop(change(config, data={"height": 63}))
    with pytest.raises(UserError, match=r"data.crop -2 is no positive multiple"):
        check_crop(change(config, data={"crop": -2}))
