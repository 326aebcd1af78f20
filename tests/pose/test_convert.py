import json

import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.pose.commands import run
from astra_jax.pose.pose_files import read_people, save_people


def test_through_every_form(tmp_path, make_whole_people, capsys):
    people = make_whole_people(2)
    save_people(tmp_path / "a.npz", people, (90, 120), "npz")
    run(["convert", str(tmp_path / "a.npz"), "--out", str(tmp_path / "b.json"), "--form", "coco"])
    run(["convert", str(tmp_path / "b.json"), "--out", str(tmp_path / "c.json"), "--form", "openpose"])
    assert "people" in json.loads((tmp_path / "c.json").read_text())
    found, size = read_people(tmp_path / "c.json")
    np.testing.assert_array_equal(found, people)
    assert size == (90, 120)
    assert "c.json: 2 people of 133 points, 120 x 90 pixels" in capsys.readouterr().out


def test_a_size_is_needed(tmp_path, make_people):
    source, out = tmp_path / "a.json", tmp_path / "b.json"
    source.write_text(json.dumps([{"keypoints": make_people(1)[0].ravel().tolist()}]))
    command = ["convert", str(source), "--out", str(out), "--form", "openpose"]
    for more in ([], ["--height", "5"], ["--height", "-5", "--width", "5"]):
        with pytest.raises(UserError, match="give --height and --width"):
            run(command + more)
    run([*command, "--height", "80", "--width", "90"])
    assert read_people(out)[1] == (80, 90)
