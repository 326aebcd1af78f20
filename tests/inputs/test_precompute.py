import dataclasses
import pathlib
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax.config import TrainConfig
from astra_jax.errors import UserError
from astra_jax.inputs import cache, encoding, precompute, records, transforms
from astra_jax.inputs.example import Example, Subject
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.models.astra import Astra
from astra_jax.pipeline import AstraPipeline
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.loop import train
from astra_jax.weights.pretrained import fingerprint, load_pretrained, save_pretrained


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
    latents = cache.LatentSource(out, config)
    with pytest.raises(UserError, match=r"record \d+ is damaged"):
        [latents[index] for index in range(4, 8)]


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
    assert records.decode_record(records.encode_record(encoded)).references.shape == (0, 16, 16, 8)


def test_command_line_refuses_a_missing_autoencoder(tmp_path):
    (tmp_path / "config.py").write_text(
        "from astra_jax import config\n\n\ndef get_config():\n    return config.as_config_dict(config.Config())\n"
    )
    command = [sys.executable, "-m", "astra_jax.inputs.precompute", f"--config={tmp_path}/config.py"]
    command += [f"--autoencoder={tmp_path}/none", f"--out={tmp_path}/out"]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 2, failed.stderr
    assert "none has no model.safetensors" in failed.stderr


def test_several_processes_share_the_files(config, autoencoder, source, written, tmp_path):
    def run(index):
        return precompute.precompute(
            config, autoencoder, tmp_path / "out", source=source, batch_size=4, shard_size=4, share=(index, 2)
        )

    assert run(1).missing == 2
    assert sorted(path.name for path in (tmp_path / "out").glob("*.array_record")) == ["latents-00001.array_record"]
    with pytest.raises(UserError, match="no finished cache"):
        cache.LatentSource(tmp_path / "out", config)
    assert run(0).missing == 0
    a, b = cache.read_manifest(written), cache.read_manifest(tmp_path / "out")
    assert [shard["examples"] for shard in b["shards"]] == [4, 4, 3]
    assert a == b  # checksums included: whoever makes a file makes the same
    for text in ("", "1", "2/2", "-1/2", "0/0", "a/b", "1/2/3"):
        with pytest.raises(UserError, match="write I/N"):
            precompute.parse_share(text)
    assert precompute.parse_share("3/8") == (3, 8)


class Mixed:
    """Eleven examples, wide, square and tall ones in turn."""

    shapes = ((40, 120), (64, 64), (120, 40))

    def __init__(self, memory):
        self.memory = memory

    def __len__(self):
        return 11

    def __getitem__(self, index):
        return self.memory(11, self.shapes[index % 3])[index]

    def sizes(self):
        return np.array([self.shapes[index % 3] for index in range(11)])


def test_buckets_are_encoded_at_their_canvases(config, autoencoder, memory, tokenizer, tmp_path, change):
    config = change(config, data={"buckets": ((32, 96), (64, 64), (96, 32))}, train={"batch_size": 3})
    precompute.precompute(config, autoencoder, tmp_path, source=Mixed(memory), batch_size=4, shard_size=4)
    cached = change(config, data={"latents": str(tmp_path)})
    latents = cache.LatentSource(tmp_path, cached)
    assert [latents[n].target.shape[:2] for n in range(3)] == [(16, 48), (32, 32), (48, 16)]
    np.testing.assert_array_equal(latents.sizes()[:4], [(32, 96), (64, 64), (96, 32), (32, 96)])
    from_cache = iter(make_dataset(cached, training=True, tokenizer=tokenizer))
    from_pictures = iter(make_dataset(config, training=True, source=Mixed(memory), tokenizer=tokenizer))
    for _ in range(5):
        a, b = next(from_cache), next(from_pictures)
        np.testing.assert_array_equal(a.inputs.text_tokens, b.inputs.text_tokens)
        assert (a.target.shape[1] * 2, a.target.shape[2] * 2) == b.target.shape[1:3]
    from_cache.close()
    from_pictures.close()
    with pytest.raises(UserError, match=r"made for config.data.buckets = .*, not \[\]"):
        cache.LatentSource(tmp_path, change(config, data={"buckets": ()}))


@pytest.fixture(scope="module")
def small(pretrained):
    """A whole tiny model's config and parameters, and examples that fit its tokenizer."""
    config, params = load_pretrained(pretrained)
    data = dataclasses.replace(config.data, tokenizer=str(pretrained), threads=1)
    train = TrainConfig(batch_size=4, trainable="^(transformer|dsm)/")
    return dataclasses.replace(config, data=data, train=train), params


class People:
    """Eight pictures of two subjects, the second without words."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        photos = rng.integers(0, 256, (2, 20, 20, 3), np.uint8)
        return Example(
            prompt=f"a man waving and a woman dancing {index}",
            subjects=(Subject("a man", photos[0]), Subject("" if index % 2 else "a woman", photos[1])),
            people=None,
            size=(32, 32),
            target=rng.integers(0, 256, (32, 32, 3), np.uint8),
        )


def test_a_killed_process_loses_one_file(small, pretrained, tmp_path):
    """kill -9 in the middle of a file: what was finished is kept, and the folder ends as an undisturbed one."""
    config, params = small
    out, options = tmp_path / "out", {"batch_size": 1, "shard_size": 2}
    program = f"""if True:
        import dataclasses, pathlib, sys, time
        sys.path[:0] = {[str(pathlib.Path(__file__).parents[2]), str(pathlib.Path(__file__).parent)]}
        from test_precompute import People
        from astra_jax.inputs import precompute
        from astra_jax.weights.pretrained import load_pretrained
        class Slow(People):
            def __getitem__(self, index):
                time.sleep(0.2)
                return super().__getitem__(index)
        config, params = load_pretrained({str(pretrained)!r})
        data = dataclasses.replace(config.data, tokenizer={str(pretrained)!r}, threads=1)
        config = dataclasses.replace(config, data=data)
        precompute.precompute(config, params, pathlib.Path({str(out)!r}), source=Slow(), **{options})
    """
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out / "latents-00000.json").exists() or not list(out.glob(".latents-*.tmp")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -9
    assert not (out / cache.MANIFEST).exists()
    finished = {path.name: path.stat().st_mtime_ns for path in out.glob("latents-*.array_record")}
    assert 1 <= len(finished) < 4
    assert precompute.precompute(config, params, out, source=People(), **options).missing == 0
    assert finished == {name: (out / name).stat().st_mtime_ns for name in finished}  # not made again
    precompute.precompute(config, params, tmp_path / "undisturbed", source=People(), **options)
    assert cache.read_manifest(out) == cache.read_manifest(tmp_path / "undisturbed")  # checksums included
    assert not list(out.glob(".*"))


def test_embeddings_train_as_the_encoders_would(small, tmp_path, change):
    """Same batches, same conditions, and neither encoders nor a tokenizer in the run."""
    config, params = small
    with_words = change(config, data={"embeddings": True})
    precompute.precompute(with_words, params, tmp_path / "all", source=People(), encoders="abc", batch_size=3)
    precompute.precompute(config, params, tmp_path / "latents", source=People(), batch_size=3)
    plain = change(config, data={"latents": str(tmp_path / "latents")})
    embedded = change(with_words, data={"latents": str(tmp_path / "all"), "tokenizer": ""})
    objective = AstraObjective(embedded)
    parts = set(jax.eval_shape(objective.init, jax.random.key(0)))
    assert parts == {"transformer", "dsm", "autoencoder"}
    less = {part: tree for part, tree in params.items() if part in parts}

    encode = jax.jit(Astra(config.model).encode, static_argnums=2)
    a, b = (iter(make_dataset(config, training=True)) for config in (plain, embedded))
    for _ in range(2):
        first, second = next(a), next(b)
        for name in ("has_identity", "has_reference", "placement", "has_pose"):
            np.testing.assert_array_equal(getattr(first.inputs, name), getattr(second.inputs, name))
        assert second.inputs.text_tokens.shape == (4, 80, 12)
        assert second.inputs.portraits.shape == (4, 2, 5, 8)
        expected, got = encode(params, first.inputs, (16, 16)), encode(less, second.inputs, (16, 16))
        for name in ("text", "pooled", "images", "place", "mask"):
            np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=2e-3, atol=2e-3)
        for person, there in np.argwhere(first.inputs.has_identity):  # the others' offsets have no place
            of_phrase = slice(there * 12, (there + 1) * 12)
            np.testing.assert_allclose(
                got.offsets[:, person, of_phrase], expected.offsets[:, person, of_phrase], rtol=0.02, atol=0.02
            )
    a.close()
    b.close()
    with pytest.raises(UserError, match=r"made for config.data.embeddings = True, not False"):
        cache.LatentSource(tmp_path / "all", config)
    with pytest.raises(UserError, match=r"made for config.model.text_length = 80, not 64"):
        cache.LatentSource(tmp_path / "all", change(embedded, model={"text_length": 64}))
    (tmp_path / "all" / cache.EMPTY).write_bytes(b"x" * 30)
    with pytest.raises(UserError, match=r"empty.safetensors is missing or damaged"):
        cache.LatentSource(tmp_path / "all", embedded)


def test_other_encoders_than_the_caches_are_refused(small, pretrained, tmp_path, change):
    config, params = small
    config = change(config, data={"embeddings": True}, train={"initialize_from": (str(pretrained),)})
    for name, made_by in (("other", "abc"), ("same", fingerprint(pretrained))):
        precompute.precompute(config, params, tmp_path / name, source=People(), encoders=made_by, batch_size=3)
    with pytest.raises(UserError, match="made with other encoders than those in"):
        cache.check_initial_weights(change(config, data={"latents": str(tmp_path / "other")}))
    cache.check_initial_weights(change(config, data={"latents": str(tmp_path / "same")}))
    loaded = precompute.load_encoders(config, str(pretrained))
    assert sorted(loaded) == ["clip_text", "clip_vision", "t5"]
    partial = {"autoencoder": params["autoencoder"], "t5": params["t5"]}
    save_pretrained(tmp_path / "partial", config, partial, "float32")
    with pytest.raises(UserError, match="has no clip_text, clip_vision: name a folder with all encoders"):
        precompute.load_encoders(config, str(tmp_path / "partial"))


@pytest.mark.slow
def test_a_run_on_embeddings_leaves_a_whole_model(small, pretrained, tmp_path, change):
    """What the run itself does not hold comes from the folder of the encoders, tokenizer included."""
    config, params = small
    config = change(config, data={"embeddings": True})
    made_by = fingerprint(pretrained)
    precompute.precompute(config, params, tmp_path / "cache", source=People(), encoders=made_by, batch_size=4)
    for name, parts in (("base", ("transformer", "dsm", "autoencoder")), ("autoencoder", ("autoencoder",))):
        save_pretrained(tmp_path / name, config, {part: params[part] for part in parts}, "float32")
    run = change(
        config,
        data={"latents": str(tmp_path / "cache"), "tokenizer": ""},
        train={"steps": 1, "sample_every": 0, "checkpoint_every": 0, "export_dtype": "float32"},
    )

    (tmp_path / "run").mkdir()

    def trained(*folders):
        chosen = change(run, train={"initialize_from": tuple(map(str, folders))})
        dataset = make_dataset(chosen, training=True)
        return train(chosen, tmp_path / "run", AstraObjective(chosen), dataset, devices=jax.devices()[:1])

    with pytest.raises(UserError, match="no folder of train.initialize_from has clip_text, clip_vision, t5: add the"):
        trained(tmp_path / "base")
    encoders = tmp_path / "encoders"  # a folder of encoders alone, as large models have them
    wanted = {part: params[part] for part in ("t5", "clip_text", "clip_vision")}
    save_pretrained(encoders, change(config, data={"tokenizer": str(pretrained)}), wanted, "float32")
    state = trained(tmp_path / "base", encoders)
    assert "t5" not in state.params
    _, whole = load_pretrained(tmp_path / "run")
    assert set(whole) == {"transformer", "dsm", "autoencoder", *wanted}
    for part in wanted:
        assert jax.tree.all(jax.tree.map(np.array_equal, whole[part], params[part])), part
    pipe = AstraPipeline.from_pretrained(tmp_path / "run")  # refuses what is not whole
    assert set(pipe.params) == set(whole)
