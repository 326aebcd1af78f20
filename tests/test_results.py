import json

import numpy as np
import pytest
from PIL import Image

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request
from astra_jax.pipeline import Ready, Result
from astra_jax.results import PNG_KEY, ResultWriter, contact_sheet, read_manifests, read_png
from astra_jax.sampling.settings import Settings

RED, BLUE = (np.full((32, 48, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
SETTINGS = Settings(height=32, width=48, steps=7, guidance=2.0, cfg_scale=1.5)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def make_ready(prompt="a prompt", photos=(RED,), skeleton=BLUE):
    return Ready(Request(prompt, seed=5), SETTINGS, {}, photos, skeleton, None, None, ("a note",))


def lines_of(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_files_and_manifest(tmp_path):
    first, second = make_ready(), make_ready("another", photos=(), skeleton=None)
    out = tmp_path / "out"
    writer = ResultWriter(out, Config(), "abc")
    results = [Result(RED, first, 0, 3), Result(BLUE, first, 1, 3), Result(RED, second, 0, 10)]
    for result, key in zip(results, ("0123456789abcdef", "11", "22"), strict=True):
        writer.add(result, key)
    sheet = read(writer.finish([(first, [writer.find("0123456789abcdef"), writer.find("11")])]))
    lines = lines_of(out)
    assert [line["file"] for line in lines] == ["00003_0_01234567.png", "00003_1_11.png", "00010_0_22.png"]
    (config,) = out.glob("config-*.json")
    assert lines[1] == {
        "file": "00003_1_11.png",
        "key": "11",
        "request": "request",
        "prompt": "a prompt",
        "subjects": [],
        "pose": {"source": "auto"},
        "people": None,
        "image": None,
        "seed": 5,
        "index": 1,
        "height": 32,
        "width": 48,
        "steps": 7,
        "guidance": 2.0,
        "cfg_scale": 1.5,
        "pose_start": 0.0,
        "pose_end": 1.0,
        "dsm_scale": 1.0,
        "strength": 0.6,
        "solver": "euler",
        "cache_threshold": 0.0,
        "config": config.name,
        "weights": "abc",
        "notes": ["a note"],
    }
    np.testing.assert_array_equal(read(out / "00003_1_11.png"), BLUE)
    with Image.open(out / "00003_1_11.png") as picture:
        assert json.loads(picture.text[PNG_KEY]) == lines[1]
    assert json.loads(config.read_text())["model"]["positions"] == "europe"
    names = {line["file"] for line in lines} | {config.name, "manifest.jsonl", "sheet.png"}
    assert {file.name for file in out.iterdir()} == names
    assert sheet.ndim == 3


def test_a_later_run_finds_what_is_there_and_adds_to_it(tmp_path):
    ResultWriter(tmp_path, Config(), "abc").add(Result(RED, make_ready(), 0), "one")
    writer = ResultWriter(tmp_path, Config(), "abc")
    assert writer.find("one") == tmp_path / "00000_0_one.png"
    assert writer.find("two") is None
    writer.add(Result(BLUE, make_ready(), 0), "two")
    assert [line["key"] for line in lines_of(tmp_path)] == ["one", "two"]
    (tmp_path / "00000_0_one.png").unlink()
    assert ResultWriter(tmp_path, Config(), "abc").find("one") is None


def test_half_a_line_of_a_killed_run_is_none(tmp_path):
    ResultWriter(tmp_path, Config(), "abc").add(Result(RED, make_ready(), 0), "one")
    manifest = tmp_path / "manifest.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + whole[: len(whole) // 2])
    assert read_manifests(tmp_path) == {"one": "00000_0_one.png"}
    ResultWriter(tmp_path, Config(), "abc").add(Result(RED, make_ready(), 0), "two")
    assert [line["key"] for line in lines_of(tmp_path)] == ["one", "two"]


def test_processes_share_a_folder(tmp_path):
    writers = [ResultWriter(tmp_path, Config(), "abc", process) for process in range(3)]
    for writer, key in zip(writers, "abc", strict=True):
        writer.add(Result(RED, make_ready(), 0), key)
    assert set(read_manifests(tmp_path)) == {"a", "b", "c"}
    writers[0].join()
    assert [line["key"] for line in lines_of(tmp_path)] == ["a", "b", "c"]
    assert not list(tmp_path.glob("manifest.*.jsonl"))
    assert writers[0].find("c")


def test_nothing_drawn_nothing_left(tmp_path):
    ResultWriter(tmp_path / "out", Config(), "abc").discard()
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    ResultWriter(tmp_path / "mine", Config(), "abc").discard()
    assert not list((tmp_path / "mine").iterdir())
    writer = ResultWriter(tmp_path / "out", Config(), "abc")
    writer.add(Result(RED, make_ready(), 0), "one")
    writer.discard()
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize(
    "line", ["no json", "[]", "{}", '{"key": 1, "file": "x.png"}', '{"key": "a", "file": "../x.png"}', "[" * 100_000]
)
def test_manifests_that_are_none(tmp_path, line):
    (tmp_path / "manifest.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="line 1 is no line of sample.py's"):
        ResultWriter(tmp_path, Config(), "abc")
    assert (tmp_path / "manifest.jsonl").read_text() == line + "\n"


def test_sheet_shows_references_skeleton_and_pictures_in_this_order():
    sheet = contact_sheet([(make_ready(photos=(RED,), skeleton=BLUE), [RED, BLUE])])
    middle = sheet[6 + 13 + 2 + 16]
    centres = [6 + column * (48 + 6) + 16 for column in range(4)]
    assert [tuple(int(v) for v in middle[x]) for x in centres] == [(255, 0, 0), (0, 0, 255), (255, 0, 0), (0, 0, 255)]


def test_sheet_of_pictures_of_several_sizes():
    tall = np.full((64, 16, 3), (255, 0, 0), np.uint8)
    sheet = contact_sheet([(make_ready(photos=(), skeleton=None), [RED]), (make_ready(photos=()), [tall])])
    assert (sheet == (255, 0, 0)).all(-1).sum() == RED[..., 0].size + tall[..., 0].size


def test_odd_characters_do_not_stop_the_sheet():
    contact_sheet([(make_ready("日本 🎈 ünï" * 50), [RED])])


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose a folder you can write to"):
        ResultWriter(tmp_path / "file", Config(), "abc")


def test_a_picture_brings_its_line_along(tmp_path):
    writer = ResultWriter(tmp_path, Config(), "abc")
    path = writer.add(Result(RED, make_ready(), 0, 3), "0123456789abcdef")
    pixels, line = read_png(path)
    np.testing.assert_array_equal(pixels, RED)
    assert line == lines_of(tmp_path)[0]


def test_a_picture_that_is_cut_short_or_not_ours_is_named(tmp_path):
    writer = ResultWriter(tmp_path, Config(), "abc")
    path = writer.add(Result(RED, make_ready(), 0, 3), "0123456789abcdef")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=f"{path.name} is damaged"):
        read_png(path)
    Image.fromarray(RED).save(path)
    with pytest.raises(UserError, match="none of our pictures"):
        read_png(path)


def test_a_name_that_no_folder_can_have(tmp_path):
    with pytest.raises(UserError, match=r"--out .*File name too long: choose a folder you can write to"):
        ResultWriter(tmp_path / (300 * "x"), Config(), "abc")


@pytest.mark.parametrize("first_opened", [0, 1])
def test_a_process_that_draws_nothing_takes_nothing_from_one_that_does(tmp_path, first_opened):
    idle, busy = (
        ResultWriter(tmp_path / "out", Config(), "abc", process) for process in (first_opened, 1 - first_opened)
    )
    busy.add(Result(RED, make_ready(), 0), "one")
    idle.discard()
    busy.discard()
    (manifest,) = (tmp_path / "out").glob("manifest*.jsonl")
    assert (tmp_path / "out" / json.loads(manifest.read_text())["config"]).is_file()


def test_what_an_idle_process_has_cleared_up_is_made_again(tmp_path):
    idle, busy = (ResultWriter(tmp_path / "out", Config(), "abc", process) for process in (0, 1))
    idle.discard()
    assert not (tmp_path / "out").exists()
    busy.add(Result(RED, make_ready(), 0), "one")
    busy.discard()
    (config,) = (tmp_path / "out").glob("config-*.json")
    assert json.loads((tmp_path / "out" / "manifest.1.jsonl").read_text())["config"] == config.name
