import json

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.coco import read_captions, read_keypoints
from astra_jax.pose.curation import curate, quality


def annotations(make_people, **changes):
    """Two pictures: 7 with two people, 9 with one; listed out of order."""
    two, one = make_people(2, 1), make_people(1, 2)
    rows = [(9, one[0]), (7, two[0]), (7, two[1])]
    return {
        "images": [{"id": 7, "width": 100, "height": 120}, {"id": 9, "width": 100, "height": 100}],
        "annotations": [
            {"id": i, "image_id": image, "keypoints": person.ravel().tolist(), "bbox": [0, 0, 50, 90], "iscrowd": 0}
            for i, (image, person) in enumerate(rows)
        ],
    } | changes


@pytest.fixture
def write(tmp_path):
    def write(tree, name="file.json"):
        (tmp_path / name).write_text(json.dumps(tree))
        return tmp_path / name

    return write


def as_npz(path, tree):
    sizes = {image["id"]: (image["width"], image["height"]) for image in tree["images"]}
    rows = tree["annotations"]
    np.savez(
        path,
        image_id=np.array([row["image_id"] for row in rows], np.int32),
        image_wh=np.array([sizes[row["image_id"]] for row in rows], np.int16),
        bbox_xywh=np.array([row["bbox"] for row in rows], np.float32),
        keypoints=np.array([row["keypoints"] for row in rows], np.float32).reshape(-1, 17, 3),
    )
    return path


def test_json_and_npz_say_the_same(write, make_people, tmp_path):
    tree = annotations(make_people)
    from_json, from_npz = read_keypoints(write(tree)), read_keypoints(as_npz(tmp_path / "file.npz", tree))
    for pictures in (from_json, from_npz):
        assert [picture.id for picture in pictures] == [7, 9]
        assert [(picture.height, picture.width) for picture in pictures] == [(120, 100), (100, 100)]
        np.testing.assert_allclose(pictures[0].people, make_people(2, 1), atol=1e-5)
        np.testing.assert_array_equal(pictures[0].boxes, [[0, 0, 50, 90]] * 2)
        assert not pictures[0].crowd.any()


def test_captions(write):
    tree = {"annotations": [{"image_id": 7, "caption": " A man \n waving. "}, {"image_id": 9, "caption": "x"},
                            {"image_id": 7, "caption": "Second"}, {"image_id": 8, "caption": "  "}]}  # fmt: skip
    assert read_captions(write(tree)) == {7: ["A man waving.", "Second"], 9: ["x"]}


def spoil(tree, **changes):
    tree["annotations"][1] |= changes
    return tree


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: [], "has no list 'images'"),
        (lambda t: t | {"annotations": []}, "has no annotations"),
        (lambda t: t | {"images": t["images"] * 2}, "has the image 7 twice"),
        (lambda t: t | {"images": [{"id": 7}]}, "without id, width or height"),
        (lambda t: spoil(t, keypoints=[0] * 48), "annotation 1 has 16 joints"),
        (lambda t: spoil(t, keypoints=["x"] * 51), "annotation 1 has no proper keypoints"),
        (lambda t: spoil(t, keypoints=[float("nan")] * 51), "image 7 has a joint or box that is not finite"),
        (lambda t: spoil(t, keypoints=[1, 1, 5] * 17), "image 7 has a joint whose visibility"),
        (lambda t: spoil(t, bbox=[1, 2]), "annotation 1 has no proper keypoints, bbox"),
        (lambda t: spoil(t, image_id=8), "annotation 1 is of an image 8 that is not listed"),
        (lambda t: t | {"images": [{"id": i, "width": -3, "height": 5} for i in (7, 9)]}, "the size -3 x 5"),
        (lambda t: t | {"annotations": [3]}, "annotation None has no proper"),
    ],
)
def test_bad_keypoints(write, make_people, change, message):
    with pytest.raises(UserError, match=message):
        read_keypoints(write(change(annotations(make_people))))


def test_bad_npz(make_people, tmp_path):
    path = tmp_path / "file.npz"
    with pytest.raises(UserError, match="cannot read"):
        read_keypoints(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="no readable npz"):
        read_keypoints(path)
    as_npz(path, annotations(make_people))
    with np.load(path) as old:
        arrays = dict(old)
    np.savez(path, **{**arrays, "keypoints": arrays["keypoints"][:, :16]})
    with pytest.raises(UserError, match=r"keypoints has shape \(3, 16, 3\)"):
        read_keypoints(path)
    np.savez(path, image_id=arrays["image_id"])
    with pytest.raises(UserError, match="no array 'image_wh'"):
        read_keypoints(path)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "has no list 'annotations'"),
        ({"annotations": [{"image_id": 1}]}, "without a caption"),
        ({"annotations": [{"image_id": "x", "caption": "a"}]}, "whole-numbered image_id"),
    ],
)
def test_bad_captions(write, tree, message):
    with pytest.raises(UserError, match=message):
        read_captions(write(tree))


def curated(write, tree, captions=None):
    captions = captions or {7: ["two men waving"], 9: ["a man sitting"]}
    return curate(read_keypoints(write(tree)), captions, "COCO 2017", "CC BY 4.0")


def test_curation_keeps_provenance(write, make_people):
    entries, report = curated(write, annotations(make_people))
    assert [entry.id for entry in entries] == ["coco-2017-7", "coco-2017-9"]
    assert entries[0].captions == ("two men waving",)
    assert (entries[0].source, entries[0].licence) == ("COCO 2017 7", "CC BY 4.0")
    assert entries[0].quality == 1
    assert (report.seen, report.kept, sum(report.dropped.values())) == (2, 2, 0)


def joints(make_people, hide):
    people = make_people(2, 1)
    people[0, hide, 2] = 0
    return people[0].ravel().tolist()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda t, p: spoil(t, iscrowd=1), "shows a crowd"),
        (lambda t, p: t | {"annotations": t["annotations"] * 3}, "does not show 1 to 4 people"),
        (lambda t, p: spoil(t, keypoints=joints(p, slice(9, 17))), "fewer than 10 labelled joints"),
        (lambda t, p: spoil(t, keypoints=joints(p, 5)), "lacks a shoulder"),
        (lambda t, p: spoil(t, bbox=[0, 0, 10, 20]), "below 3% of the picture"),
        (lambda t, p: spoil(t, keypoints=[2e6, 1, 2] * 17), "outside of any picture"),
    ],
)
def test_every_rule_drops_and_is_counted(write, make_people, change, rule):
    entries, report = curated(write, change(annotations(make_people), make_people))
    assert [entry.id for entry in entries] == ["coco-2017-9"]
    (dropped,) = [name for name, count in report.dropped.items() if count]
    assert rule in dropped
    assert report.dropped[dropped] == 1
    assert f"{1:8d} dropped: {dropped}" in str(report)


def test_pictures_without_captions_are_dropped(write, make_people):
    entries, report = curated(write, annotations(make_people), {9: ["x"]})
    assert len(entries) == 1
    assert report.dropped["has no caption"] == 1


def test_quality_counts_hidden_joints_half(write, make_people):
    (picture, _) = read_keypoints(write(annotations(make_people)))
    picture.people[..., 2] = 2
    picture.people[0, :, 2] = 1
    picture.people[0, 0, 2] = 0
    assert quality(picture) == pytest.approx((16 * 0.5 + 17) / 34)
