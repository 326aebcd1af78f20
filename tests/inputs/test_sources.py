import dataclasses
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from astra_jax.config import Config, DataConfig
from astra_jax.errors import UserError
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.inputs.placement import find_phrases
from astra_jax.inputs.sources import open_pictures, open_source
from astra_jax.inputs.tokenizer import PromptTokenizer, train_tokenizer
from data.puppets.builder import Puppets, PuppetsConfig
from data.puppets.examples import make_example
from data.subjects.builder import Subjects, SubjectsConfig

SIZE, SEED = 64, 7


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six real scenes, written by the real builder."""
    folder = tmp_path_factory.mktemp("tfds")
    tiny = PuppetsConfig(name="tiny", train=6, test=2, size=SIZE, seed=SEED, processes=1)
    Puppets(config=tiny, data_dir=folder).download_and_prepare()
    return DataConfig(source="puppets/tiny", dir=str(folder), height=SIZE, width=SIZE, reference_size=32, threads=2)


def test_records_are_the_builders_examples(data):
    source = open_pictures(data)
    assert len(source) == 6
    for index in (0, 5):
        example, drawn = source[index], make_example(SEED, "train", index, SIZE)
        assert example.prompt == drawn.prompt
        assert example.size == (SIZE, SIZE)
        np.testing.assert_array_equal(example.target, drawn.image)
        np.testing.assert_array_equal(example.people, np.stack([s.keypoints for s in drawn.subjects]))
        for mine, theirs in zip(example.subjects, drawn.subjects, strict=True):
            assert mine.phrase == theirs.phrase
            np.testing.assert_array_equal(mine.photo, theirs.reference)
            np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
    with pytest.raises(IndexError):
        source[6]


def test_every_phrase_is_in_its_prompt(data):
    for split in ("train", "test"):
        for example in open_pictures(dataclasses.replace(data, split=split)):
            find_phrases(example.prompt, [subject.phrase for subject in example.subjects])


def test_part_of_a_split(data):
    assert len(open_pictures(dataclasses.replace(data, split="train[:50%]"))) == 3


@pytest.mark.parametrize("objective", ["autoencoder", "astra"])
def test_batches_of_real_pictures(data, config, change, objective):
    config = dataclasses.replace(config, data=data)
    config = change(config, data={"crop": 32}, train={"objective": objective, "batch_size": 3})
    config = change(config, model={"text_length": 160})
    prompts = [example.prompt for example in open_source(config)]
    tokenizer = PromptTokenizer(train_tokenizer(prompts, 300))
    iterator = iter(make_dataset(config, training=True, tokenizer=tokenizer))
    batches = [next(iterator) for _ in range(4)]
    side = 32 if objective == "autoencoder" else SIZE
    assert all(batch.target.shape == (3, side, side, 3) for batch in batches)
    if objective == "astra":
        assert any(batch.inputs.pose.any() for batch in batches)


def test_missing_data_tells_the_command(data, tmp_path):
    with pytest.raises(UserError, match=r"no data set puppets/full in .*python -m data.puppets --out .* --config full"):
        open_pictures(DataConfig(dir=str(tmp_path)))
    with pytest.raises(UserError, match="no data set puppets/huge"):
        open_pictures(dataclasses.replace(data, source="puppets/huge"))
    with pytest.raises(UserError, match=r"config.data.source 'cats' is unknown"):
        open_pictures(dataclasses.replace(data, source="cats"))
    config = Config(data=dataclasses.replace(data, latents=str(tmp_path)))
    with pytest.raises(UserError, match="holds no finished cache"):
        open_source(config)


@pytest.mark.parametrize("split", ["validation", "train[:x]", "train[:0]", ""])
def test_wrong_splits(data, split):
    with pytest.raises(UserError, match="has no split"):
        open_pictures(dataclasses.replace(data, split=split))


def test_damaged_data(data, tmp_path):
    shutil.copytree(data.dir, tmp_path / "copy")
    damaged = dataclasses.replace(data, dir=str(tmp_path / "copy"))
    for path in (tmp_path / "copy").rglob("*.array_record*"):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is damaged .* make it again"):
        open_pictures(damaged)
    for path in (tmp_path / "copy").rglob("dataset_info.json"):
        path.write_text("{")
    with pytest.raises(UserError, match="is damaged .* make it again"):
        open_pictures(damaged)
    for path in (tmp_path / "copy").rglob("features.json"):
        path.write_text("{")
    with pytest.raises(UserError, match="is damaged .* make it again"):
        open_pictures(damaged)


EXAMPLES, SHARDS = 6, 3  # two examples a file


@pytest.fixture(scope="module")
def written_in_shards(tmp_path_factory):
    """A folder with both data sets, their training splits in three files each, by the real builders."""
    folder = tmp_path_factory.mktemp("shards")
    pixels = np.random.default_rng(0).integers(0, 256, (EXAMPLES, 80, 80, 3), np.uint8)
    lines = [{"target": f"{number}.png", "prompt": "a man"} for number in range(EXAMPLES)]
    for line, picture in zip(lines, pixels, strict=True):
        Image.fromarray(picture).save(folder / line["target"])
    manifest = folder / "list.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    puppets = PuppetsConfig(name="tiny", train=EXAMPLES, test=SHARDS, size=SIZE, seed=SEED, processes=1)
    subjects = SubjectsConfig(name="mine", manifest=str(manifest), folder=str(folder))
    for builder in (Puppets(config=puppets, data_dir=folder), Subjects(config=subjects, data_dir=folder)):
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=SHARDS))
    return folder


@pytest.fixture(params=["puppets/tiny", "subjects/mine"])
def sharded(request, written_in_shards, tmp_path):
    """The config of a copy, and the middle one of its files."""
    shutil.copytree(written_in_shards, tmp_path / "copy")
    files = sorted((tmp_path / "copy" / request.param).rglob("*-train.array_record-*"))
    assert len(files) == SHARDS
    return DataConfig(source=request.param, dir=str(tmp_path / "copy"), height=SIZE, width=SIZE, threads=2), files[1]


def test_a_missing_file_is_named_at_opening(sharded):
    data, middle = sharded
    middle.unlink()
    with pytest.raises(UserError, match=rf"is damaged \({middle.name} is missing\): delete it and make it again"):
        open_pictures(data)
    assert len(open_pictures(dataclasses.replace(data, split="train[:2]"))) == 2  # does not need it


@pytest.mark.parametrize("what", ["empty", "cut off", "another split's"])
def test_a_broken_copy_of_a_file_is_named_at_opening(sharded, what):
    data, middle = sharded
    if what == "another split's":
        tests = pathlib.Path(data.dir, "puppets/tiny").rglob("*-test.array_record-*")
        shutil.copy(next(tests), middle)  # holds one record, not two
    else:
        content = middle.read_bytes()
        middle.write_bytes(b"" if what == "empty" else content[: len(content) * 3 // 4])
    with pytest.raises(UserError, match=rf"is damaged \({middle.name}: .*\): delete it and make it again with `"):
        open_pictures(data)


def test_a_damaged_record_is_told_when_it_is_read(sharded, config, change):
    data, middle = sharded
    content = bytearray(middle.read_bytes())
    content[1000] ^= 0xFF  # within the first of its records
    middle.write_bytes(content)
    source = open_pictures(data)
    told = re.compile(r"^[^\n]*: record 2 is damaged \([^\n]*\): delete it and make it again with `[^\n]*`$")
    for index in range(EXAMPLES):
        if index != 2:
            assert source[index].target is not None
            continue
        with pytest.raises(UserError, match=told):
            source[index]
    config = dataclasses.replace(config, data=dataclasses.replace(data, crop=32))
    config = change(config, train={"objective": "autoencoder", "batch_size": 3})
    with pytest.raises(UserError) as caught:  # out of the threads of Grain, which adds a note, no part of the message
        list(make_dataset(config, training=False))
    assert told.match(str(caught.value))
