import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.pose.commands import run
from astra_jax.pose.database import PoseBank
from astra_jax.pose.retrieval import Retriever
from astra_jax.pose.sheet import draw_sheet


@pytest.fixture
def coco(tmp_path, make_people):
    """Keypoints and captions of ten pictures with one person and ten with two."""
    images, people, captions = [], [], []
    for i in range(20):
        images.append({"id": i, "width": 100, "height": 100})
        captions.append({"image_id": i, "caption": f"{['a man waving', 'two men hugging'][i % 2]} number {i}"})
        for person in make_people(1 + i % 2, i):
            keypoints = person.ravel().tolist()
            people.append({"id": len(people), "image_id": i, "keypoints": keypoints, "bbox": [0, 0, 50, 90]})
    (tmp_path / "keypoints.json").write_text(json.dumps({"images": images, "annotations": people}))
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": captions}))
    return tmp_path


def build(folder, *more):
    arguments = ["--keypoints", folder / "keypoints.json", "--captions", folder / "captions.json"]
    run(["build", *map(str, [*arguments, "--out", folder / "bank", *more])])


def test_build_and_search(coco, capsys):
    build(coco)
    printed = capsys.readouterr().out
    assert "20 pictures" in printed
    assert "20 kept" in printed
    assert "20 poses (people: 1: 10, 2: 10), embedder tfidf, index" in printed
    run(["search", "two kings hugging", "--bank", str(coco / "bank"), "--k", "3", "--out", str(coco / "sheet.png")])
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 3
    assert all(line["people"] == 2 and "hugging" in line["caption"] for line in lines)
    assert set(lines[0]) == {"id", "score", "cosine", "people", "action", "caption"}
    assert "index" in err
    with Image.open(coco / "sheet.png") as sheet:
        assert sheet.width > 3 * 256
    run(["search", "two kings hugging", "--bank", str(coco / "bank"), "--people", "1", "--k", "1"])
    assert json.loads(capsys.readouterr().out)["people"] == 1


def test_max_entries_takes_the_same_subset(coco, capsys):
    build(coco, "--max_entries", "5")
    first = [entry.id for entry in PoseBank.load(coco / "bank").entries]
    build(coco, "--max_entries", "5", "--backend", "exact")
    second = PoseBank.load(coco / "bank")
    assert first == [entry.id for entry in second.entries]
    assert len(first) == 5
    assert second.backend == "exact"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "people dancing", "--bank", "BANK"], "speaks of people but not how many"),
        (["search", "a red bag", "--bank", "BANK"], "speaks of no people"),
        (["search", "a man", "--bank", "BANK", "--height", "8"], "--height must be within 16 to 4096"),
        (["search", "five men dancing", "--bank", "BANK"], "no scene with 5 people: 2 is its maximum"),
        (["search", "a man", "--bank", "BANK", "--k", "0"], "must be positive"),
        (["search", "a man", "--bank", "BANK", "--out", "BANK/no/sheet.png"], "cannot write"),
        (["search", "a man", "--bank", "BANK", "--out", "BANK/sheet.xyz"], "cannot write"),
        (["search", "a man", "--bank", "BANK/index"], "is no pose bank"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2"], "was kept: give --captions"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2", "--max_entries", "0"], "at least 1, not 0"),
        (["build", "--keypoints", "nothing.json", "--out", "BANK2"], "cannot read"),
    ],
)
def test_bad_arguments(coco, arguments, message):
    build(coco)
    places = {"KEYPOINTS": coco / "keypoints.json", "BANK2": coco / "bank2", "BANK": coco / "bank"}
    for name, path in places.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    with pytest.raises(UserError, match=message):
        run(arguments)


def test_the_program_ends_with_2_and_one_line(tmp_path):
    command = [sys.executable, "-m", "astra_jax.pose", "search", "a man", "--bank", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr


def test_sheet_shows_skeletons_and_survives_any_text(bank):
    (found,) = Retriever(bank).retrieve(["a man waving"], [1], (96, 64), k=3)
    sheet = draw_sheet("a man waving — жжж " * 20, found, (96, 64))
    assert sheet.shape[1] == 3 * (64 + 6)
    assert (sheet[30:100, :64].max(axis=-1) == 255).any()
    assert draw_sheet("nothing found", [], (96, 64)).shape[1] == 70
    assert sheet.dtype == np.uint8
