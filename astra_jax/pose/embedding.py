"""Texts to unit vectors. The built-in embedder is TF-IDF + truncated SVD: fitted on the bank, nothing to download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from astra_jax.errors import UserError
from astra_jax.pose.files import read_arrays, read_json

MAX_WORDS = 40_000
MAX_FILE_BYTES = 2**30


class TextEmbedder(Protocol):
    """Anything that turns texts into unit vectors. A text it knows nothing of becomes a zero vector."""

    kind: str
    dim: int

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """One float32 row a text; a row does not depend on the other texts."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what `load` of the same class needs into an existing folder."""
        ...


class TfidfEmbedder:
    """Words and word pairs weighted by TF-IDF, projected on their leading singular directions (LSA), unit norm.

    Attributes:
      words: the vocabulary in column order.
      idf: inverse document frequencies.
      directions: the projection, one row a direction; None where the vocabulary is small enough to be kept whole.
    """

    kind = "tfidf"

    def __init__(self, words: list[str], idf: Float[np.ndarray, "V"], directions: Float[np.ndarray, "D V"] | None):
        self.words, self.idf, self.directions = words, idf, directions
        self.dim = len(words) if directions is None else len(directions)
        self._vectorizer = _vectorizer(vocabulary=words)
        self._vectorizer.idf_ = idf

    @classmethod
    def fit(cls, texts: Sequence[str], dim: int = 256, seed: int = 0) -> TfidfEmbedder:
        """An embedder of at most `dim` dimensions for `texts`; the same texts and seed give the same one.

        Raises `UserError` if no text has a word in it.
        """
        vectorizer = _vectorizer(max_features=MAX_WORDS)
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError as error:  # scikit-learn's "empty vocabulary"
            raise UserError("the captions hold no word to search by: give captions that say what people do") from error
        words = vectorizer.get_feature_names_out().tolist()
        directions = None
        if len(words) > dim and len(texts) > 1:
            svd = TruncatedSVD(min(dim, len(texts)), random_state=seed).fit(counts)
            directions = np.asarray(svd.components_, np.float32)
        return cls(words, np.asarray(vectorizer.idf_, np.float64), directions)

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """Unit float32 rows; zeros for a text without a known word."""
        weights = sparse.csr_matrix(self._vectorizer.transform(texts), dtype=np.float32)
        rows = weights.toarray() if self.directions is None else weights @ self.directions.T
        return np.asarray(normalize(np.asarray(rows, np.float32)))

    def save(self, folder: Path) -> None:
        """Writes tfidf.json and tfidf.npz."""
        (folder / "tfidf.json").write_text(json.dumps({"kind": self.kind, "words": self.words}), encoding="utf-8")
        directions = np.zeros((0, 0), np.float32) if self.directions is None else self.directions
        np.savez(folder / "tfidf.npz", idf=self.idf, directions=directions)

    @classmethod
    def load(cls, folder: Path) -> TfidfEmbedder:
        """Reads what `save` wrote: the embedder is the same, bit for bit.

        Raises `UserError` for files that are missing, too large or do not fit together.
        """
        tree = read_json(folder / "tfidf.json", MAX_FILE_BYTES)
        words = tree.get("words") if isinstance(tree, dict) else None
        idf, directions = read_arrays(folder / "tfidf.npz", ("idf", "directions"), MAX_FILE_BYTES)
        fits = isinstance(words, list) and all(isinstance(w, str) for w in words) and len(set(words)) == len(words)
        if not (fits and words and idf.shape == (len(words),) and idf.dtype == np.float64 and np.isfinite(idf).all()):
            raise UserError(f"{folder} holds an embedder whose words and weights do not fit: build the bank again")
        if directions.size == 0:
            return cls(words, idf, None)
        if directions.ndim != 2 or directions.shape[1] != len(words) or directions.dtype != np.float32:
            raise UserError(f"{folder} holds an embedder whose words and weights do not fit: build the bank again")
        return cls(words, idf, directions)


LOADERS = {TfidfEmbedder.kind: TfidfEmbedder.load}


def _vectorizer(**options) -> TfidfVectorizer:
    # One-letter words stay out by scikit-learn's default pattern; sublinear counts because captions are short.
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **options)
