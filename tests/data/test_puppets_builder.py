"""The TFDS data set: prepared in a folder of the test's own and read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data.puppets.builder import Puppets, PuppetsConfig
from data.puppets.examples import make_example
from data.puppets.identity import Identity

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TFDS's own imports


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    config = PuppetsConfig(name="tiny", train=6, test=2, size=64, processes=1)
    builder = Puppets(config=config, data_dir=folder)
    builder.download_and_prepare()
    return folder


def source(folder, split):
    return tfds.data_source("puppets/tiny", split=split, data_dir=folder)


def test_records_are_the_examples(folder):
    for split, count in (("train", 6), ("test", 2)):
        records = source(folder, split)
        assert len(records) == count
        for index in range(count):
            record, example = records[index], make_example(0, split, index, 64)
            assert record["id"].decode() == example.id
            assert record["prompt"].decode() == example.prompt
            assert record["background"].decode() == example.background
            assert record["action"].decode() == example.action
            assert record["people"] == len(example.subjects)
            np.testing.assert_array_equal(record["image"], example.image)
            np.testing.assert_array_equal(record["masks"][..., 0], example.owners)
            subjects = record["subjects"]
            for i, subject in enumerate(example.subjects):
                assert subjects["phrase"][i].decode() == subject.phrase
                assert subjects["kind"][i].decode() == subject.kind
                assert subjects["action"][i].decode() == subject.action
                assert Identity.from_dict(json.loads(subjects["identity"][i])) == subject.identity
                np.testing.assert_array_equal(subjects["keypoints"][i], subject.keypoints)
                np.testing.assert_array_equal(subjects["reference"][i], subject.reference)
            assert all(len(values) == len(example.subjects) for values in subjects.values())


def test_tensorflow_is_not_imported(folder):
    code = (
        "import sys, data.puppets.builder, tensorflow_datasets as tfds\n"
        f"record = tfds.data_source('puppets/tiny', split='train', data_dir={str(folder)!r})[0]\n"
        "print(record['image'].shape, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(64, 64, 3) False", done.stderr


def test_configs():
    assert {name: (c.train, c.test, c.size) for name, c in Puppets.builder_configs.items()} == {
        "full": (10_000, 500, 128),
        "small": (64, 16, 128),
    }


def test_the_command_prepares_the_small_set(tmp_path):
    command = [sys.executable, "-m", "data.puppets", "--config", "small", "--out"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'train': 64" in done.stdout
    assert sorted(path.name for path in (tmp_path / "puppets/small").iterdir()) == ["1.0.0"]
    records = tfds.data_source("puppets/small", split="test", data_dir=tmp_path)
    np.testing.assert_array_equal(records[3]["image"], make_example(0, "test", 3).image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out is missing"),
        (["--out", "x", "--config", "huge"], "--config must be one of full, small"),
        (["--out", "pyproject.toml"], "is no folder"),
        (["--out", "pyproject.toml/x"], "is no folder"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message):
    command = [sys.executable, "-m", "data.puppets", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_disturbed_preparation_leaves_no_half_set(tmp_path):
    class Broken(Puppets):
        def _generate_examples(self, split, scenes):
            yield from list(super()._generate_examples(split, scenes))[:1]
            raise RuntimeError("the power is gone")

    builder = Broken(config=PuppetsConfig(name="tiny", train=2, test=1, size=64, processes=1), data_dir=tmp_path)
    with pytest.raises(RuntimeError, match="power"):
        builder.download_and_prepare()
    assert not list(tmp_path.rglob("*.array_record*"))
    assert not list(tmp_path.rglob("dataset_info.json"))
