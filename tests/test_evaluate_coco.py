"""evaluate.py on COCO-ComplexPose, from pictures of a folder to a result, with MoveNet and MobileNetV2."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from astra_jax.evaluation.result import CEILING, MODEL, read_result
from astra_jax.inputs.photos import letterbox, load_photo
from astra_jax.pose.database import PoseBank, PoseEntry
from tests.evaluation.coco_files import HEIGHT, WIDTH, joints

pytestmark = pytest.mark.real_data
ROOT = pathlib.Path(__file__).resolve().parent.parent
PHOTO, GREY = "349860", ("413552", "227478")  # of the benchmark's list; of the first the photo is at hand


@pytest.fixture(scope="module")
def data():
    return pathlib.Path(os.environ["ASTRA_DATA_DIR"])


@pytest.fixture(scope="module")
def evaluate(data):
    network = data / "weights" / "coral" / "movenet_single_pose_lightning_ptq.tflite"
    known = ("--benchmark=coco_complex_pose", f"--data={data / 'coco_pose'}", f"--movenet={network}", "--partial")

    def run(*flags):
        command = [sys.executable, ROOT / "evaluate.py", *known, *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=ROOT)

    return run


@pytest.fixture(scope="module")
def photos(data):
    return data / "coco_photos" / "images"


@pytest.fixture(scope="module")
def pictures(photos, tmp_path_factory):
    """The photo itself as a picture of its case, and grey ones, with nobody in them, of two others."""
    folder = tmp_path_factory.mktemp("pictures")
    photo = letterbox(load_photo(photos / f"{int(PHOTO):012d}.jpg"), (512, 512))
    for case, picture in ((PHOTO, photo), *((case, np.full_like(photo, 128)) for case in GREY)):
        Image.fromarray(picture).save(folder / f"{case}_0.png")
    return folder


def test_pictures_of_a_folder_are_scored_to_a_result(data, evaluate, photos, pictures, tmp_path):
    mobilenet = data / "weights" / "coral" / "mobilenet_v2_1.0_224_quant.tflite"
    networks = (f"--mobilenet={mobilenet}", f"--portraits={photos}", f"--photos={photos}")
    process = evaluate(f"--images={pictures}", *networks, f"--out={tmp_path}")
    assert process.returncode == 0, process.stderr
    line, result = json.loads(process.stdout.splitlines()[-1]), read_result(tmp_path)
    assert (line["benchmark"], line["count"]) == ("coco_complex_pose_oracle", 3)
    assert "person_count_error" not in line  # in given boxes nobody is found beyond those asked for
    scores = {record.case: record.values for record in result.samples}
    for case in GREY:
        for figure in ("oks_abs", "oks_cond", "oks_box", "people_found", "mobilenetv2_stand_in_people"):
            assert set(scores[case][figure]) <= {0.0}, figure
    assert any(scores[case]["mobilenetv2_stand_in_people"] for case in GREY)  # somebody has a portrait and counts
    assert scores[PHOTO]["oks_abs"][0] > 0.3
    assert scores[PHOTO]["mobilenetv2_stand_in_people"][0] > 0
    people = sum(len(values["oks_abs"]) for values in scores.values())
    assert line["oks_abs"] == pytest.approx(scores[PHOTO]["oks_abs"][0] / people, abs=1e-4)
    # The ceiling is the one photo, and so says the table.
    assert result.figures[CEILING]["oks_abs"].value == pytest.approx(scores[PHOTO]["oks_abs"][0])
    assert set(result.figures) == {MODEL, CEILING}
    ceiling = f"{line['oks_abs_ceiling']:.3f}"
    assert f"| {ceiling} ({ceiling} to {ceiling}, n = 1) |" in (tmp_path / "table.md").read_text()
    assert result.calibration["real_photos_oks"].count > 0


def test_retrieved_skeletons_are_those_of_the_bank_and_canvas_named(evaluate, pictures, tmp_path):
    entries = [
        PoseEntry(f"entry{count}", np.stack([joints(0)] * count).astype(np.float32), HEIGHT, WIDTH, ("people waving",))
        for count in (1, 2, 3)
    ]
    bank = PoseBank.build(entries, backend="exact")
    bank.save(tmp_path / "bank")
    flags = (f"--images={pictures}", f"--pose_bank={tmp_path / 'bank'}", "--height=256", "--width=384")
    process = evaluate("--track=rag", *flags, f"--out={tmp_path / 'out'}")
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout.splitlines()[-1])["oks_cond"] < 0.5
    notes = " ".join(read_result(tmp_path / "out").notes)
    assert bank.fingerprint()[:12] in notes
    assert "on a canvas of 384 x 256 pixels" in notes
    assert "there is no ceiling and no floor" in notes
    oracle = evaluate(*flags, f"--out={tmp_path / 'other'}")
    assert oracle.returncode == 2
    assert oracle.stderr.splitlines()[-1].startswith("error: --pose_bank ")


def test_an_estimator_of_one_person_is_for_cases_of_one_where_no_skeleton_is_given(evaluate, pictures, tmp_path):
    process = evaluate("--track=none", f"--images={pictures}", f"--out={tmp_path}")
    assert process.returncode == 0, process.stderr
    line = json.loads(process.stdout.splitlines()[-1])
    assert list(line) == ["benchmark", "count", "oks_abs", "oks_box"]
    assert line["count"] == 1  # the grey ones are of two people each
    assert line["oks_abs"] > 0.3
