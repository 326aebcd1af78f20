"""The TFDS data set of a bank: prepared in a folder of the test's own and read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from astra_jax.errors import UserError
from astra_jax.pose.database import PoseBank, PoseEntry
from data.coco_pose.__main__ import run
from data.coco_pose.builder import as_record

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TFDS's own imports


def entry(name: str, people: int, **changes) -> PoseEntry:
    rng = np.random.default_rng(people)
    joints = np.concatenate([rng.uniform(0, 99, (people, 17, 2)), rng.integers(1, 3, (people, 17, 1))], axis=2)
    fields = {"height": 100, "width": 120, "captions": (f"{name} dancing", "Zwei Bären, né"), "action": name}
    fields |= {"quality": 0.5, "complexity": 0.25, "source": f"set {name}", "licence": "CC BY 4.0"}
    return PoseEntry(id=name, people=joints.astype(np.float32), **{**fields, **changes})


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank") / "dances"
    entries = [entry("solo", 1), entry("pair", 2, captions=("one caption",)), entry("trio", 3, action="")]
    PoseBank.build(entries, backend="exact").save(folder)
    return folder


def test_records_are_the_entries_of_the_bank(bank, tmp_path, capsys):
    run(["--bank", str(bank), "--out", str(tmp_path)])
    assert "dances/1.0.0: 3 entries" in capsys.readouterr().out
    records = tfds.data_source("coco_pose/dances", split="train", data_dir=tmp_path)
    entries = PoseBank.load(bank).entries
    assert len(records) == len(entries) == 3
    for record, kept in zip(records, entries, strict=True):
        np.testing.assert_array_equal(record["people"], kept.people)
        assert record["details"].shape == (0, 116, 3)
        assert [text.decode() for text in record["captions"]] == list(kept.captions)
        for name in ("id", "action", "source", "licence"):
            assert record[name].decode() == getattr(kept, name)
        for name in ("height", "width", "quality", "complexity"):
            assert record[name] == getattr(kept, name)


def test_refusals_leave_nothing(bank, tmp_path):
    out = tmp_path / "tfds"
    with pytest.raises(UserError, match="no pose bank"):
        run(["--bank", str(tmp_path), "--out", str(out)])
    with pytest.raises(UserError, match="make a name"):
        run(["--bank", str(bank), "--out", str(out), "--name", "../elsewhere"])
    assert not any(out.glob("**/*"))
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match="cannot write to --out"):
        run(["--bank", str(bank), "--out", str(file)])
    run(["--bank", str(bank), "--out", str(out), "--name", "one"])
    with pytest.raises(UserError, match="is there already: remove it, or give another --name"):
        run(["--bank", str(bank), "--out", str(out), "--name", "one"])


def test_the_command_knows_no_tensorflow(bank, tmp_path):
    code = (
        "import sys, json\n"
        "from data.coco_pose.__main__ import run\n"
        f"run(['--bank', {str(bank)!r}, '--out', {str(tmp_path)!r}])\n"
        "print(json.dumps(sorted({'tensorflow', 'torch'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_bodies_and_details_are_apart():
    assert as_record(entry("solo", 1))["people"].shape == (1, 17, 3)
    assert as_record(entry("solo", 1))["details"].shape == (0, 116, 3)
