import json
import pickle

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from astra_jax.config import Config, DataConfig
from astra_jax.errors import UserError
from astra_jax.params import flatten
from astra_jax.weights.pretrained import check_tree, fingerprint, load_pretrained, save_pretrained

PARAMS = {"a": {"kernel": np.linspace(-3, 3, 6, dtype=np.float32).reshape(2, 3)}, "b": np.float32([0.5])}


@pytest.mark.parametrize(
    ("name", "dtype"), [("float32", np.float32), ("bfloat16", ml_dtypes.bfloat16), ("float16", np.float16)]
)
def test_round_trip(tmp_path, name, dtype):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "tokenizer.json").write_text("{}")
    config = Config(data=DataConfig(tokenizer=str(tmp_path / "words")))
    save_pretrained(tmp_path / "out", config, PARAMS, name)
    loaded, params = load_pretrained(tmp_path / "out")
    assert loaded == config
    assert {path: leaf.dtype for path, leaf in flatten(params).items()} == {"a/kernel": np.float32, "b": np.float32}
    np.testing.assert_array_equal(params["a"]["kernel"], PARAMS["a"]["kernel"].astype(dtype).astype(np.float32))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    assert {p.name for p in tmp_path.iterdir()} == {"words", "out"}  # no drafts


def test_parts_can_be_chosen(tmp_path):
    save_pretrained(tmp_path, Config(), PARAMS, "float32")
    # What is not asked for is not even looked at.
    tensors = {"a/kernel": PARAMS["a"]["kernel"], "b": np.float32([np.nan])}
    save_file(tensors, tmp_path / "model.safetensors")
    params = load_pretrained(tmp_path, {"a", "absent"})[1]
    assert list(params) == ["a"]
    np.testing.assert_array_equal(params["a"]["kernel"], PARAMS["a"]["kernel"])


def test_transposed_arrays_keep_their_values(tmp_path):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3).T
    save_pretrained(tmp_path / "out", Config(), {"kernel": kernel, "scalar": np.float32(3)}, "float32")
    _, params = load_pretrained(tmp_path / "out")
    np.testing.assert_array_equal(params["kernel"], kernel)
    assert params["scalar"] == 3


def test_saving_replaces_weights_but_never_other_files(tmp_path):
    save_pretrained(tmp_path / "out", Config(), PARAMS, "float32")
    first = fingerprint(tmp_path / "out")
    save_pretrained(tmp_path / "out", Config(), {"b": np.float32([1.0])}, "float32")
    assert list(load_pretrained(tmp_path / "out")[1]) == ["b"]
    assert fingerprint(tmp_path / "out") != first
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other files"):
        save_pretrained(tmp_path / "out", Config(), PARAMS, "float32")
    assert (tmp_path / "out" / "thesis.tex").exists()
    with pytest.raises(UserError, match="dtype of saved weights must be bfloat16, float16, float32, not 'int8'"):
        save_pretrained(tmp_path / "new", Config(), PARAMS, "int8")
    with pytest.raises(UserError, match=r"nowhere has no tokenizer: name a folder with tokenizer.json"):
        save_pretrained(tmp_path / "new", Config(data=DataConfig(tokenizer="nowhere")), PARAMS)
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


def test_fingerprint_sees_one_changed_value_in_a_large_header_region(tmp_path):
    values = np.zeros(1 << 16, np.float32)
    save_pretrained(tmp_path / "out", Config(), {"x": values}, "float32")
    before = fingerprint(tmp_path / "out")
    values[-1] = 1
    save_pretrained(tmp_path / "out", Config(), {"x": values}, "float32")
    assert fingerprint(tmp_path / "out") != before


def write(tmp_path, tensors, config=None):
    (tmp_path / "config.json").write_text(json.dumps({} if config is None else config))
    save_file(tensors, tmp_path / "model.safetensors")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    write(tmp_path, {"a/kernel": np.ones((64, 64), np.float32)})
    weights = tmp_path / "model.safetensors"
    good = weights.read_bytes()
    for bad in (good[:-100], good[:20], b"", pickle.dumps({"a": 1}), b"\xff" * 64):
        weights.write_bytes(bad)
        with pytest.raises(UserError, match="is damaged"):
            load_pretrained(tmp_path)
    weights.unlink()
    with pytest.raises(UserError, match="has no model.safetensors"):
        load_pretrained(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="python -m astra_jax.weights export --workdir"):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": np.ones(2, np.int32)}, "'a' is I32; weights must be BF16, F16, F32"),
        ({"a/b": np.ones(2, np.float32), "a": np.ones(2, np.float32)}, "'a/b' is no parameter path"),
        ({"a": np.float32([1, np.nan])}, "'a' has values that are NaN or infinite"),
        ({"a//b": np.ones(2, np.float32)}, "'a//b' is no parameter path"),
        ({"x" * 600: np.ones(2, np.float32)}, "is no parameter path"),
    ],
)
def test_strange_tensors_are_refused(tmp_path, tensors, message):
    write(tmp_path, tensors)
    with pytest.raises(UserError, match=message):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "must hold a JSON object"),
        ('{"modle": {}}', "has no key 'modle'"),
        (" " * (1 << 21), "has more than 1048576 bytes"),
        ("[" * 100_000, "is damaged"),
        ("\ud800", "is damaged"),
    ],
)
def test_bad_configs_are_refused(tmp_path, text, message):
    write(tmp_path, {"a": np.ones(2, np.float32)})
    (tmp_path / "config.json").write_text(text, errors="surrogatepass")
    with pytest.raises(UserError, match=message):
        load_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match="config.json does not exist"):
        load_pretrained(tmp_path)


def test_check_tree_names_what_differs():
    check_tree(PARAMS, PARAMS)
    other = {"a": {"kernel": np.zeros((3, 2))}, "c": np.zeros(1)}
    with pytest.raises(
        UserError, match=r"weights do not fit this model: 1 missing \(c\), 1 unknown \(b\), 1 of another"
    ):
        check_tree(PARAMS, other)
    many = {str(i): np.zeros(1) for i in range(9)}
    with pytest.raises(UserError, match=r"9 missing \(0, 1, 2, 3, \.\.\.\)"):
        check_tree({}, many, "x")
