import contextlib
import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request, SubjectRequest, parse_request, read_requests

FOLDER = pathlib.Path("photos")


def test_all_keys():
    fields = {
        "prompt": " a man waving ",
        "subjects": [{"phrase": "a man", "image": "man.png"}],
        "pose": "pose.json",
        "people": 2,
        "seed": 7,
        "num_images": 3,
    }
    expected = Request(
        "a man waving", (SubjectRequest("a man", FOLDER / "man.png"),), str(FOLDER / "pose.json"), 2, 7, 3, "line"
    )
    assert parse_request(fields, FOLDER, "line") == expected


def test_defaults_and_null():
    assert parse_request({"prompt": "x", "people": None, "seed": None}, FOLDER) == Request("x")
    assert parse_request({"prompt": "x", "pose": "none"}, FOLDER).pose == "none"


def test_absolute_paths_stay():
    fields = {"prompt": "x", "subjects": [{"phrase": "x", "image": "/data/x.png"}]}
    assert parse_request(fields, FOLDER).subjects[0].image == pathlib.Path("/data/x.png")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "must be a JSON object"),
        ({}, "'prompt' is missing or empty"),
        ({"prompt": "  "}, "'prompt' is missing or empty"),
        ({"prompt": 3}, "'prompt' must be a text, not 3"),
        ({"prompt": "x" * 10_001}, "10001 characters"),
        ({"prompt": "x", "poes": "auto"}, "unknown key 'poes'; a request has prompt, subjects, pose"),
        ({"prompt": "x", "seed": 1.5}, "'seed' must be a whole number"),
        ({"prompt": "x", "seed": True}, "'seed' must be a whole number"),
        ({"prompt": "x", "seed": -1}, "'seed' must be from 0"),
        ({"prompt": "x", "seed": 2**32}, "'seed' must be from 0"),
        ({"prompt": "x", "people": -1}, "'people' must not be negative"),
        ({"prompt": "x", "num_images": 0}, "'num_images' must be from 1"),
        ({"prompt": "x", "num_images": 10**6}, "'num_images' must be from 1"),
        ({"prompt": "x", "subjects": "a man"}, "'subjects' must be a list"),
        ({"prompt": "x", "subjects": [{"phrase": "a man"}]}, "a subject is"),
        ({"prompt": "x", "subjects": [{"phrase": "", "image": "a"}]}, "must be texts"),
        ({"prompt": "x", "subjects": [{"phrase": "x", "image": "~nobody-here/x.png"}]}, "nobody-here"),
        ({"prompt": "x", "pose": ""}, "a file name is empty"),
        ({"prompt": "x", "subjects": [{"phrase": "a", "image": 1}]}, "must be texts"),
    ],
)
def test_mistakes(fields, message):
    with pytest.raises(UserError, match=message):
        parse_request(fields, FOLDER, "line 3")


def test_a_bad_line_costs_no_other_line(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text('{"prompt": "one"}\n{"prompt": \n\n{"prompt": "two", "pose": "p.json"}\n{"promt": "x"}\n')
    first, bad, second, unknown = read_requests(path)
    assert first == Request("one", name="requests.jsonl line 1")
    assert isinstance(bad, UserError)
    assert str(bad).startswith("requests.jsonl line 2: no JSON")
    assert second.pose == str(tmp_path / "p.json")
    assert str(unknown).startswith("requests.jsonl line 5: unknown key 'promt'")


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        list(read_requests(tmp_path / "none.jsonl"))
    huge = tmp_path / "huge.jsonl"
    huge.write_bytes(b"x" * (1 << 21))
    huge.write_bytes(b"x" * (1 << 21) + b'\n{"prompt": "two"}')
    long, fine = read_requests(huge)
    assert "line 1: longer than" in str(long)
    assert fine.name == "huge.jsonl line 2"
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\n" + b"[" * 100_000 + b"\n" + b'{"seed": ' + b"1" * 5000 + b"}\n")
    assert all(isinstance(line, UserError) for line in read_requests(binary))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


ODD = dict.fromkeys(("pose", "subjects", "seed"), JSON)


@given(fields=JSON | st.fixed_dictionaries({"prompt": st.text()}, optional=ODD))
def test_any_json_is_a_request_or_a_message(fields):
    with contextlib.suppress(UserError):
        assert parse_request(json.loads(json.dumps(fields)), FOLDER).prompt
