"""sample.py as a user runs it: a process, its files, its exit code and its one line of error."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
BANK = ROOT / "data" / "pose_library" / "bank"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("man", "woman"):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    return folder


@pytest.fixture
def sample(pretrained, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "xla"

    def run(*flags, out, checkpoint=pretrained, bank=BANK):
        command = [sys.executable, ROOT / "sample.py", f"--checkpoint={checkpoint}", f"--pose_bank={bank}"]
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
        return subprocess.run(
            [*command, f"--out={out}", *flags], capture_output=True, text=True, timeout=280, env=environment, cwd=ROOT
        )

    return run


def manifest_of(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_one_prompt(sample, folder, tmp_path):
    out = tmp_path / "out"
    flags = ["--prompt=a man waving and a woman dancing", f"--subject=a man={folder / 'man.png'}", "--seed=5"]
    done = sample(*flags, f"--subject=a woman={folder / 'woman.png'}", out=out)
    assert done.returncode == 0, done.stderr
    (line,) = manifest_of(out)
    assert line["seed"] == 5
    assert len(line["pose"]["people"]) == 2
    assert line["pose"]["entry"]
    assert Image.open(out / line["file"]).size == (32, 32)
    assert json.loads((out / line["config"]).read_text())["model"]["max_subjects"] == 2
    assert (out / "sheet.png").is_file()
    assert "pose bank" in done.stdout


def test_a_bad_line_costs_no_other_line_and_the_same_seed_gives_the_same_picture(sample, folder, tmp_path):
    good = {"prompt": "a man waving", "subjects": [{"phrase": "a man", "image": "man.png"}], "seed": 3}
    lines = [
        json.dumps(good),
        '{"prompt": ',
        json.dumps(good | {"subjects": [{"phrase": "a cat", "image": "man.png"}]}),
        json.dumps(good | {"people": 4}),
        json.dumps(good | {"seed": 4, "num_images": 2, "pose": "none"}),
        json.dumps(good | {"subjects": [{"phrase": "a man", "image": "missing.png"}]}),
    ]
    requests = folder / "requests.jsonl"
    requests.write_text("\n".join(lines))
    done = sample(f"--requests={requests}", "--batch_size=2", out=tmp_path / "many")
    assert done.returncode == 2
    errors = done.stderr.strip().splitlines()
    assert all(line.startswith("error: requests.jsonl line ") for line in errors), done.stderr
    assert sorted(line.split("line ")[1][0] for line in errors) == ["2", "3", "4", "6"]
    written = manifest_of(tmp_path / "many")
    assert [(line["request"], line["index"]) for line in written] == [
        ("requests.jsonl line 1", 0),
        ("requests.jsonl line 5", 0),
        ("requests.jsonl line 5", 1),
    ]
    alone = folder / "alone.jsonl"
    alone.write_text("\n".join(2 * [json.dumps(good)]))
    done = sample(f"--requests={alone}", "--batch_size=2", out=tmp_path / "alone")
    assert done.returncode == 0, done.stderr
    first, again = (np.asarray(Image.open(tmp_path / name / "0000_0.png")) for name in ("many", "alone"))
    np.testing.assert_array_equal(first, again)


PROMPT = "--prompt=a man waving"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([PROMPT, "--subject=a man={folder}/missing.png"], "missing.png: there is no such photo"),
        ([PROMPT, "--subject=a man={folder}/broken.png"], "broken.png"),
        ([PROMPT, "--subject=a man={folder}/huge.png"], "pixels"),
        ([PROMPT, "--subject=a dog={folder}/man.png"], "'a dog'"),
        ([PROMPT, "--subject=man.png"], "must be 'PHRASE=PHOTO'"),
        ([PROMPT, "--people=7"], "7"),
        ([PROMPT, "--steps=0"], "--steps must be at least 1"),
        ([PROMPT, "--height=33"], "height 33"),
        ([PROMPT, "--guidance=3"], "no guidance input"),
        ([PROMPT, "--batch_size=0"], "--batch_size must be at least 1"),
        ([PROMPT, "--requests=x.jsonl"], "exclude each other"),
        (["--seed=3"], "--seed needs --prompt"),
        (["--requests={folder}/none.jsonl"], "No such file"),
        ([PROMPT, "--sede=3"], "Unknown command line flag 'sede'"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(sample, folder, tmp_path, flags, message):
    done = sample(*(flag.format(folder=folder) for flag in flags), out=tmp_path / "out")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_mistakes_with_folders(sample, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for options in ({"checkpoint": empty}, {"bank": empty}, {"out": empty / "file" / "out"}):
        (empty / "file").write_text("")
        done = sample(PROMPT, **({"out": tmp_path / "out"} | options))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        (empty / "file").unlink()
