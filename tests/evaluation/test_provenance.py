"""What a result keeps of flags: names and fingerprints in the place of a machine's paths."""

import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.provenance import given
from astra_jax.weights.pretrained import fingerprint, fingerprint_files
from tests.evaluation.feature_folders import write_vit


def test_numbers_stay_and_what_is_not_given_is_left_out():
    values = {"seed": 3, "limit": None, "partial": False, "track": "rag"}
    assert given(values) == {"seed": 3, "partial": False, "track": "rag"}


def test_folders_of_data_become_names(tmp_path):
    assert given({"data": f"{tmp_path}/dataset/", "images": f"{tmp_path}/a/../mine"}) == {
        "data": "dataset", "images": "mine"
    }  # fmt: skip


def test_a_file_has_a_fingerprint_of_its_own(tmp_path):
    for name, text in (("one.json", "[1]"), ("other.json", "[2]")):
        (tmp_path / name).write_text(text)
    (one, other) = (given({"list": tmp_path / name})["list"] for name in ("one.json", "other.json"))
    assert one == {"name": "one.json", "fingerprint": fingerprint_files([tmp_path / "one.json"])}
    assert one["fingerprint"] != other["fingerprint"]


@pytest.mark.parametrize("shards", [1, 2])
def test_a_network_is_told_by_the_weights_that_are_read(tmp_path, shards):
    folder, _ = write_vit(tmp_path / "dino", "DINO", shards=shards)
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == shards
    before = given({"dino": folder})
    assert before == {"dino": {"name": "dino", "fingerprint": fingerprint_files(files)}}
    (folder / "README.md").write_text("nobody reads this")
    assert given({"dino": folder}) == before
    files[-1].write_bytes(files[-1].read_bytes()[:-1] + b"\x01")
    assert given({"dino": folder}) != before


def test_a_workdir_is_told_by_its_weights(tmp_path):
    folder, _ = write_vit(tmp_path / "mine" / "pretrained", "DINO")
    (kept,) = given({"keypoints": tmp_path / "mine"}).values()
    assert kept == {"name": "mine", "fingerprint": fingerprint(folder)}


def test_a_folder_without_weights_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="holds no .safetensors"):
        given({"clip": tmp_path})
