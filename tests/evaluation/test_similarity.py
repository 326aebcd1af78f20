"""Similarities of unit vectors whose cosines can be told by hand."""

import numpy as np
import pytest

from astra_jax.evaluation.similarity import (
    cosines,
    person_crop,
    several_subjects_similarity,
    subject_similarity,
    text_similarity,
)

X, Y, Z = np.eye(3, dtype=np.float32)
D = np.array([0.6, 0.8, 0.0], np.float32)  # cosines 0.6 with X, 0.8 with Y, 0 with Z


def rows(*vectors):
    return np.stack(vectors)


def test_cosines_are_of_unit_vectors():
    np.testing.assert_allclose(cosines(rows(X, D), rows(Y, D, -X)), [[0, 0.6, -1], [0.8, 1, -0.6]], atol=1e-7)
    for bad in (2 * X, 0 * X, np.array([np.nan, 0, 0], np.float32)):
        with pytest.raises(ValueError, match="unit vectors"):
            cosines(rows(X), rows(bad))


def test_a_picture_is_compared_with_all_real_ones_of_its_subject():
    # D: (0.6 + 0.8 + 0) / 3; X: (1 + 0 + 0) / 3.
    np.testing.assert_allclose(subject_similarity(rows(D, X), rows(X, Y, Z)), [1.4 / 3, 1 / 3], atol=1e-7)
    np.testing.assert_allclose(subject_similarity(rows(D, X), rows(Y)), [0.8, 0], atol=1e-7)


def test_a_real_picture_is_not_compared_with_itself():
    real = rows(X, D, Y)
    # X: (0.6 + 0) / 2; D: (0.6 + 0.8) / 2; Y: (0 + 0.8) / 2.
    np.testing.assert_allclose(subject_similarity(real, real, np.arange(3)), [0.3, 0.7, 0.4], atol=1e-7)
    with pytest.raises(ValueError, match="itself alone"):
        subject_similarity(rows(X), rows(X), np.array([0]))


def test_subjects_count_the_same_however_many_pictures_they_have():
    # Of D: 0.6 with the first subject's two pictures' mean (0.6 + 0.6) / 2, 0 with the second's one.
    np.testing.assert_allclose(several_subjects_similarity(rows(D), [rows(X, X), rows(Z)]), [0.3], atol=1e-7)


def test_a_picture_is_compared_with_its_own_text():
    np.testing.assert_allclose(text_similarity(rows(D, D, Z), rows(X, Y, Z)), [0.6, 0.8, 1], atol=1e-7)
    with pytest.raises(Exception, match="B"):
        text_similarity(rows(D, D), rows(X))


def test_a_crop_has_the_box_and_its_margin_as_far_as_the_picture_goes():
    picture = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    crop = person_crop(picture, np.array([4.0, 2.0, 10.0, 5.0]), 0.2)  # 2 columns and 1 row more at each side
    np.testing.assert_array_equal(crop, picture[1:8, 2:16])
    np.testing.assert_array_equal(person_crop(picture, np.array([4.5, 2.5, 1.0, 1.0]), 0.0), picture[2:4, 4:6])
    np.testing.assert_array_equal(person_crop(picture, np.array([-5.0, -5.0, 100.0, 100.0])), picture)


@pytest.mark.parametrize(
    "box", [[30, 2, 5, 5], [-9, 2, 5, 5], [1, 1, 0, 5], [1, 1, 5, -2], [1, np.nan, 5, 5], [1, 1, np.inf, 1]]
)
def test_a_box_of_nothing_has_no_crop(box):
    assert person_crop(np.zeros((10, 20, 3), np.uint8), np.array(box, float)) is None
