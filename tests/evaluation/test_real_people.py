"""Annotated photos and what an estimator reaches on them."""

import json

import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation.pose_scores import pose_values
from astra_jax.evaluation.real_people import calibrate, moved, read_real_photos
from astra_jax.pose.average_precision import FoundPeople, TruePeople
from tests.evaluation.coco_files import HEIGHT, PICTURES, WIDTH, annotation, joints, write_coco
from tests.evaluation.dots import Dots, paint


@pytest.fixture
def photos(tmp_path):
    """The photos of pictures 11 and 12, painted, and annotations with a crowd and somebody without joints."""
    crowd = annotation(5, 11, joints(150), iscrowd=1)
    keypoints, _ = write_coco(tmp_path, [crowd, annotation(6, 11, joints(0) * 0)])
    for image in (11, 12):
        places, wrists, _ = PICTURES[image]
        picture = paint([joints(*pair) for pair in zip(places, wrists, strict=True)], (HEIGHT, WIDTH))
        Image.fromarray(picture).save(tmp_path / f"{image:012d}.png")
        (tmp_path / f"{image:012d}.png").rename(tmp_path / f"{image:012d}.jpg")  # the dots must not be compressed
    return tmp_path, keypoints


def test_photos_come_with_their_labelled_people(photos):
    folder, keypoints = photos
    read = read_real_photos(folder, [keypoints])
    assert [photo.id for photo in read] == ["11", "12"]
    assert [len(photo.truth.people) for photo in read] == [1, 2]
    np.testing.assert_allclose(read[0].truth.areas, 10_000)
    assert [photo.id for photo in read_real_photos(folder, [keypoints], most=1)] == ["11"]


def test_a_perfect_estimator_reaches_one_and_a_person_not_found_counts_zero(photos):
    read = read_real_photos(photos[0], [photos[1]])
    figures = calibrate(Dots(), read)
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(
        {"oks": 1.0, "oks_large": 1.0, "people_found": 1.0, "ap": 1.0}
    )
    assert figures["oks"].count == 3
    Image.new("RGB", (WIDTH, HEIGHT)).save(read[0].path)
    figures = calibrate(Dots(), read)
    assert figures["oks"].value == figures["people_found"].value == pytest.approx(2 / 3)


def test_areas_are_those_of_segments_else_estimated(photos):
    folder, keypoints = photos
    tree = json.loads(keypoints.read_text())
    first, second = (row for row in tree["annotations"] if row["image_id"] == 12)
    first["area"] = 4500.0
    del second["area"]
    keypoints.write_text(json.dumps(tree))
    truth = read_real_photos(folder, [keypoints])[1].truth
    np.testing.assert_allclose(truth.areas, [4500, 0.53 * 108 * 180])
    # A nose that is 2 sigma sqrt(2 area) off counts exp(-1), the other 16 joints 1.
    guess = truth.people.astype(np.float64)
    guess[0, 0, 0] += 2 * 0.026 * np.sqrt(2 * 4500)
    values = pose_values(truth, FoundPeople(guess, np.ones(2)))
    assert values["oks"] == pytest.approx([(16 + np.exp(-1)) / 17, 1.0])


def test_photos_that_are_missing_or_of_another_size(photos, tmp_path):
    folder, keypoints = photos
    with pytest.raises(UserError, match=r"cocodataset\.org, named like 000000000785\.jpg"):
        read_real_photos(tmp_path / "none", [keypoints])
    Image.new("RGB", (30, 20)).save(folder / "000000000013.jpg")
    with pytest.raises(UserError, match="13.jpg is not 300 x 200 pixels"):
        calibrate(Dots(), read_real_photos(folder, [keypoints]))


def test_moved_people_keep_their_scores():
    people = joints(20)[None].astype(np.float64)
    truth = TruePeople(people, np.array([400.0]), np.array([[16.0, 4.0, 108.0, 180.0]]), np.zeros(1, bool))
    there = moved(truth, (HEIGHT, WIDTH), (100, 100))  # a third as large, with (100 - 200 / 3) / 2 above
    np.testing.assert_allclose(there.people[0, :, 0], people[0, :, 0] / 3)
    np.testing.assert_allclose(there.people[0, :, 1], people[0, :, 1] / 3 + 50 / 3)
    np.testing.assert_allclose(there.areas, 400 / 9)
    np.testing.assert_allclose(there.boxes, [[16 / 3, 4 / 3 + 50 / 3, 36, 60]])
