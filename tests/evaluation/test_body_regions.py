"""Colours of regions along limbs, and the space they are compared in."""

import colorsys

import numpy as np
import pytest

from astra_jax.evaluation.body_regions import HEAD, LEGS, REGIONS, TOP, region_colours, region_masks
from astra_jax.evaluation.oklab import oklab

# Somebody upright in a picture of 80 x 60 pixels, arms spread; x, y of COCO's joints.
STANDING = np.array(
    [(30, 10), (31, 9), (29, 9), (33, 10), (27, 10), (35, 20), (25, 20), (45, 20), (15, 20), (54, 20), (6, 20),
     (33, 40), (27, 40), (33, 55), (27, 55), (33, 70), (27, 70)], np.float64
)  # fmt: skip


def masks():
    return region_masks(np.concatenate([STANDING, np.ones((17, 1))], axis=1), (80, 60))


def test_regions_lie_where_their_bones_are():
    inside = {name: np.argwhere(mask) for name, mask in zip(REGIONS, masks(), strict=True)}
    assert inside["hair"][:, 0].max() < 10  # rows
    assert 20 < inside["chest"][:, 0].mean() < 30 < inside["belly"][:, 0].mean() < 40
    assert set(np.sign(inside["forearms"][:, 1] - 30)) == {-1, 1}  # both sides
    assert inside["shins"][:, 0].min() > inside["thighs"][:, 0].min()
    assert inside["feet"][:, 0].max() > 71
    assert sorted((*HEAD, *TOP, *LEGS)) == list(range(len(REGIONS)))


def test_means_and_spreads_by_hand():
    picture = np.zeros((80, 60, 3))
    picture[:, 30:] = [10, 20, 30]
    mean, spread = region_colours(picture, masks())
    thighs = REGIONS.index("thighs")
    share = masks()[thighs][:, 30:].sum() / masks()[thighs].sum()
    np.testing.assert_allclose(mean[thighs], share * np.array([10, 20, 30]))
    np.testing.assert_allclose(spread[thighs], np.sqrt(share * (1 - share)) * np.array([10, 20, 30]))


def test_what_is_outside_of_the_picture_has_no_colour():
    away = STANDING + [0, 60]  # the legs are below the lower edge
    mean, spread = region_colours(np.ones((80, 60, 3)), region_masks(away, (80, 60)))
    assert np.isnan(mean[REGIONS.index("shins")]).all()
    assert np.isnan(spread[REGIONS.index("shins")]).all()
    assert np.isfinite(mean[REGIONS.index("head")]).all()


def test_a_person_in_one_point_is_no_error():
    assert region_masks(np.full((17, 2), 5.0), (10, 10)).any()


def test_oklab_of_known_colours():
    # Ottosson's values of white, black, and the primaries of sRGB.
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.float64)
    expected = [[1, 0, 0], [0, 0, 0], [0.628, 0.225, 0.126], [0.866, -0.234, 0.179], [0.452, -0.032, -0.312]]
    np.testing.assert_allclose(oklab(colours), expected, atol=6e-4)


def test_greys_have_no_chroma_and_hues_go_round():
    greys = np.repeat(np.arange(0, 256, 51.0)[:, None], 3, axis=1)
    np.testing.assert_allclose(oklab(greys)[:, 1:], 0, atol=1e-4)
    assert (np.diff(oklab(greys)[:, 0]) > 0).all()
    wheel = oklab(255 * np.array([colorsys.hsv_to_rgb(h / 12, 1, 1) for h in range(12)]))
    turned = np.unwrap(np.arctan2(wheel[:, 2], wheel[:, 1]))
    assert (np.diff(turned) > 0).all()
    assert turned[-1] - turned[0] == pytest.approx(2 * np.pi, rel=0.2)
