import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.pose.commands import run
from astra_jax.pose.database import PoseBank
from astra_jax.pose.retrieval import Retriever
from astra_jax.pose.sheet import draw_entries, draw_neighbours


@pytest.fixture
def coco(tmp_path, make_people):
    """Keypoints and captions of ten pictures with one person and ten with two."""
    images, people, captions = [], [], []
    rng = np.random.default_rng(0)
    for i in range(20):
        images.append({"id": i, "width": 100, "height": 100})
        captions.append({"image_id": i, "caption": f"{['a man waving', 'two men hugging'][i % 2]} number {i}"})
        for person in make_people(1 + i % 2, i):
            person[:, :2] += rng.normal(scale=4, size=(17, 2))  # no two scenes are near-duplicates
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
    with Image.open(coco / "bank" / "sheet.png") as sheet:
        assert sheet.width == 6 * (192 + 6)
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


def test_held_out_pictures_and_verbs(coco, capsys):
    (coco / "out.txt").write_text("3\n4\n777\n")
    verbs = {"image_id": 0, "row": 0, "coco_ann_id": 0, "actions": [["ride", "instr", "horse", []]], "plain": []}
    (coco / "verbs.jsonl").write_text(json.dumps(verbs))
    build(coco, "--exclude", coco / "out.txt", "--actions", coco / "verbs.jsonl", "--sheet", coco / "a.png")
    assert "2 dropped: is held out" in capsys.readouterr().out
    bank = PoseBank.load(coco / "bank")
    assert not {"coco-2017-3", "coco-2017-4"} & {entry.id for entry in bank.entries}
    assert bank.entries[0].captions == ("a man waving number 0", "person riding horse")
    (row,) = bank.curation
    assert row["dropped"]["is held out"] == 2
    assert (row["seen"], row["kept"], row["taken"], row["verbs"], row["unknown"]) == (20, 18, 18, 1, 1)
    assert row["exclude"] == "out.txt"
    assert (coco / "a.png").exists()
    assert not (coco / "bank" / "sheet.png").exists()


def test_add(coco, tmp_path, make_whole_people, capsys):
    build(coco)
    lines = [
        {"id": i, "height": 100, "width": 100, "captions": ["three women racing"],
         "people": [{"keypoints": person.ravel().tolist()} for person in make_whole_people(3 - i, i)]}
        for i in range(2)
    ]  # fmt: skip
    (coco / "more.jsonl").write_text("\n".join(map(json.dumps, lines)))
    more = ["add", "--bank", str(coco / "bank"), "--keypoints", str(coco / "more.jsonl"), "--source", "Races"]
    run([*more, "--licence", "CC0-1.0"])
    assert "22 poses, 2 of them added later (people: 1: 10, 2: 11, 3: 1)" in capsys.readouterr().out
    bank = PoseBank.load(coco / "bank")
    assert [(entry.id, entry.licence) for entry in bank.entries[20:]] == [
        ("races-0", "CC0-1.0"),
        ("races-1", "CC0-1.0"),
    ]
    np.testing.assert_allclose(bank.entries[20].people, make_whole_people(3, 0), rtol=1e-5)
    assert [row["keypoints"] for row in bank.curation] == ["keypoints.json", "more.jsonl"]
    run(["search", "three girls racing", "--bank", str(coco / "bank"), "--k", "1"])
    assert json.loads(capsys.readouterr().out)["id"] == "races-0"
    with pytest.raises(UserError, match="no picture of .*more.jsonl was kept$"):
        run(more)  # all are there already
    run(["build", "--keypoints", str(coco / "more.jsonl"), "--out", str(coco / "own")])
    own = PoseBank.load(coco / "own").entries[0]
    assert (own.id, own.source, own.licence) == ("more-0", "more 0", "unknown")


@pytest.mark.parametrize("stop", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_a_build_that_is_stopped_leaves_the_old_bank(coco, stop):
    """Stopped at many moments, most of them while the new bank is written."""
    build(coco, "--backend", "exact")
    code = (
        "import os, signal, sys, numpy as np\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells have background jobs ignore it
        "from astra_jax.pose import bank_files, commands\n"
        "def told(function):\n"
        "    def call(*arguments, **named):\n"
        "        result = function(*arguments, **named)\n"
        "        print('.', flush=True)\n"
        "        sys.stdin.readline()\n"
        "        return result\n"
        "    return call\n"
        "bank_files._sha256, np.savez = told(bank_files._sha256), told(np.savez)\n"
        "np.savez_compressed, os.replace = told(np.savez_compressed), told(os.replace)\n"
        "commands.run(sys.argv[1:])\n"
    )
    arguments = ["build", "--keypoints", "keypoints.json", "--captions", "captions.json", "--max_entries", "7"]
    command = [sys.executable, "-c", code, *arguments, "--backend", "exact", "--out", "bank"]
    seen = set()
    for moment in (1, 3, 7, 8, 9):
        child = subprocess.Popen(
            command, cwd=coco, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )  # fmt: skip
        for _ in range(moment):
            while (line := child.stdout.readline()) and line != ".\n":
                pass
            if _ < moment - 1:
                child.stdin.write("\n")
                child.stdin.flush()
        child.send_signal(stop)
        child.communicate()
        assert child.returncode != 0
        there = (coco / "bank" / "bank.json").read_bytes()
        seen.add(json.loads(there)["entries"])
        assert len(PoseBank.load(coco / "bank").entries) in (20, 7)
        if stop == signal.SIGINT:
            assert {path.name[:5] for path in (coco / "bank").iterdir()} == {"bank.", "data-", "sheet"}
    assert seen == {20, 7}


def test_a_full_disk_is_told_and_costs_nothing(coco):
    build(coco, "--backend", "exact")
    before = (coco / "bank" / "bank.json").read_bytes()
    code = (
        "import resource, sys\n"
        "from astra_jax.cli import guard\n"
        "from astra_jax.pose.commands import run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "guard(lambda: run(sys.argv[1:]))\n"
    )
    arguments = ["build", "--keypoints", "keypoints.json", "--captions", "captions.json", "--out", "bank"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=coco, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].endswith("File too large; what was there is as it was")
    assert (coco / "bank" / "bank.json").read_bytes() == before
    assert len(list((coco / "bank").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "people dancing", "--bank", "BANK"], "speaks of people but not how many"),
        (["search", "a red bag", "--bank", "BANK"], "names no people in English words: say how many"),
        (["search", "a man", "--bank", "BANK", "--height", "8"], "--height must be within 16 to 4096"),
        (["search", "five men dancing", "--bank", "BANK"], "no scene with 5 people: 2 is its maximum"),
        (["search", "a man", "--bank", "BANK", "--k", "0"], "must be positive"),
        (["search", "a man", "--bank", "BANK", "--out", "BANK/no/sheet.png"], "cannot write"),
        (["search", "a man", "--bank", "BANK", "--out", "BANK/sheet.xyz"], "cannot write"),
        (["search", "a man", "--bank", "BANK/index"], "is no pose bank"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2"], "was kept: give --captions"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2", "--max_entries", "0"], "at least 1, not 0"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2", "--sheet", "a.txt"], "--sheet a.txt must be a"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2", "--sheet", "no/a.png"], "in a folder that is there"),
        (["build", "--keypoints", "KEYPOINTS", "--out", "BANK2", "--source", " -"], "--source ' -': name the data"),
        (["add", "--keypoints", "KEYPOINTS", "--bank", "BANK2"], "is no pose bank"),
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
    sheet = draw_neighbours("a man waving — жжж " * 20, found, (96, 64))
    assert sheet.shape[1] == 3 * (64 + 6)
    assert (sheet[30:100, :64].max(axis=-1) == 255).any()
    assert draw_neighbours("nothing found", [], (96, 64)).shape[1] == 70
    assert sheet.dtype == np.uint8


def test_sheet_of_entries(entries, make_entry, make_whole_people):
    sheet = draw_entries([*entries, make_entry("hug", 5, people=make_whole_people(2))])
    assert sheet.shape == (2 * 13 + 2 * (192 + 5 * 13 + 6), 6 * 198, 3)
    assert draw_entries(entries[:1]).shape[1] == 198
