"""Pictures and texts to unit vectors, by tiny networks in published folders. Against transformers: tests/parity."""

import functools

import jax
import numpy as np
import pytest
from tokenizers import Tokenizer

from astra_jax.errors import UserError
from astra_jax.evaluation import features
from astra_jax.evaluation.features import ImageFeatures, TextFeatures, open_clip, open_vit
from astra_jax.evaluation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, middle_square
from astra_jax.models.clip import ClipFeatures
from astra_jax.models.vit import VisionTransformer
from astra_jax.params import unflatten
from tests.evaluation.feature_folders import CLIP, WORDS, load, write_clip, write_vit


def pictures(count):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*rng.integers(20, 60, 2), 3)).astype(np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder, leaves = write_clip(tmp_path_factory.mktemp("clip"))
    return *open_clip(folder), unflatten(leaves)


def unit(row):
    return np.asarray(row) / np.linalg.norm(row)


@pytest.mark.parametrize("name", ["DINO", "DINOv2"])
def test_a_picture_s_vector_is_its_class_token(name, tmp_path):
    folder, _ = write_vit(tmp_path, name)
    encoder = open_vit(folder, name)
    assert isinstance(encoder, ImageFeatures)
    assert encoder.name == name
    rows = encoder(pictures(4))
    assert rows.dtype == np.float32
    config, params = load(folder, name)
    squares = np.stack([middle_square(picture, 256, 224) for picture in pictures(4)])
    normed = ((squares / 255.0 - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32)
    tokens = jax.jit(VisionTransformer(config).apply)({"params": params}, normed)
    np.testing.assert_allclose(rows, [unit(row) for row in tokens[:, 0]], atol=1e-5)


def test_batches_change_nothing(clip, monkeypatch):
    images, texts, _ = clip
    whole = images(pictures(3))
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1.0, atol=1e-6)
    monkeypatch.setattr(features, "BATCH", 2)  # a full one and a rest
    np.testing.assert_allclose(images(pictures(3)), whole, atol=1e-6)
    with pytest.raises(ValueError, match="need a picture or a text"):
        images([])
    with pytest.raises(ValueError, match="need a picture or a text"):
        texts([])


def test_texts_and_pictures_meet_in_one_space(clip):
    images, texts, params = clip
    assert isinstance(texts, TextFeatures)
    assert images.name == texts.name == "CLIP"
    said = ["a dog on the beach", "dog", ""]
    rows = texts(said)
    assert rows.shape == (3, 6) == images(pictures(3)).shape
    ids = np.full((3, 9), 11)  # what stands behind the end is not read, so the end may stand there again
    for row, text in zip(ids, said, strict=True):
        words = [10, *(WORDS.index(word) for word in text.split())]
        row[: len(words)] = words
    encode = jax.jit(functools.partial(ClipFeatures(CLIP).apply, method="texts"))
    np.testing.assert_allclose(rows, [unit(row) for row in encode({"params": params}, ids)], atol=1e-5)


def test_long_texts_are_cut_before_their_end(clip):
    _, texts, _ = clip
    cut, exact, other = texts(["a dog on the beach a cat in the snow", "a dog on the beach a cat", "a dog"])
    np.testing.assert_allclose(cut, exact, atol=1e-6)  # 9 ids: the start, 7 words, the end
    assert np.abs(cut - other).max() > 0.01
    # Bytes of a command line that are no text, and more words than any encoder reads.
    odd, plain, _ = texts(["a dog \udcff", "a dog x", "a " * 1_000_000])
    np.testing.assert_allclose(odd, plain, atol=1e-6)


def test_a_tokenizer_of_another_clip_is_refused(tmp_path):
    folder, _ = write_clip(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["more"])
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(UserError, match="goes up to 12, its text encoder reads the end at 11: copy the tokenizer"):
        open_clip(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"no tokenizer\.json: copy"):
        open_clip(folder)
