"""What an evaluation leaves behind: JSON that comes back equal, tables and a page that hostile texts cannot change."""

import base64
import dataclasses
import hashlib
import html.parser
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.evaluation.figures import Figure
from astra_jax.evaluation.markdown import markdown, text
from astra_jax.evaluation.page import page, worst_first
from astra_jax.evaluation.page_assets import SCRIPT
from astra_jax.evaluation.report import keep, write_report
from astra_jax.evaluation.result import (
    FILE,
    Result,
    SampleRecord,
    file_in,
    headline,
    lower_is_better,
    read_result,
    to_json,
    write_result,
)
from astra_jax.evaluation.samples import Scores
from astra_jax.evaluation.scoring import Scored
from astra_jax.inputs.photos import load_photo

HOSTILE = "</p><script>alert('x')</script>|`*[a](javascript:1)\" onload='\x00\n\ud800 " + "é漢"


def figure(value, count=4):
    return Figure(value, value - 0.125, value + 0.125, count)


def sample(case, picture="", prompt="a man waving", **values):
    return SampleRecord(case, 0, prompt, picture, {name: tuple(some) for name, some in values.items()})


def result(*samples, **changes):
    made = Result(
        benchmark="puppets",
        headline=("oks", "swap_rate"),
        weights="0123abcd",
        settings={"steps": 25, "cfg_scale": 2.0, "solver": "euler", "sizes": [128, 128], "bank": None},
        figures={
            "model": {"swap_rate": figure(0.25), "oks": figure(0.5), "ap": figure(0.1)},
            "ceiling": {"oks": figure(0.96875), "swap_rate": figure(0.0)},
            "floor": {"oks": figure(0.125), "swap_rate": figure(0.75)},
        },
        calibration={"oks of the estimator": figure(0.9, 500)},
        notes=("Made of stand-ins.",),
        samples=samples or (sample("a", oks=[0.1 + 0.2], swap_rate=[]),),
    )
    return dataclasses.replace(made, **changes)


class Page(html.parser.HTMLParser):
    """All start tags with their attributes, all text outside style and script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self._raw = [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._raw = None

    def handle_data(self, data):
        if self._raw is None:
            self.words.append(data)


def test_what_is_written_is_read_back_equal(tmp_path):
    made = result(
        sample("a", "pictures/a_0.png", HOSTILE, oks=[1 / 3, 0.1], swap_rate=[]),
        sample("b", "pictures/b_0.png", oks=[5e-324], swap_rate=[1.0]),
    )
    write_result(tmp_path, made)
    assert read_result(tmp_path) == made


@given(st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_any_number_and_any_text_comes_back(value, words):
    made = result(sample("a", prompt=words, oks=[value]), weights=words, notes=(words,))
    tree = json.loads(to_json(made))
    assert tree["samples"][0]["values"]["oks"][0] == value
    assert tree["samples"][0]["prompt"] == tree["weights"] == tree["notes"][0] == words


def test_what_is_not_finite_is_not_written():
    with pytest.raises(ValueError, match="Out of range"):
        to_json(result(sample("a", oks=[float("nan")])))


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.pop("notes"),
        lambda tree: tree.update(format=0),
        lambda tree: tree.update(more=1),
        lambda tree: tree.update(samples={}),
        lambda tree: tree["samples"][0].update(index=1.5),
        lambda tree: tree["samples"][0].update(index=True),
        lambda tree: tree["samples"][0]["values"].update(oks=["1"]),
        lambda tree: tree["figures"]["model"]["oks"].update(value=float("inf")),
        lambda tree: tree.update(figures=[]),
    ],
)
def test_a_damaged_result_is_refused_in_one_line(tmp_path, change):
    tree = json.loads(to_json(result()))
    change(tree)
    (tmp_path / FILE).write_text(json.dumps(tree))
    with pytest.raises(UserError, match="evaluate again"):
        read_result(tmp_path)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_result_is_refused(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(UserError):
        read_result(tmp_path)


def test_the_headline_is_flat_and_in_its_order():
    assert list(headline(result()).items()) == [
        ("benchmark", "puppets"),
        ("count", 1),
        ("oks", 0.5),
        ("oks_ceiling", 0.9688),
        ("oks_floor", 0.125),
        ("swap_rate", 0.25),
        ("swap_rate_ceiling", 0.0),
        ("swap_rate_floor", 0.75),
    ]
    bare = result(figures={"model": {"oks": figure(0.5)}})
    assert headline(bare) == {"benchmark": "puppets", "count": 1, "oks": 0.5, "swap_rate": None}


def test_of_mistakes_less_is_better():
    assert [name for name in ("oks", "swap_rate", "fusion_rate_3p", "person_count_error", "oks_2p", "swap_rates")
            if lower_is_better(name)] == ["swap_rate", "fusion_rate_3p", "person_count_error"]  # fmt: skip


def test_the_worst_come_first_and_those_without_a_value_last():
    made = result(
        sample("none", oks=[], swap_rate=[0.5]),
        sample("mean", oks=[0.2, 0.6], swap_rate=[1.0]),
        sample("low", oks=[0.3], swap_rate=[0.0]),
        sample("same", oks=[0.3], swap_rate=[]),
    )
    assert [one.case for one in worst_first(made, "oks")] == ["low", "same", "mean", "none"]
    assert [one.case for one in worst_first(made, "swap_rate")] == ["mean", "none", "low", "same"]


def test_the_table():
    one_photo = {"model": {"oks": figure(0.5)}, "ceiling": {"oks": Figure(1.0, 1.0, 1.0, 1)}}
    lines = markdown(result(figures=result().figures | one_photo)).splitlines()
    assert (
        "| **oks** | 0.500 (0.375 to 0.625, n = 4) | 1.000 (1.000 to 1.000, n = 1) | 0.125 (0.000 to 0.250, n = 4) |"
        in lines
    )
    assert "| **swap_rate** |  |  | 0.750 (0.625 to 0.875, n = 4) |" in lines
    assert "| oks of the estimator | 0.900 (0.775 to 1.025, n = 500) |" in lines
    assert "* Made of stand-ins." in lines


def test_the_page_has_the_same_figures(tmp_path):
    words = "".join(Page(page(result(), tmp_path)).words)
    for measured in (
        "0.500 (0.375 to 0.625, n = 4)",
        "0.969 (0.844 to 1.094, n = 4)",
        "0.900 (0.775 to 1.025, n = 500)",
    ):
        assert measured in words


@given(st.text())
def test_a_text_in_markdown_is_one_line_and_nothing_else(words):
    line = text(words)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"(?<!\\)[|<>`*\[\]#&]", re.sub(r"\\\\", "", line))


def test_hostile_texts_stay_texts(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    benign = result(sample("a", "a.png", oks=[0.5]))
    named = {"model": {HOSTILE: figure(0.5), "oks": figure(0.5)}}
    hostile = result(
        dataclasses.replace(sample("a", "a.png", HOSTILE, oks=[0.5], **{HOSTILE: [1.0]}), pictures={HOSTILE: HOSTILE}),
        benchmark=HOSTILE, weights=HOSTILE, settings={HOSTILE: HOSTILE, "list": [HOSTILE]}, figures=named,
        headline=(HOSTILE, "oks"), calibration={HOSTILE: figure(0.5)}, notes=(HOSTILE,),
    )  # fmt: skip
    for made in (benign, hostile):
        read = Page(page(made, tmp_path))
        assert [tag for tag, _ in read.tags].count("script") == 1
        assert {name for _, attributes in read.tags for name in attributes if name.startswith("on")} == set()
    shown = "".join(read.words)
    assert shown.count("<script>alert('x')</script>|`*[a](javascript:1)\" onload='") >= 8
    (tmp_path / "out").mkdir()
    write_report(tmp_path / "out", hostile)
    assert (tmp_path / "out" / "report.html").read_bytes().decode("utf-8", "strict")
    assert "<script" not in (tmp_path / "out" / "table.md").read_text().replace("\\<", "")


def test_the_page_fetches_nothing_and_runs_its_own_script_alone(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    read = Page(page(result(sample("a", "a.png", oks=[0.5])), tmp_path))
    for tag, attributes in read.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")
    policies = [a["content"] for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert policies == [f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"]


def test_pictures_are_small_copies_inside_the_page(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(900, 450, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = Page(page(result(sample("a", "a.png", oks=[0.5])), tmp_path))
    (source,) = [attributes["src"] for tag, attributes in read.tags if tag == "img"]
    data = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(data)).size == (160, 320)


def test_pictures_that_are_missing_damaged_or_elsewhere_leave_a_gap(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (folder / "cut.png").write_bytes((tmp_path / "secret.png").read_bytes()[:40])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    names = ["absent.png", "cut.png", "../secret.png", str(tmp_path / "secret.png"), "link.png", ""]
    read = Page(page(result(*(sample(f"c{i}", name, oks=[0.5]) for i, name in enumerate(names))), folder))
    assert [tag for tag, _ in read.tags if tag == "img"] == []
    assert "".join(read.words).count("no picture") == len(names)
    assert file_in(folder, "cut.png") == folder / "cut.png"


def test_a_page_is_bounded_and_says_so(tmp_path):
    made = result(*(sample(f"c{i}", oks=[i / 10]) for i in range(5)))
    read = Page(page(made, tmp_path, "oks", shown=2))
    cards = [json.loads(attributes["data-v"]) for tag, attributes in read.tags if tag == "article"]
    assert cards == [[0.0], [0.1]]
    assert "The 2 worst by oks are here." in "".join(read.words)
    with pytest.raises(ValueError, match="no figure"):
        page(made, tmp_path, "nonsense")


def test_records_keep_what_is_shown_beside_a_picture(tmp_path):
    folder, elsewhere = tmp_path / "out", tmp_path / "given.png"
    (folder / "pictures").mkdir(parents=True)
    inside = folder / "pictures" / "a.png"
    for path in (inside, elsewhere):
        Image.new("RGB", (640, 320), "red").save(path)
    skeleton = np.zeros((16, 16, 3), np.uint8)
    scored = Scored("a", 1, Scores({"oks": [0.5]}, None, {"skeleton": skeleton}))
    record = keep(scored, "a man", inside, folder)
    assert record == SampleRecord("a", 1, "a man", "pictures/a.png", {"oks": (0.5,)}, {"skeleton": "shown/a_1_0.png"})
    np.testing.assert_array_equal(load_photo(folder / "shown" / "a_1_0.png"), skeleton)
    copy = folder / keep(scored, "a man", elsewhere, folder).picture
    assert copy.is_relative_to(folder)
    assert load_photo(copy).shape == (160, 320, 3)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        write_report(tmp_path / "file" / "out", result())


def test_a_run_without_pictures_or_controls_still_has_a_page(tmp_path):
    made = result(samples=(), figures={}, calibration={}, notes=(), settings={})
    write_report(tmp_path, dataclasses.replace(made, samples=()))
    assert read_result(tmp_path) == dataclasses.replace(made, samples=())
