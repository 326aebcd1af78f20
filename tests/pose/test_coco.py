import contextlib
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.pose.coco import join_captions, read_keypoints
from astra_jax.pose.pictures import labelled


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
        assert [picture.id for picture in pictures] == ["7", "9"]
        assert [(picture.height, picture.width) for picture in pictures] == [(120, 100), (100, 100)]
        np.testing.assert_allclose(pictures[0].people, make_people(2, 1), atol=1e-5)
        np.testing.assert_array_equal(pictures[0].boxes, [[0, 0, 50, 90]] * 2)
        assert not pictures[0].crowd.any()
        assert pictures[0].numbers.tolist() == [1, 2]  # ids of annotations and rows happen to be the same


PHOTOS = {
    "licenses": [{"id": 4, "name": "Attribution License"}, "odd"],
    "images": [{"id": 7, "width": 100, "height": 120, "license": 4, "coco_url": "http://a/7.jpg"},
               {"id": 9, "width": 100, "height": 100, "license": 5, "flickr_url": "http://f/9.jpg"}],
}  # fmt: skip


def test_captions(write, make_people):
    tree = {"annotations": [{"image_id": 7, "caption": " A man \n waving. "}, {"image_id": 9, "caption": "x"},
                            {"image_id": 7, "caption": "Second"}, {"image_id": 8, "caption": "  "}]}  # fmt: skip
    pictures = read_keypoints(write(annotations(make_people)))
    seven, nine = join_captions(pictures, write(tree | PHOTOS, "captions.json"))
    assert (seven.captions, nine.captions) == (("A man waving.", "Second"), ("x",))
    assert (seven.source, seven.licence) == ("http://a/7.jpg", "Attribution License")
    assert (nine.source, nine.licence) == ("http://f/9.jpg", "")
    (seven, _) = join_captions(pictures, write(tree | {"images": 5, "licenses": {"a": 1}}, "captions.json"))
    assert (seven.source, seven.licence) == ("", "")


def test_keypoint_files_tell_address_and_licence_too(write, make_people):
    seven, _ = read_keypoints(write(annotations(make_people) | PHOTOS))
    assert (seven.source, seven.licence) == ("http://a/7.jpg", "Attribution License")


def spoil(tree, **changes):
    tree["annotations"][1] |= changes
    return tree


def test_areas_are_the_segments_where_the_file_tells_them(make_people, write, tmp_path):
    tree = annotations(make_people)
    tree["annotations"][2]["area"] = 1234.5
    two, one = read_keypoints(write(tree))
    assert (two.areas.tolist(), one.areas.tolist()) == ([0.0, 1234.5], [0.0])
    as_npz(tmp_path / "file.npz", tree)
    assert [picture.areas.tolist() for picture in read_keypoints(tmp_path / "file.npz")] == [[0.0, 0.0], [0.0]]
    crowd = dataclasses.replace(two, crowd=np.array([True, False]))
    assert labelled(crowd).areas.tolist() == [1234.5]


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
        (lambda t: t | {"images": [{"id": 7.5, "width": 3, "height": 5}]}, "an image whose id is no whole number"),
        (lambda t: spoil(t, keypoints=[1e300, 1, 2] * 17), "image 7 has a joint or box that is not finite"),
        (lambda t: spoil(t, bbox=[0, 0, 1e30, 1e30]), "image 7 has a box that lies outside of any picture"),
        (lambda t: spoil(t, id=0), "has the annotation 0 twice"),
        (lambda t: spoil(t, id="x"), "annotation x has no proper"),
        (lambda t: spoil(t, bbox=[0, 0, -5, 90]), "image 7 has a box of negative width or height"),
        (lambda t: spoil(t, area="x"), "annotation 1 has no proper keypoints, bbox, area"),
        (lambda t: spoil(t, area=-1), "image 7 has a segment whose area is no number of pixels"),
        (lambda t: spoil(t, area=float("nan")), "image 7 has a segment whose area is no number of pixels"),
        (lambda t: spoil(t, area=1e300), "image 7 has a segment whose area is no number of pixels"),
        (
            lambda t: t | {"images": [{"id": i, "width": float("inf"), "height": 5} for i in (7, 9)]},
            "without id, width",
        ),
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
        ({"annotations": [{"image_id": None, "caption": "a"}]}, "without an image_id"),
    ],
)
def test_bad_captions(write, tree, message):
    with pytest.raises(UserError, match=message):
        join_captions([], write(tree))


def test_a_file_of_three_gigabytes_is_refused_unread(tmp_path):
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(3 * 2**30)  # sparse
    with pytest.raises(UserError, match=r"large.json has 3072 MiB: at most 1024 MiB are read"):
        read_keypoints(tmp_path / "large.json")


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
_PLACES = (
    ("images",), ("annotations",), ("licenses",), ("images", 0), ("annotations", 0), ("licenses", 0),
    *(("images", 0, name) for name in ("id", "width", "height", "license", "coco_url", "flickr_url")),
    *(("annotations", 0, name) for name in ("id", "image_id", "keypoints", "bbox", "iscrowd", "caption")),
    *(("annotations", 0, name, 1) for name in ("keypoints", "bbox")), ("licenses", 0, "id"), ("licenses", 0, "name"),
)  # fmt: skip


@given(st.sampled_from(_PLACES), _ANY)
def test_anything_anywhere_is_read_or_refused(tmp_path_factory, place, value):
    tree = {
        "licenses": [{"id": 4, "name": "Attribution License"}],
        "images": [{"id": 7, "width": 100, "height": 120, "license": 4}],
        "annotations": [
            {"id": 1, "image_id": 7, "keypoints": [1.0, 2.0, 2] * 17, "bbox": [0, 0, 50, 90], "caption": "a man"}
        ],
    }
    *way, last = place
    inner = tree
    for step in way:
        inner = inner[step]
    inner[last] = value
    path = tmp_path_factory.getbasetemp() / "anything.json"
    path.write_text(json.dumps(tree))
    pictures = []
    with contextlib.suppress(UserError):
        pictures = read_keypoints(path)
    with contextlib.suppress(UserError):
        join_captions(pictures, path)
