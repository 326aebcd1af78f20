"""sample.py as a user runs it: a process, its files, its exit code and its one line of error."""

import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

import sample as program
from astra_jax.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parent.parent
BANK = ROOT / "data" / "pose_library" / "bank"
EXAMPLES = ROOT / "data" / "examples" / "requests.jsonl"
PHRASES = re.compile(
    r"\ban? [a-z]+(?: [a-z]+)?(?= and | in | on | with |$)"
)  # "a backpack and a stuffed animal in ..."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("man", "woman"):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    rows = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(rows))
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


def run_here(*arguments):
    """`sample.draw` in this process: as checked as the rest of the tests, and without the start of a process."""
    with flagsaver.flagsaver():
        flags.FLAGS(["sample.py", *arguments])
        program.draw()


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


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
    assert read(out / line["file"]).shape == (32, 32, 3)
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
    *errors, summary = done.stderr.strip().splitlines()
    assert summary == "4 of 6 requests are wrong and were left out"
    assert all(line.startswith("error: requests.jsonl line ") for line in errors), done.stderr
    assert sorted(line.split("line ")[1][0] for line in errors) == ["2", "3", "4", "6"]
    written = manifest_of(tmp_path / "many")
    assert [(line["request"], line["index"]) for line in written] == [
        ("requests.jsonl line 1", 0),
        ("requests.jsonl line 5", 0),
        ("requests.jsonl line 5", 1),
    ]
    alone = folder / "alone.jsonl"
    alone.write_text("\n".join([json.dumps(good | {"seed": 9}), json.dumps(good), json.dumps(good)]))
    done = sample(f"--requests={alone}", "--batch_size=2", out=tmp_path / "alone")
    assert done.returncode == 0, done.stderr
    other, again = manifest_of(tmp_path / "alone")
    assert (other["seed"], again["key"]) == (9, written[0]["key"])
    pictures = [
        read(out / line["file"]) for out, line in ((tmp_path / "many", written[0]), (tmp_path / "alone", again))
    ]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1


def many(folder, count=24):
    """A file of requests of several shapes."""
    lines = [
        {"prompt": "a man waving", "subjects": [{"phrase": "a man", "image": "man.png"}], "seed": i}
        | [{}, {"pose": "none"}, {"height": 16, "width": 48}][i % 3]
        for i in range(count)
    ]
    path = folder / f"many_{count}.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_a_run_that_was_killed_goes_on(pretrained, sample, folder, tmp_path):
    requests, out = many(folder), tmp_path / "out"
    command = [sys.executable, "-u", ROOT / "sample.py", f"--checkpoint={pretrained}", f"--pose_bank={BANK}"]
    command += [f"--requests={requests}", "--batch_size=2", f"--out={out}"]
    one_device = os.environ | {"XLA_FLAGS": "--xla_backend_optimization_level=0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_device, cwd=ROOT) as killed:
        for line in killed.stdout:
            if "9/24" in line:
                killed.kill()
                break
    there = manifest_of(out)
    assert 9 <= len(there) < 24
    files = {line["file"]: (out / line["file"]).stat().st_mtime_ns for line in there}
    again = subprocess.run(command, capture_output=True, text=True, env=one_device, cwd=ROOT, timeout=280)
    assert again.returncode == 0, again.stderr
    assert f"{len(there)} of 24 pictures are there already" in again.stdout
    assert {name: (out / name).stat().st_mtime_ns for name in files} == files
    lines = manifest_of(out)
    assert len({line["key"] for line in lines}) == len(lines) == 24
    assert not list(out.glob(".*.tmp")) or len(list(out.glob(".*.tmp"))) == 1  # what was being written when it died
    # On eight devices, in other batches: the same pictures.
    done = sample(f"--requests={requests}", "--batch_size=8", out=tmp_path / "other")
    assert done.returncode == 0, done.stderr
    by_key = {line["key"]: tmp_path / "other" / line["file"] for line in manifest_of(tmp_path / "other")}
    for line in lines:
        assert np.abs(read(out / line["file"]).astype(int) - read(by_key[line["key"]])).max() <= 1
    assert read(out / "sheet.png").shape == read(tmp_path / "other" / "sheet.png").shape


def test_ctrl_c_keeps_what_is_drawn(pretrained, folder, tmp_path):
    # Shells have background jobs ignore the signal.
    start = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    start += "runpy.run_path('sample.py', run_name='__main__')"
    command = [sys.executable, "-u", "-c", start, f"--checkpoint={pretrained}", f"--pose_bank={BANK}"]
    command += [f"--requests={many(folder)}", "--batch_size=1", f"--out={tmp_path / 'out'}"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    with run:
        for line in run.stdout:
            if "3/24" in line:
                run.send_signal(signal.SIGINT)
                break
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 130
    assert errors.strip().splitlines()[-1] == "interrupted"
    lines = manifest_of(tmp_path / "out")
    assert 3 <= len(lines) < 24
    assert all(read(tmp_path / "out" / line["file"]).std() > 0 for line in lines)


def test_two_processes_share_a_run(pretrained, folder, tmp_path):
    requests, out = many(folder, 7), tmp_path / "out"
    command = [sys.executable, ROOT / "sample.py", f"--checkpoint={pretrained}", f"--pose_bank={BANK}"]
    command += [f"--requests={requests}", f"--out={out}", "--processes=2"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    runs = [
        subprocess.Popen(
            [*command, f"--coordinator=127.0.0.1:{port}", f"--process_id={i}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )
        for i in range(2)
    ]  # fmt: skip
    outputs = [run.communicate(timeout=280) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    lines = manifest_of(out)
    assert len({line["key"] for line in lines}) == len(lines) == 7
    assert sum("4/4" in text for text, _ in outputs) == sum("3/3" in text for text, _ in outputs) == 1
    assert [path.name for path in out.glob("manifest*")] == ["manifest.jsonl"]
    assert (out / "sheet.png").is_file()


PROMPT = "--prompt=a man waving"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([PROMPT, "--subject=a man={folder}/missing.png"], "the request: .*missing.png: there is no such file"),
        ([PROMPT, "--subject=a man={folder}/broken.png"], "broken.png"),
        ([PROMPT, "--subject=a man={folder}/huge.png"], "huge.png: more than the 67108864 pixels"),
        ([PROMPT, "--subject=a dog={folder}/man.png"], "'a dog'"),
        ([PROMPT, "--subject=man.png"], "must be 'PHRASE=PHOTO'"),
        ([PROMPT, "--people=7"], "7"),
        ([PROMPT, "--steps=0"], "steps must be at least 1"),
        ([PROMPT, "--height=33"], "height 33"),
        ([PROMPT, "--guidance=3"], "no guidance input"),
        ([PROMPT, "--cfg_scale=0"], "cfg_scale must be a positive number"),
        ([PROMPT, "--cfg_scale=nan"], "cfg_scale must be a positive number"),
        ([PROMPT, "--batch_size=0"], "--batch_size must be at least 1"),
        ([PROMPT, "--pose_start=2"], "pose_start and pose_end must be fractions"),
        ([PROMPT, "--image={folder}/missing.png"], "missing.png"),
        ([PROMPT, "--image={folder}/man.png", "--strength=0"], "strength must be above 0"),
        ([PROMPT, "--mesh_tensor=3"], "does not fit 8 devices"),
        ([PROMPT, "--requests=x.jsonl"], "exclude each other"),
        (["--seed=3"], "--seed needs --prompt"),
        (["--requests={folder}/none.jsonl"], "No such file"),
        ([PROMPT, "--pose_embedder={folder}/none"], "none"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(pretrained, folder, tmp_path, flags, message):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=message):
        run_here(f"--checkpoint={pretrained}", f"--out={out}", *(flag.format(folder=folder) for flag in flags))
    assert not out.exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("checkpoint", "has no model.safetensors"),
        ("pose_bank", "pose bank"),
        ("out", "choose a folder you can write to"),
    ],
)
def test_mistakes_with_folders(pretrained, tmp_path, flag, message):
    (tmp_path / "file").write_text("")
    folders = {"checkpoint": pretrained, "out": tmp_path / "out"} | {flag: tmp_path / "file"}
    with pytest.raises(UserError, match=message):
        run_here(PROMPT, *(f"--{name}={path}" for name, path in folders.items()))
    assert not (tmp_path / "out").exists()


def test_a_mistake_exits_with_code_2(sample, tmp_path):
    done = sample(PROMPT, "--people=7", out=tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the request: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_built_in_examples(sample, tmp_path):
    """What `make sample` runs: shipped weights, bank and requests, all by default."""
    done = subprocess.run(
        [sys.executable, ROOT / "sample.py", f"--out={tmp_path / 'out'}"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    written = manifest_of(tmp_path / "out")
    assert len(written) == sum(json.loads(line)["num_images"] for line in EXAMPLES.read_text().splitlines())
    assert all(line["pose"]["entry"] and len(line["pose"]["people"]) == len(line["subjects"]) for line in written)


@pytest.mark.real_data
def test_dreambench_photos_with_a_bank_of_coco_people(tmp_path):
    """The main job on real input: UNO's two-subject list over DreamBench photos, poses from COCO val."""
    data = pathlib.Path(os.environ["ASTRA_DATA_DIR"])
    coco, bank = data / "coco_pose", tmp_path / "bank"
    build = ["build", f"--keypoints={coco / 'coco_kpts_val2017.npz'}", f"--captions={coco / 'captions_val2017.json'}"]
    subprocess.run([sys.executable, "-m", "astra_jax.pose", *build, f"--out={bank}"], check=True, cwd=ROOT, timeout=280)
    listed = json.loads((data / "uno_dreambench" / "datasets" / "dreambench_multiip.json").read_text())[:2]
    lines = []
    for entry in listed:
        photos = [data / "dreambench_512" / "dataset" / path.split("dataset/")[1] for path in entry["image_paths"]]
        phrases = PHRASES.findall(entry["prompt"])[:2]
        subjects = [{"phrase": p, "image": str(photo)} for p, photo in zip(phrases, photos, strict=True)]
        lines.append({"prompt": entry["prompt"], "subjects": subjects, "people": len(subjects), "seed": 3407})
    requests = tmp_path / "uno.jsonl"
    requests.write_text("\n".join(json.dumps(line) for line in lines))
    command = [sys.executable, ROOT / "sample.py", f"--requests={requests}", f"--pose_bank={bank}"]
    done = subprocess.run([*command, f"--out={tmp_path / 'out'}"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    written = manifest_of(tmp_path / "out")
    assert [line["prompt"] for line in written] == [line["prompt"] for line in lines]
    for line in written:
        assert len(line["pose"]["people"]) == 2
        assert line["pose"]["caption"]
        assert read(tmp_path / "out" / line["file"]).std() > 1
