import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.errors import UserError
from astra_jax.inputs import cache, encoding, precompute, transforms
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.models.astra import Astra


@pytest.fixture(scope="module")
def autoencoder(config):
    """Random weights of the right shapes, without the minute that initialising op by op takes."""
    shapes = jax.eval_shape(Astra(config.model).init, jax.random.key(0))["autoencoder"]
    rng = np.random.default_rng(0)
    return {"autoencoder": jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)}


@pytest.fixture(scope="module")
def moments(config, autoencoder):
    """The model's own moments of pictures [..., H, W, 3], four at a time."""
    compiled = jax.jit(Astra(config.model).moments)

    def moments_of(pictures):
        flat = pictures.reshape(-1, *pictures.shape[-3:])
        padded = np.concatenate([flat, np.zeros((-len(flat) % 4, *flat.shape[1:]), np.uint8)])
        some = [compiled(autoencoder, jnp.asarray(padded[i : i + 4])) for i in range(0, len(padded), 4)]
        some = np.concatenate(some)[: len(flat)]
        return some.reshape(*pictures.shape[:-3], *some.shape[1:])

    return moments_of


@pytest.fixture(scope="module")
def written(config, autoencoder, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "latents"
    made = precompute.precompute(config, autoencoder, folder, source=source, batch_size=4, shard_size=4)
    assert (made.examples, made.files, made.missing) == (11, 3, 0)
    assert made.bytes == sum(path.stat().st_size for path in folder.glob("*.array_record"))
    return folder


def test_the_cache_holds_the_moments_of_every_picture(config, moments, source, written):
    assert sorted(path.name for path in written.iterdir()) == [
        *(f"latents-0000{n}.{ending}" for n in range(3) for ending in ("array_record", "json")),
        "manifest.json", "plan.json",
    ]  # fmt: skip
    latents = cache.LatentSource(written, config)
    assert len(latents) == 11
    for index in (0, 5, 10):
        pictures, cached = transforms.prepare(source[index], config), latents[index]
        for name in ("target", "pose", "references"):
            expected = moments(getattr(pictures, name))
            np.testing.assert_allclose(getattr(cached, name), expected, rtol=2e-3, atol=2e-3)
            assert getattr(cached, name).dtype == np.float16
        np.testing.assert_array_equal(cached.portraits, pictures.portraits)
        assert (cached.prompt, cached.phrases, cached.has_pose) == (pictures.prompt, pictures.phrases, True)


def test_training_reads_the_same_batches_from_the_cache(config, moments, source, written, tokenizer, change):
    """Order, words, dropout: all equal; pictures are replaced by their moments."""
    cached = iter(make_dataset(change(config, data={"latents": str(written)}), training=True, tokenizer=tokenizer))
    pictures = iter(make_dataset(config, training=True, source=source, tokenizer=tokenizer))
    for _ in range(4):
        a, b = next(cached), next(pictures)
        for name in vars(b.inputs):
            if name not in ("pose", "references"):
                np.testing.assert_array_equal(getattr(a.inputs, name), getattr(b.inputs, name))
        np.testing.assert_allclose(a.target, moments(b.target), rtol=2e-3, atol=2e-3)
        here = b.inputs.has_pose
        np.testing.assert_allclose(a.inputs.pose[here], moments(b.inputs.pose)[here], rtol=2e-3, atol=2e-3)
        assert a.inputs.references.shape == (4, 3, 16, 16, 8)


def test_finished_files_are_kept_and_missing_ones_made(config, autoencoder, source, written, tmp_path, memory):
    reads = []

    class Counting(memory):
        def __getitem__(self, index):
            reads.append(index)
            return super().__getitem__(index)

    class Failing(Counting):
        def __getitem__(self, index):
            if index == 6:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        precompute.precompute(config, autoencoder, out, source=Failing(), batch_size=4, shard_size=4)
    assert not (out / cache.MANIFEST).exists()
    with pytest.raises(UserError, match="no finished cache"):
        cache.LatentSource(out, config)
    reads.clear()
    precompute.precompute(config, autoencoder, out, source=Counting(), batch_size=4, shard_size=4)
    assert sorted(reads) == list(range(4, 11))
    assert not list(out.glob(".*"))
    reads.clear()
    precompute.precompute(config, autoencoder, out, source=Counting(), batch_size=4, shard_size=4)
    assert not reads
    a, b = cache.LatentSource(written, config), cache.LatentSource(out, config)
    for index in range(11):
        np.testing.assert_array_equal(a[index].target, b[index].target)
    # A file that was cut, or in which a bit was turned, is made again, and no other.
    damaged = out / "latents-00001.array_record"
    whole = damaged.read_bytes()
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 1
    for content in (whole[:100], bytes(turned)):
        damaged.write_bytes(content)
        reads.clear()
        precompute.precompute(config, autoencoder, out, source=Counting(), batch_size=4, shard_size=4)
        assert sorted(reads) == [4, 5, 6, 7]
        np.testing.assert_array_equal(cache.LatentSource(out, config)[5].target, a[5].target)
    damaged.write_bytes(bytes(turned))
    with pytest.raises(UserError, match=r"record \d+ is damaged"):
        for index in range(4, 8):
            cache.LatentSource(out, config)[index]


def test_other_work_in_the_folder_is_refused(config, autoencoder, source, written, tmp_path, change):
    def refused(match, out=written, config=config, params=autoencoder):
        with pytest.raises(UserError, match=match):
            precompute.precompute(config, params, out, source=source, batch_size=4, shard_size=4)

    other = jax.tree.map(lambda x: x + 1, autoencoder)
    refused("latents made with another autoencoder: give another folder", params=other)
    refused("latents made with another settings", config=change(config, data={"reference_size": 64}))
    (tmp_path / "thesis.txt").write_text("do not touch")
    refused("is not empty and holds no latents", out=tmp_path)
    refused("cannot write the cache", out=tmp_path / "thesis.txt")
    (tmp_path / "plan.json").write_text("{")
    refused("plan.json is damaged", out=tmp_path)
    refused("height 62 is no positive multiple", config=change(config, data={"height": 62}))


def test_an_autoencoder_that_overflows_is_refused(config, autoencoder, source, tmp_path):
    broken = jax.tree.map(lambda x: x * np.nan, autoencoder)
    with pytest.raises(UserError, match=r"cannot be used: the moments of the target are not finite"):
        precompute.precompute(config, broken, tmp_path / "out", source=source, batch_size=4, shard_size=4)
    assert not list((tmp_path / "out").glob("*.array_record"))


def test_a_picture_without_subjects(config, autoencoder, source, change):
    bare = transforms.prepare(dataclasses.replace(source[0], subjects=(), people=None), config)
    encode = encoding.make_encoder(Astra(config.model), autoencoder, 4)
    (encoded,) = encoding.encode_examples([bare], encode)
    assert encoded.references.shape == (0, 16, 16, 8)
    assert cache.decode_record(cache.encode_record(encoded)).references.shape == (0, 16, 16, 8)


def test_command_line_refuses_a_missing_autoencoder(tmp_path):
    (tmp_path / "config.py").write_text(
        "from astra_jax import config\n\n\ndef get_config():\n    return config.as_config_dict(config.Config())\n"
    )
    command = [sys.executable, "-m", "astra_jax.inputs.precompute", f"--config={tmp_path}/config.py"]
    command += [f"--autoencoder={tmp_path}/none", f"--out={tmp_path}/out"]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 2, failed.stderr
    assert "none has no model.safetensors" in failed.stderr
