import json

import numpy as np
import pytest
from PIL import Image

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request
from astra_jax.pipeline import Ready, Result
from astra_jax.results import ResultWriter, contact_sheet

RED, BLUE = (np.full((32, 48, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def make_ready(prompt="a prompt", photos=(RED,), skeleton=BLUE):
    return Ready(Request(prompt, seed=5), {}, photos, skeleton, None, ("a note",))


def test_files_and_manifest(tmp_path):
    first, second = make_ready(), make_ready("another", photos=(), skeleton=None)
    writer = ResultWriter(tmp_path / "out", Config(), "abc", steps=7, guidance=2.0, cfg_scale=1.5)
    for result in (Result(RED, first, 0), Result(BLUE, first, 1), Result(RED, second, 0)):
        writer.add(result)
    sheet = read(writer.finish())
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["0000_0.png", "0000_1.png", "0001_0.png"]
    assert lines[1] == {
        "file": "0000_1.png",
        "request": "request",
        "prompt": "a prompt",
        "subjects": [],
        "pose": {"source": "auto"},
        "people": None,
        "seed": 5,
        "index": 1,
        "height": 32,
        "width": 48,
        "config": "config.json",
        "weights": "abc",
        "steps": 7,
        "guidance": 2.0,
        "cfg_scale": 1.5,
        "notes": ["a note"],
    }
    np.testing.assert_array_equal(read(tmp_path / "out" / "0000_1.png"), BLUE)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model"]["positions"] == "europe"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "0000_0.png", "0000_1.png", "0001_0.png", "config.json", "manifest.jsonl", "sheet.png",
    }  # fmt: skip
    assert sheet.ndim == 3


def test_sheet_shows_references_skeleton_and_pictures_in_this_order():
    sheet = contact_sheet([(make_ready(photos=(RED,), skeleton=BLUE), [RED, BLUE])])
    middle = sheet[6 + 13 + 2 + 16]
    centres = [6 + column * (48 + 6) + 16 for column in range(4)]
    assert [tuple(int(v) for v in middle[x]) for x in centres] == [(255, 0, 0), (0, 0, 255), (255, 0, 0), (0, 0, 255)]


def test_odd_characters_do_not_stop_the_sheet():
    contact_sheet([(make_ready("日本 🎈 ünï" * 50), [RED])])


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose a folder you can write to"):
        ResultWriter(tmp_path / "file", Config(), "abc", 1, 1.0, 1.0)
