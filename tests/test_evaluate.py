"""evaluate.py as a user runs it: a process, its files, its last line, its exit code and its one line of error."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from astra_jax.evaluation.result import CEILING, FLOOR, MODEL, read_result
from astra_jax.weights.pretrained import fingerprint

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYPOINTS = ROOT / "pretrained" / "puppet_keypoints"
SCENES = 3  # one of one, two and three people
HEADLINE = ("oks", "identity_accuracy", "swap_rate", "background_accuracy")


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory):
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "xla"),
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }

    def run(*flags, timeout=280):
        command = [sys.executable, ROOT / "evaluate.py", *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, cwd=ROOT)

    return run


@pytest.fixture(scope="module")
def done(evaluate, tmp_path_factory):
    """One evaluation of the shipped weights, drawn in too few steps: its process, folder and flags."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    flags = (f"--scenes={SCENES}", "--steps=2", f"--out={out}")
    return evaluate(*flags), out, flags


def test_a_model_is_drawn_scored_and_reported(done):
    process, out, _ = done
    assert process.returncode == 0, process.stderr
    line = json.loads(process.stdout.splitlines()[-1])
    assert (line["benchmark"], line["count"]) == ("puppets_oracle", SCENES)
    for name in HEADLINE:
        assert 0 <= line[name] <= 1
        assert {f"{name}_ceiling", f"{name}_floor"} <= line.keys()
    # The true drawings are better than what two steps give, but for errors of the keypoint networks in six people.
    assert line["oks_ceiling"] > line["oks"] > line["oks_floor"]
    assert line["identity_accuracy_ceiling"] >= 0.6 > line["identity_accuracy_floor"]
    assert line["background_accuracy_ceiling"] == 1.0
    result = read_result(out)
    assert set(result.figures) == {MODEL, CEILING, FLOOR}
    assert result.notes[0] == f"all of it was scored: cases: {SCENES}, pictures: {SCENES}"
    assert (result.settings["scenes"], result.settings["seed"], result.settings["steps"]) == (SCENES, 0, 2)
    assert result.settings["keypoints"] == {"name": "puppet_keypoints", "fingerprint": fingerprint(KEYPOINTS)}
    assert [(record.case, record.index) for record in result.samples] == [("1p-000", 0), ("2p-000", 0), ("3p-000", 0)]
    assert all((out / record.picture).is_file() for record in result.samples)
    assert "oks" in (out / "table.md").read_text()
    page = (out / "report.html").read_text()
    assert page.count("data:image/") >= 2 * SCENES
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_an_evaluation_goes_on_and_says_the_same(done, evaluate):
    process, out, flags = done
    pictures = sorted((out / "pictures").glob("0*.png"))
    assert len(pictures) == SCENES
    times = {path: path.stat().st_mtime_ns for path in pictures[1:]}
    pictures[0].unlink()
    again = evaluate(*flags)
    assert again.returncode == 0, again.stderr
    assert f"{SCENES - 1} of {SCENES} pictures are there already" in again.stdout
    line, before = (json.loads(text.stdout.splitlines()[-1]) for text in (again, process))
    assert line.keys() == before.keys()
    # A program that was kept draws what a traced one does, up to a grey level.
    assert {name: line[name] for name in HEADLINE} == pytest.approx({name: before[name] for name in HEADLINE}, abs=0.02)
    assert {path: path.stat().st_mtime_ns for path in pictures[1:]} == times


def test_pictures_of_a_folder_score_as_they_do_where_they_were_drawn(done, evaluate, tmp_path):
    _, out, _ = done
    for record in read_result(out).samples:
        (tmp_path / f"{record.case}_{record.index}.png").symlink_to(out / record.picture)
    theirs = evaluate(f"--images={tmp_path}", f"--scenes={SCENES}", "--nocontrols", f"--out={tmp_path / 'out'}")
    assert theirs.returncode == 0, theirs.stderr
    line, ours = json.loads(theirs.stdout.splitlines()[-1]), read_result(out).figures[MODEL]
    assert {name: line[name] for name in HEADLINE} == {name: round(ours[name].value, 4) for name in HEADLINE}
    result = read_result(tmp_path / "out")
    assert result.weights == ""
    assert (result.settings["images"], result.settings["controls"]) == (tmp_path.name, False)


MISTAKES = [
    (("--out=",), "--out is missing"),
    (("--limit=0",), "--limit must be at least 1"),
    (("--scenes=0",), "--scenes must be at least 1"),
    (("--images=nowhere",), "--images nowhere: there is no such folder"),
    (("--images=small", "--scenes=1"), "the picture 1p-000_0 is 16 x 16 pixels"),
    (("--images=cut", "--scenes=1"), "1p-000_0.png: the photo is damaged or cut short"),
    (("--images=small", "--scenes=2"), "lacks 1 of 2 pictures, the first of them 2p-000_0.png"),
    (("--images=small", "--steps=3"), "--steps says nothing with --images"),
    (("--benchmark=dreambench_single",), "github.com/google/dreambooth"),
    (("--benchmark=dreambench_single", "--data=small"), "github.com/google/dreambooth"),
    (("--benchmark=coco_complex_pose",), "annotations_trainval2017.zip of cocodataset.org"),
    (("--benchmark=coco_complex_pose", "--data=small"), "person_keypoints_val2017.json is not there"),
    (("--keypoints=small",), "small has no model.safetensors"),
    (("--ablation=small",), "small has 0 config files"),
    (("--ablation=small", "--track=rag"), "--track says nothing with --ablation: leave it out"),
    (("--ablation=small", "--cfg_scale=2"), "--cfg_scale says nothing with --ablation"),
    (("--ablation=small", "--nocontrols"), "--controls says nothing with --ablation"),
    (("--num_images=2",), "--num_images says nothing with --benchmark puppets"),
    (("--partial",), "--partial says nothing without --images"),
]
# evaluate.py's flags cannot be defined beside sample.py's, and a process for each mistake would start jax each time.
ONE_AFTER_ANOTHER = """
import contextlib, io, json, sys
from absl import flags
from absl.testing import flagsaver
import evaluate
from astra_jax import cli
for arguments in json.loads(sys.argv[1]):
    error, code = io.StringIO(), 0
    with flagsaver.flagsaver(), contextlib.redirect_stderr(error):
        flags.FLAGS(["evaluate.py", *arguments])
        try:
            cli.guard(evaluate.measure)
        except SystemExit as exit:
            code = exit.code
    print(json.dumps([code, error.getvalue()]))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """For each of `MISTAKES` the exit code, what stands on stderr, and the folder that it names as --out."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name in ("small", "cut"):
        (folder / name).mkdir()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "small" / "1p-000_0.png")
    whole = (folder / "small" / "1p-000_0.png").read_bytes()
    (folder / "cut" / "1p-000_0.png").write_bytes(whole[:-30])
    outs = [folder / f"out{number}" for number in range(len(MISTAKES))]
    asked = [
        [f"--out={out}", *(re.sub("=(small|cut)$", rf"={folder}/\1", flag) for flag in flags)]
        for out, (flags, _) in zip(outs, MISTAKES, strict=True)
    ]
    command = [sys.executable, "-c", ONE_AFTER_ANOTHER, json.dumps(asked)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=ROOT, check=True)
    answers = map(json.loads, process.stdout.splitlines())
    return [(*answer, out) for answer, out in zip(answers, outs, strict=True)]


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[message for _, message in MISTAKES])
def test_mistakes_end_in_one_line_and_leave_nothing(refusals, number):
    code, stderr, out = refusals[number]
    assert code == 2, stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert MISTAKES[number][1] in stderr
    assert not out.exists()


def test_a_mistake_is_the_exit_code_of_the_process(evaluate, tmp_path):
    process = evaluate(f"--out={tmp_path / 'out'}", "--limit=0")
    assert process.returncode == 2
    assert process.stderr == "error: --limit must be at least 1, not 0\n"
