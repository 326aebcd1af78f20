"""A manifest of somebody's pictures as a data set: read, checked, stored and trained on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from astra_jax.config import DataConfig
from astra_jax.errors import UserError
from astra_jax.inputs.sources import open_pictures
from data.subjects.__main__ import run
from data.subjects.manifest import Entry, read_manifest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TFDS's own imports


def picture(path: Path, size: tuple[int, int], grey: int = 100) -> None:
    Image.new("RGB", size, (grey, grey, grey)).save(path)


def person(points: int = 17, at: float = 50.0) -> list:
    return [[at + n, at, 2] for n in range(points)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures: a square, a wide, a tall and a large one, two photos of subjects, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    sizes = {"square": (100, 100), "wide": (240, 90), "tall": (90, 240), "large": (800, 600), "bob": (80, 90)}
    for number, (name, size) in enumerate(sizes.items()):
        picture(folder / f"{name}.png", size, 40 * number)
    picture(folder / "rex.jpg", (70, 70), 200)
    picture(folder / "tiny.png", (10, 10))
    picture(folder / "thin.png", (1000, 70))
    (folder / "text.png").write_text("no picture")
    return folder


GOOD = {
    "target": "square.png",
    "prompt": "a man and his dog on a beach",
    "references": ["bob.png", "rex.jpg"],
    "phrases": ["a man", "his dog"],
    "keypoints": [person()],
}


def write(folder: Path, lines: list, name: str = "list.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def make(manifest: Path, out: Path, *options: str) -> None:
    run(["--manifest", str(manifest), "--out", str(out), "--name", "mine", *options])


def opened(out: Path, split: str = "train"):
    return open_pictures(DataConfig(source="subjects/mine", dir=str(out), split=split))


def test_examples_come_back_as_they_were_written(folder, tmp_path, capsys):
    lines = [
        GOOD,
        {"target": "wide.png", "prompt": "a hill"},
        "",
        {"target": "tall.png", "prompt": "a man", "references": ["bob.png"], "keypoints": [person(133)]},
        {"target": "large.png", "prompt": "two people", "keypoints": [sum(person(at=at), []) for at in (300.0, 400.0)]},
    ]
    make(write(folder, lines), tmp_path, "--max_side", "400")
    told = capsys.readouterr().out
    assert "4 examples, 0 bad lines left out" in told
    assert "512 x 512: 1" in told
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.sizes(), [(100, 100), (90, 240), (240, 90), (300, 400)])
    first, second, third, large = (source[index] for index in range(4))
    assert (first.prompt, [s.phrase for s in first.subjects]) == (GOOD["prompt"], ["a man", "his dog"])
    np.testing.assert_array_equal(first.people, np.array([person()], np.float32))
    assert first.target.shape == (100, 100, 3)
    assert (first.subjects[0].photo.shape, first.subjects[1].photo.shape) == ((90, 80, 3), (70, 70, 3))
    assert abs(int(first.subjects[1].photo[30, 30, 0]) - 200) <= 1
    assert (second.people, second.subjects) == (None, ())
    assert third.people.shape == (1, 133, 3)
    assert third.subjects[0].phrase == ""
    np.testing.assert_array_equal(large.people[:, :, 2], 2)  # half the size, half the coordinates
    np.testing.assert_array_equal(large.people[:, 0, :2], [(150, 150), (200, 200)])
    np.testing.assert_array_equal(opened(tmp_path, "train[1:3]").sizes(), [(90, 240), (240, 90)])
    np.testing.assert_array_equal(opened(tmp_path, "train[50%:]").sizes(), [(240, 90), (300, 400)])


BAD = [
    ({"prompt": "a"}, "a file name must be a text, not None"),
    (GOOD | {"target": "/etc/passwd"}, "leads out of"),
    (GOOD | {"target": "../secret.png"}, "leads out of"),
    (GOOD | {"target": "link.png"}, "leads out of"),
    (GOOD | {"references": ["bob.png", "../rex.jpg"]}, "leads out of"),
    (GOOD | {"target": "a\0b.png"}, "is no file name"),
    (GOOD | {"target": "gone.png"}, "there is no such photo"),
    (GOOD | {"target": "text.png"}, "is no picture that can be read"),
    (GOOD | {"target": "tiny.png"}, "too small or too thin"),
    (GOOD | {"target": "thin.png"}, "too small or too thin"),
    (GOOD | {"prompt": " "}, "'prompt' must be a text"),
    (GOOD | {"prompt": "x" * 20_000}, "20000 characters"),
    (GOOD | {"phrases": ["a man"]}, "'phrases' must be 2 texts, one a reference"),
    (GOOD | {"phrases": ["a man", 3]}, "'phrases' must be 2 texts"),
    (GOOD | {"phrases": ["a man", "his cat"]}, "the phrase 'his cat' is not in the prompt"),
    (GOOD | {"references": "bob.png"}, "'references' must be a list"),
    (GOOD | {"references": ["bob.png"] * 17, "phrases": None}, "17 references are more than 16"),
    (GOOD | {"keypoints": [person(5)]}, "people must have 17 or 133"),
    (GOOD | {"keypoints": [[1, 2], [3]]}, "'keypoints' must be"),
    (GOOD | {"keypoints": {"x": 1}}, "'keypoints' must be a list"),
    (GOOD | {"keypoints": [[[1e300, 0, 2]] * 17]}, "not a finite number"),
    (GOOD | {"keypoints": [[[1, 1, 5]] * 17]}, "visibility is none of"),
    (GOOD | {"keypoints": [person()] * 65}, "65 people are more than 64"),
    (GOOD | {"pose": 1}, "unknown key 'pose'"),
    ("[1]", "must be a JSON object"),
    ("{'a': 1}", "no JSON"),
    ("[" * 100_000, "no JSON"),
    ('{"prompt": "' + "x" * (1 << 20) + '"}', "longer than"),
]


def test_a_bad_line_costs_no_other_line_and_is_named(folder, tmp_path, capsys):
    if not (folder / "link.png").exists():
        (folder / "link.png").symlink_to("/etc/hostname")
    lines = [GOOD, *[line for line, _ in BAD], GOOD]
    make(write(folder, lines), tmp_path)
    told = capsys.readouterr()
    assert f"2 examples, {len(BAD)} bad lines left out" in told.out
    messages = [line for line in told.err.splitlines() if line.startswith("left out: ")]
    assert messages[10:] == [f"left out: {len(BAD) - 10} more lines"]
    for number, (message, (_, expected)) in enumerate(zip(messages[:10], BAD, strict=False), 2):
        assert f"list.jsonl line {number}: " in message
        assert expected in message
    assert len(opened(tmp_path)) == 2


@pytest.mark.parametrize(("line", "expected"), BAD)
def test_every_fault_has_its_message(folder, tmp_path, line, expected):
    if not (folder / "link.png").exists():
        (folder / "link.png").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="has no example that can be used") as caught:
        make(write(folder, [line]), tmp_path)
    assert expected in str(caught.value)
    assert not list((tmp_path / "subjects").rglob("*.json"))  # nothing half-written


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["target", "prompt", "references", "phrases", "keypoints", "img_path1",
                                           "img_path2", "caption", "image_paths", "image_tgt_path"]), inner),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_json_is_an_entry_or_a_user_error(folder, value):
    lines = list(read_manifest(write(folder, [json.dumps({"a": value}), json.dumps(value)], "any.jsonl"), folder))
    assert all(isinstance(line, (Entry, UserError)) for line in lines)


def test_too_many_bad_lines_stop(folder, tmp_path):
    manifest = write(folder, [GOOD, *["{"] * 4])
    with pytest.raises(UserError, match=r"more than 3 bad lines, the last: list.jsonl line 5: no JSON"):
        make(manifest, tmp_path, "--max_bad", "3")
    with pytest.raises(UserError, match="there is no data set subjects/mine .*python -m data.subjects --manifest FILE"):
        opened(tmp_path)
    make(manifest, tmp_path, "--max_bad", "4")
    with pytest.raises(UserError, match="is there already: remove it, or give another --name"):
        make(manifest, tmp_path)


def test_unos_training_list(folder, tmp_path):
    items = [
        {"prompt": "a man", "image_paths": ["./bob.png", "./rex.jpg"], "image_tgt_path": "./wide.png"},
        {"prompt": "a dog", "image_path": "rex.jpg", "image_tgt_path": "square.png"},
        {"prompt": "a dog", "image_path": "rex.jpg"},
    ]
    path = folder / "uno.json"
    path.write_text(json.dumps(items, indent=1))
    make(path, tmp_path)
    source = opened(tmp_path)
    assert [(len(example.subjects), example.prompt) for example in source] == [(2, "a man"), (1, "a dog")]
    bad = [line for line in read_manifest(path, folder) if isinstance(line, UserError)]
    assert [str(error) for error in bad] == [
        "uno.json item 3: there is no 'image_tgt_path': a list for evaluation has nothing to train on"
    ]


def test_uno_1m_labels(folder):
    """The example of the data set's card, and its kin."""
    card = {
        "img_path1": "bob.png",
        "img_path2": "wide.png",
        "caption": {
            "img_path1": "A bowl of beef stew with carrots, placed on a white surface.",
            "img_path2": "A bowl of beef stew with carrots, placed on a wooden table.",
            "judgment": "same",
            "subject": ["beef stew with carrots"],
        },
        "vlm_filter_cot": {"score_part": {"Carrots": 3.0}, "score_final": 3.5},
    }
    absent = card | {"caption": card["caption"] | {"subject": ["goulash", 7]}}
    wrong = card | {"vlm_filter_cot": {"score_final": 131184.67}}
    path = folder / "split1.json"
    path.write_text(json.dumps([card, absent, wrong, card | {"caption": None}]))
    first, second, third, fourth = read_manifest(path, folder)
    assert (first.target.name, [r.name for r in first.references]) == ("wide.png", ["bob.png"])
    assert (first.prompt, first.phrases) == (card["caption"]["img_path2"], ("beef stew with carrots",))
    assert second.phrases == ("",)
    assert "'score_final' must be from 0 to 4, not 131184.67" in str(third)
    assert "'caption' must be an object" in str(fourth)
    assert [type(line) for line in read_manifest(path, folder, min_score=3.6)] == [UserError]


def test_wrong_options(folder, tmp_path):
    manifest = write(folder, [GOOD])

    def refused(match, *options, manifest=manifest, out=tmp_path):
        with pytest.raises(UserError, match=match):
            make(manifest, out, *options)

    refused("there is no such file", manifest=folder / "gone.jsonl")
    refused("is no folder", "--images", str(folder / "gone"))
    refused("make a name", "--name", "../up")
    refused("--max_side must be at least 64", "--max_side", "3")
    refused("--threads must be at least 1", "--threads", "0")
    refused("cannot write to --out", out=manifest)
    with pytest.raises(UserError, match="has no folders"):
        open_pictures(DataConfig(source="subjects/../puppets", dir=str(tmp_path)))


def test_a_damaged_list_of_sizes(folder, tmp_path):
    make(write(folder, [GOOD, GOOD]), tmp_path)
    (metadata,) = tmp_path.rglob("metadata.json")
    for text in ("{}", "[]", '{"sizes": {"train": [[1, 1]]}}', '{"sizes": {"train": [[0, 1], [1, 1]]}}', "x",
                 '{"sizes": {"train": [[1, 1], [1]]}}', '{"sizes": {"train": [["a", 1], [1, 1]]}}'):  # fmt: skip
        metadata.write_text(text)
        with pytest.raises(UserError, match=r"is damaged|is no JSON"):
            opened(tmp_path)


def test_the_command_fails_in_one_line_and_knows_no_tensorflow(folder, tmp_path):
    def start(*arguments):
        return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    failed = start("-m", "data.subjects", f"--manifest={folder}/gone.jsonl", f"--out={tmp_path}")
    assert failed.returncode == 2
    assert [line for line in failed.stderr.splitlines() if line.startswith("error: ")] == [
        f"error: --manifest {folder}/gone.jsonl: there is no such file"
    ]
    manifest = write(folder, [GOOD], "one.jsonl")
    code = (
        "import sys\nfrom data.subjects.__main__ import run\n"
        f"run(['--manifest', {str(manifest)!r}, '--out', {str(tmp_path)!r}])\n"
        "print(sorted({'tensorflow', 'torch'} & set(sys.modules)))"
    )
    done = start("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
