import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from astra_jax.errors import UserError
from astra_jax.weights.sources import find_source
from astra_jax.weights.tensors import open_tensors

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([7])


def write_index(folder, weight_map):
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 28}, "weight_map": weight_map}))
    return index


def sharded(folder):
    """Two files and their index."""
    index = write_index(folder, {"a": "one.safetensors", "b": "two.safetensors"})
    save_file({"a": A}, folder / "one.safetensors")
    save_file({"b": B}, folder / "two.safetensors")
    return index


def test_a_file_a_folder_a_subfolder_and_an_index(tmp_path):
    part = tmp_path / "flux" / "transformer"
    index = sharded(part)
    for source, folder in ((tmp_path / "flux", "transformer"), (part, ""), (part, "transformer"), (index, "")):
        with open_tensors(source, folder) as tensors:
            assert {name: entry.shape for name, entry in tensors.entries.items()} == {"a": (2, 3), "b": (1,)}
            np.testing.assert_array_equal(tensors.read("a"), A)
            np.testing.assert_array_equal(tensors.read_layer("a", 1), A[1])
            np.testing.assert_array_equal(tensors.read("b"), B)
    with open_tensors(part / "one.safetensors") as tensors:
        assert list(tensors.entries) == ["a"]


def test_of_several_files_the_one_with_the_usual_name(tmp_path):
    for name in ("other.safetensors", "model.fp16.safetensors"):
        save_file({"a": A}, tmp_path / name)
    with pytest.raises(
        UserError, match=r"several weights \(model.fp16.safetensors, other.safetensors\): give the path"
    ):
        find_source(tmp_path)
    save_file({"b": B}, tmp_path / "model.safetensors")
    assert [file.name for file in find_source(tmp_path).files] == ["model.safetensors"]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "flux.pt", "flux.pth", "ae.ckpt"])
def test_pickles_are_refused_with_the_reason(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"a": 1}))
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=f"{name} is a pickle, and reading a pickle runs whatever code it holds"):
            find_source(source)


def test_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        find_source(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no .safetensors file"):
        find_source(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="notes.txt is no .safetensors file"):
        find_source(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    "file", ["../one.safetensors", "/etc/one.safetensors", "a/../../x.safetensors", "..\\x.safetensors", "x.bin", 7]
)
def test_an_index_names_files_of_its_own_folder_only(tmp_path, file):
    save_file({"a": A}, tmp_path / "one.safetensors")
    write_index(tmp_path / "in", {"a": file})
    with pytest.raises(UserError, match=r"may name .safetensors files of its own folder only"):
        find_source(tmp_path / "in")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("[]", "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": ["a"]}', "has no weight_map"),
        ('{"weight_map": {"a": "one.safetensors"}}', r"lacks 1 files of its index \(one.safetensors\)"),
        (" " * ((1 << 24) + 1), "has more than 16777216 bytes"),
    ],
)
def test_bad_indices_are_refused(tmp_path, text, message):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=message):
        find_source(tmp_path)


def test_an_index_and_its_files_must_agree(tmp_path):
    index = sharded(tmp_path)
    save_file({"c": B}, tmp_path / "two.safetensors")
    with pytest.raises(UserError, match="its files lack what the index names, b; get them again"):
        open_tensors(index)
    save_file({"a": A, "b": B}, tmp_path / "two.safetensors")
    with pytest.raises(UserError, match="several files have a"):
        open_tensors(index)


def test_damaged_files_are_refused_when_they_are_opened(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": A, "b": B}, path)
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])

    def lie(**changes):
        text = json.dumps(header | {"a": header["a"] | changes}).encode()
        return len(text).to_bytes(8, "little") + text + good[8 + length :]

    bad = {
        "truncated": good[:-4],
        "truncated header": good[:30],
        "empty": b"",
        "pickle in disguise": pickle.dumps({"a": A}),
        "larger shape": lie(shape=[2, 4]),
        "offsets out of the file": lie(data_offsets=[0, 1 << 40]),
        "offsets the wrong way": lie(data_offsets=[24, 0]),
        "unknown dtype": lie(dtype="Q7"),
        "a header of 2^60 bytes": (1 << 60).to_bytes(8, "little") + good[8:],
    }
    for contents in bad.values():
        path.write_bytes(contents)
        with pytest.raises(UserError, match=r"model.safetensors is damaged: .*; copy or download it again"):
            open_tensors(path)


def hub_cache(folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_hub_id_without_a_network_is_one_line(tmp_path, monkeypatch):
    hub_cache(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="owner/name is no local path and cannot be had from the hub") as caught:
        find_source("owner/name", "transformer")
    assert "hf auth login" in str(caught.value)
    assert "\n" not in str(caught.value)
