import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from astra_jax.errors import UserError
from astra_jax.pose.embedding import COMMON, TextEmbedder, TfidfEmbedder

TEXTS = ["person waving hello", "person jumping high", "people hugging each other", "person sitting on bench",
         "people running race", "person riding bike on beach", "person holding umbrella"]  # fmt: skip


@pytest.fixture(scope="module", params=[4, 100_000], ids=["projected", "whole"])
def embedder(request):
    return TfidfEmbedder.fit(TEXTS, dim=request.param)


def test_unit_rows_that_do_not_depend_on_each_other(embedder):
    assert isinstance(embedder, TextEmbedder)
    rows = embedder(TEXTS)
    assert rows.dtype == np.float32
    assert rows.shape == (len(TEXTS), embedder.dim)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    for text, row in zip(TEXTS, rows, strict=True):
        np.testing.assert_array_equal(embedder([text])[0], row)


def test_inflections_and_word_order_stay_near():
    embedder = TfidfEmbedder.fit(TEXTS)
    nearest = (embedder(["a hug", "bench sit", "waves", "jumps"]) @ embedder(TEXTS).T).argmax(axis=1)
    np.testing.assert_array_equal(nearest, [2, 3, 0, 1])


def test_unknown_words_give_zeros(embedder):
    np.testing.assert_array_equal(embedder(["", "two people", "жжж"]), np.zeros((3, embedder.dim)))


def test_no_texts_no_rows(embedder):
    assert embedder([]).shape == (0, embedder.dim)


def test_same_texts_same_embedder():
    a, b = TfidfEmbedder.fit(TEXTS, dim=4), TfidfEmbedder.fit(TEXTS, dim=4)
    np.testing.assert_array_equal(a(TEXTS), b(TEXTS))


def test_restored_exactly(embedder, tmp_path):
    embedder.save(tmp_path)
    restored = TfidfEmbedder.load(tmp_path)
    texts = [*TEXTS, "person waves while running", ""]
    np.testing.assert_array_equal(restored(texts), embedder(texts))
    assert restored.common == embedder.common
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


@pytest.mark.parametrize("texts", [["person wave"], ["person wave"] * 3, ["a b c jump"] * 2 + ["x sit"]])
def test_tiny_collections(texts):
    rows = TfidfEmbedder.fit(texts, dim=2)(texts)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_texts(texts):
    rows = TfidfEmbedder.fit([*texts, "person waving"], dim=8)(texts)
    norms = np.linalg.norm(rows, axis=1)
    assert np.all(np.isclose(norms, 1, atol=1e-5) | (norms == 0))


def test_common_words_are_the_embedder_s_own(tmp_path):
    embedder = TfidfEmbedder([" wa", "wave", "hug"], np.ones(3), None, frozenset({"wave"}))
    embedder.save(tmp_path)
    for one in (embedder, TfidfEmbedder.load(tmp_path)):
        np.testing.assert_array_equal(one(["wave hug"]), [[0, 0, 1]])


def test_no_words_at_all():
    with pytest.raises(UserError, match="no word to search by"):
        TfidfEmbedder.fit(["", "two people"])


def test_damaged_files(embedder, tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        TfidfEmbedder.load(tmp_path)
    embedder.save(tmp_path)
    (tmp_path / "tfidf.json").write_text(json.dumps({"pieces": embedder.pieces[:-1], "common": [], "raw_share": 0}))
    with pytest.raises(UserError, match="do not fit"):
        TfidfEmbedder.load(tmp_path)
    (tmp_path / "tfidf.json").write_text(json.dumps({"pieces": embedder.pieces, "common": [], "raw_share": 2}))
    with pytest.raises(UserError, match="no raw_share"):
        TfidfEmbedder.load(tmp_path)
    (tmp_path / "tfidf.json").write_text("[]")
    with pytest.raises(UserError, match="do not fit"):
        TfidfEmbedder.load(tmp_path)
    embedder.save(tmp_path)
    np.savez(tmp_path / "tfidf.npz", idf=embedder.idf, directions=np.zeros((3, 2), np.float32))
    with pytest.raises(UserError, match="do not fit"):
        TfidfEmbedder.load(tmp_path)


def test_pieces_and_weights_are_scikit_learns():
    texts = ["a man riding a bike", "Ünïcode 日本 ab  x", "the the", "", "ab cd abab", "two people hugging hug"]
    embedder = TfidfEmbedder.fit([*texts, *TEXTS], dim=10_000)
    theirs = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, vocabulary=embedder.pieces,
        preprocessor=lambda text: " ".join(word for word in text.lower().split() if word not in COMMON),
    )  # fmt: skip
    theirs.idf_ = embedder.idf
    np.testing.assert_allclose(embedder(texts), theirs.transform(texts).toarray(), atol=1e-7)


def test_what_draws_pictures_imports_no_scikit_learn():
    program = "import sys, astra_jax.pipeline; assert not {'sklearn', 'scipy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], check=True)
