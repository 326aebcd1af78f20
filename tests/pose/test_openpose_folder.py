import json

import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.pose.openpose_folder import read_openpose_folder
from astra_jax.pose.openpose_form import write_openpose


@pytest.fixture
def folder(tmp_path, make_whole_people):
    """Three pictures: with its size and captions, as OpenPose names it with the photo beside it, and of nobody."""
    tree = write_openpose(make_whole_people(2), (100, 90))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.2.json").write_text(json.dumps(tree))
    (tmp_path / "b" / "1.2.txt").write_text("two people dancing\n\n  a waltz \n", encoding="utf-8")
    (tmp_path / "a_keypoints.json").write_text(json.dumps({"version": 1.3, "people": tree["people"][:1]}))
    Image.new("RGB", (70, 80)).save(tmp_path / "a.jpg")
    (tmp_path / "c.json").write_text(json.dumps({"people": [], "canvas_height": 5, "canvas_width": 6}))
    return tmp_path


def test_a_folder(folder, make_whole_people):
    a, b, c = read_openpose_folder(folder)
    assert [one.id for one in (a, b, c)] == ["a", "b/1.2", "c"]
    assert [(one.height, one.width) for one in (a, b, c)] == [(80, 70), (100, 90), (5, 6)]
    assert [one.captions for one in (a, b, c)] == [(), ("two people dancing", "a waltz"), ()]
    np.testing.assert_allclose(b.people, make_whole_people(2), rtol=1e-5)
    assert [len(one.people) for one in (a, b, c)] == [1, 2, 0]
    low, high = b.people[1, :, :2].min(axis=0), b.people[1, :, :2].max(axis=0)
    np.testing.assert_allclose(b.boxes[1], [*low, *(high - low)], rtol=1e-5)


def test_refusals(folder, tmp_path_factory):
    with pytest.raises(UserError, match=r"holds no \*.json"):
        list(read_openpose_folder(tmp_path_factory.mktemp("empty")))
    (folder / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"a\.jpg is no picture"):
        list(read_openpose_folder(folder))
    (folder / "a.jpg").unlink()
    with pytest.raises(UserError, match=r"a_keypoints.json does not tell its picture's size: add canvas_height"):
        list(read_openpose_folder(folder))
    (folder / "a.json").write_text("{}")
    with pytest.raises(UserError, match=r"a.json holds no people: expected OpenPose's"):
        list(read_openpose_folder(folder))
    (folder / "a.json").write_text(json.dumps({"people": [], "canvas_height": 5, "canvas_width": 6}))
    with pytest.raises(UserError, match="has two keypoint files of the picture a"):
        list(read_openpose_folder(folder))
    (folder / "a_keypoints.json").unlink()
    (folder / "b" / "1.2.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"1.2.txt is no text"):
        list(read_openpose_folder(folder))
    (folder / "b" / "1.2.txt").write_bytes(b"x" * 2**19)
    with pytest.raises(UserError, match=r"1.2.txt has more than 256 KiB"):
        list(read_openpose_folder(folder))


def test_a_photo_that_is_shown_turned(folder):
    photo, exif = Image.new("RGB", (70, 80)), Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    photo.save(folder / "a.jpg", exif=exif)
    first, *_ = read_openpose_folder(folder)
    assert (first.height, first.width) == (70, 80)


@pytest.mark.parametrize("name", ["c.json", "c.txt", "c.png"])
def test_links_out_of_the_folder(folder, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_text("secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    with pytest.raises(UserError, match=rf"{name} is a link out of"):
        list(read_openpose_folder(folder))
    (folder / name).unlink()
    (folder / "c.json").unlink(missing_ok=True)
    (folder / "c.json").symlink_to(folder / "b" / "1.2.json")
    assert [one.id for one in read_openpose_folder(folder)] == ["a", "b/1.2", "c"]
