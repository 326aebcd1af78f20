import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_jax.config import Config, DataConfig, SiglipVisionConfig, TrainConfig
from astra_jax.errors import UserError
from astra_jax.inputs import cache, records
from astra_jax.inputs.example import Prepared
from astra_jax.weights.pretrained import save_pretrained


def prepared(number=0, subjects=2, prompt="the man and the woman"):
    rng = np.random.default_rng(number)
    return Prepared(
        prompt=prompt,
        phrases=("the man", "the woman", "the dog")[:subjects],
        target=rng.normal(size=(8, 8, 4)).astype(np.float16),
        pose=rng.normal(size=(8, 8, 4)).astype(np.float16),
        has_pose=bool(number % 2),
        references=rng.normal(size=(subjects, 4, 4, 4)).astype(np.float16),
        portraits=rng.integers(0, 256, (subjects, 16, 16, 3), np.uint8),
    )


def assert_same(a, b):
    for name in ("target", "pose", "references", "portraits"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert getattr(a, name).dtype == getattr(b, name).dtype
    assert (a.prompt, a.phrases, a.has_pose) == (b.prompt, b.phrases, b.has_pose)


@pytest.fixture
def folder(tmp_path, config):
    writer = ArrayRecordWriter(str(tmp_path / "latents-00000.array_record"), "group_size:1,uncompressed")
    for number in range(5):
        writer.write(records.encode_record(prepared(number, number % 4)))
    writer.close()
    size = (tmp_path / "latents-00000.array_record").stat().st_size
    shards = [{"file": "latents-00000.array_record", "examples": 5, "bytes": size, "buckets": [0] * 5}]
    rewrite(
        tmp_path,
        {
            "format": cache.FORMAT,
            "settings": cache.settings(config),
            "autoencoder": "ab12",
            "encoders": "",
            "examples": 5,
            "shards": shards,
        },
    )
    return tmp_path


def rewrite(folder, manifest=None, **changes):
    path = folder / cache.MANIFEST
    path.write_text(json.dumps({**(manifest or json.loads(path.read_text())), **changes}))


@settings(max_examples=30, deadline=None)
@given(number=st.integers(0, 9), subjects=st.integers(0, 3), prompt=st.text(max_size=30))
def test_records_round_trip(number, subjects, prompt):
    example = prepared(number, subjects, prompt)
    assert_same(records.decode_record(records.encode_record(example)), example)


def test_moments_that_do_not_fit_are_refused():
    example = prepared()
    example.pose[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="moments of the pose are not finite"):
        records.encode_record(example)


def test_a_cache_is_a_sequence(folder, config):
    source = cache.LatentSource(folder, config)
    assert len(source) == 5
    for number in (3, 0, 4):
        assert_same(source[number], prepared(number, number % 4))
    for index in (-1, 5):
        with pytest.raises(IndexError):
            source[index]


def test_another_config_is_refused_by_name(folder, config, change):
    for group, name, value in [("data", "height", 128), ("data", "split", "test"), ("data", "reference_size", 64)]:
        with pytest.raises(UserError, match=rf"made for config.{group}.{name} = .*, not {value!r}"):
            cache.LatentSource(folder, change(config, **{group: {name: value}}))
    cache.LatentSource(folder, change(config, data={"drop_text": 0.5, "seed": 3}, train={"batch_size": 7}))


def test_another_image_encoder_is_refused(folder, config, change):
    """Portraits have the size of the encoder that reads them."""
    siglip = dataclasses.replace(config.model.dsm, encoder="siglip")
    other = change(config, model={"dsm": siglip})
    with pytest.raises(UserError, match=r"was made without config.model.siglip_vision.image_size = 384: change"):
        cache.LatentSource(folder, other)
    rewrite(folder, settings=cache.settings(other))
    cache.LatentSource(folder, other)
    with pytest.raises(UserError, match=r"was made without config.model.clip_vision.image_size = 16"):
        cache.LatentSource(folder, config)
    smaller = change(config, model={"dsm": siglip, "siglip_vision": SiglipVisionConfig(image_size=224)})
    with pytest.raises(UserError, match=r"siglip_vision.image_size = 384, not 224"):
        cache.LatentSource(folder, smaller)


def test_missing_and_damaged_manifests(folder, config, tmp_path_factory):
    with pytest.raises(UserError, match=r"no finished cache .*precompute"):
        cache.LatentSource(tmp_path_factory.mktemp("empty"), config)
    for changes in ({"examples": "5"}, {"format": 99}, {"shards": {}}, {"autoencoder": None}):
        good = (folder / cache.MANIFEST).read_text()
        rewrite(folder, **changes)
        with pytest.raises(UserError, match="is no manifest of this version"):
            cache.LatentSource(folder, config)
        (folder / cache.MANIFEST).write_text(good)
    for text in ("{", "[]", "\x00", "[" * 100_000):
        (folder / cache.MANIFEST).write_text(text)
        with pytest.raises(UserError, match="manifest"):
            cache.LatentSource(folder, config)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "gone.array_record", "", 7])
def test_files_outside_the_folder_are_refused(folder, config, name):
    rewrite(folder, shards=[{"file": name, "examples": 5}])
    with pytest.raises(UserError, match=r"is no file of"):
        cache.LatentSource(folder, config)


def test_a_wrong_count_is_refused(folder, config):
    shard = json.loads((folder / cache.MANIFEST).read_text())["shards"][0]
    rewrite(folder, examples=6, shards=[shard | {"buckets": [0] * 6}])
    with pytest.raises(UserError, match="holds 5 examples, but its manifest says 6"):
        cache.LatentSource(folder, config)


def test_a_cut_file_is_refused(folder, config):
    path = folder / "latents-00000.array_record"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is cut or damaged"):
        cache.LatentSource(folder, config)


@pytest.mark.parametrize("buckets", [None, [0] * 4, [0, 0, 0, 0, 1], [-1] * 5, ["a"] * 5, [[0]] * 5])
def test_a_wrong_list_of_buckets_is_refused(folder, config, buckets):
    shard = json.loads((folder / cache.MANIFEST).read_text())["shards"][0]
    rewrite(folder, shards=[shard | {"buckets": buckets}])
    with pytest.raises(UserError, match="no list of buckets"):
        cache.LatentSource(folder, config)


def test_a_damaged_record_is_refused(tmp_path, config, folder):
    writer = ArrayRecordWriter(str(folder / "latents-00000.array_record"), "group_size:1,uncompressed")
    for record in (b"", b"\x08\0\0\0\0\0\0\0{}", records.encode_record(prepared())[:-10], b"x" * 100, b"\xff" * 9):
        writer.write(record)
    writer.close()
    shard = json.loads((folder / cache.MANIFEST).read_text())["shards"][0]
    rewrite(folder, shards=[shard | {"bytes": (folder / shard["file"]).stat().st_size}])
    source = cache.LatentSource(folder, config)
    for index in range(5):
        with pytest.raises(UserError, match=f"record {index} is damaged"):
            source[index]


def test_checksums_see_values_names_and_shapes():
    params = {"a": {"kernel": np.arange(4, dtype=np.float32)}, "b": np.ones(2, np.float32)}
    same = {"b": jnp.ones(2), "a": {"kernel": jnp.arange(4.0)}}
    assert cache.checksum(params) == cache.checksum(same)
    assert cache.checksum(params) == cache.checksum({**params, "b": np.ones(2, np.float16)})
    assert cache.checksum(params) != cache.checksum({**params, "b": np.full(2, 1.0001, np.float32)})
    assert cache.checksum(params) != cache.checksum({**params, "b": np.ones((2, 1), np.float32)})
    assert cache.checksum(params) != cache.checksum({"a": params["a"], "c": params["b"]})


def test_another_autoencoder_is_refused(folder):
    params = {"kernel": np.ones(3, np.float32)}
    with pytest.raises(UserError, match="made with another autoencoder"):
        cache.check_autoencoder(folder, params)
    rewrite(folder, autoencoder=cache.checksum(params))
    cache.check_autoencoder(folder, params)


def test_the_autoencoder_a_run_starts_from_is_compared(folder, tmp_path):
    params = {"kernel": np.ones(3, np.float32)}
    save_pretrained(tmp_path / "dsm", Config(), {"dsm": params}, "float32")
    save_pretrained(tmp_path / "autoencoder", Config(), {"autoencoder": params}, "float32")
    data = DataConfig(latents=str(folder))

    def run(*folders):
        return Config(data=data, train=TrainConfig(initialize_from=tuple(str(tmp_path / name) for name in folders)))

    with pytest.raises(UserError, match="name its folder in train.initialize_from"):
        cache.check_initial_autoencoder(run("dsm"))
    with pytest.raises(UserError, match="made with another autoencoder"):
        cache.check_initial_autoencoder(run("autoencoder", "dsm"))
    rewrite(folder, autoencoder=cache.checksum(params))
    cache.check_initial_autoencoder(run("autoencoder", "dsm"))
