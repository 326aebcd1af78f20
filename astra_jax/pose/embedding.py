"""Texts to unit vectors. The built-in embedder is fitted on the bank's own captions: nothing to download.

Why letters and not words: "hug", "hugs" and "hugging" share theirs. On COCO val2017 (one caption as the query, the
others in the bank) pieces of 3 to 5 letters found the picture more often than words and word pairs (recall@10 0.44
against 0.38), and more of the five nearest shared a V-COCO verb with the query.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.pose.action_text import action_text
from astra_jax.pose.files import read_arrays, read_json

PIECE_LENGTHS = (3, 4, 5)  # letters
MAX_PIECES = 20_000
MAX_FIT = 100_000  # texts; more change the directions no further
# Words of nearly every action text: they would make all of them alike.
COMMON = frozenset(
    {"a", "an", "the", "of", "in", "on", "at", "to", "and", "is", "are", "with", "person", "people", "his", "her",
     "their", "its", "that", "it", "by", "for", "as", "while", "some", "there", "one", "two", "three", "four", "each",
     "other", "another", "do", "does", "doing", "make", "makes", "making", "somebody", "someone"}
)  # fmt: skip
MIN_SHARE = 1e-4  # length of a text's projection, of 1, below which its direction is rounding noise
MAX_FILE_BYTES = 2**30


@runtime_checkable
class TextEmbedder(Protocol):
    """Anything that turns texts into unit vectors. A text it knows nothing of becomes a zero vector.

    Attributes:
      kind: its name in a bank.
      dim: width of its vectors.
      raw_share: 0 to 1, how much the captions as they are count beside their action texts (`caption_vectors`).
    """

    kind: str
    dim: int
    raw_share: float

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """One float32 row a text; a row does not depend on the other texts."""
        ...

    def save(self, folder: Path) -> None:
        """Writes into an existing folder what `check` compares, and all that loading takes if it is small."""
        ...

    def check(self, folder: Path) -> None:
        """Raises `UserError` unless `save` of an embedder that gives the same vectors wrote `folder`."""
        ...


class TfidfEmbedder:
    """Pieces of 3 to 5 letters weighted by TF-IDF, projected on their leading singular directions (LSA), unit norm.

    Attributes:
      pieces: the vocabulary in column order.
      idf: inverse document frequencies.
      directions: the projection, one row a direction; None where the vocabulary is small enough to be kept whole.
      raw_share: see `TextEmbedder`.
      common: words that are left out of every text; saved too, so that a bank's texts and its queries are read alike.
    """

    kind = "tfidf"

    def __init__(
        self,
        pieces: list[str],
        idf: Float[np.ndarray, "V"],
        directions: Float[np.ndarray, "D V"] | None,
        common: frozenset[str] = COMMON,
        raw_share: float = 0.0,
    ):
        self.common, self.raw_share = common, raw_share
        self.pieces, self.idf, self.directions = pieces, idf, directions
        self.dim = len(pieces) if directions is None else len(directions)
        self._projection = None if directions is None else np.ascontiguousarray(directions.T)
        self._columns = {piece: column for column, piece in enumerate(pieces)}

    @classmethod
    def fit(cls, texts: Sequence[str], dim: int = 256, seed: int = 0, raw_share: float = 0.0) -> TfidfEmbedder:
        """An embedder of at most `dim` dimensions for `texts`; the same arguments give the same one.

        Texts beyond `MAX_FIT` are thinned out evenly. Raises `UserError` if no text has a word in it.
        """
        # Imported where banks are built: it takes longer than all else that drawing a picture imports.
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.utils.extmath import randomized_svd

        chosen = np.linspace(0, len(texts) - 1, min(len(texts), MAX_FIT)).astype(int)
        analyzer = functools.partial(text_pieces, common=COMMON)
        vectorizer = TfidfVectorizer(
            analyzer=analyzer,  # pyright: ignore[reportArgumentType] (scikit-learn documents callables)
            sublinear_tf=True,
            max_features=MAX_PIECES,
        )
        try:
            counts = vectorizer.fit_transform([texts[i] for i in chosen])
        except ValueError as error:  # scikit-learn's "empty vocabulary"
            raise UserError("the captions hold no word to search by: give captions that say what people do") from error
        pieces = vectorizer.get_feature_names_out().tolist()
        directions = None
        if len(pieces) > dim and len(chosen) > 1:
            _, strength, directions = randomized_svd(counts, min(dim, len(chosen)), random_state=seed)
            # Texts that repeat span fewer directions; the rest would be noise.
            directions = np.asarray(directions[strength > 1e-5 * strength[0]], np.float32)
        return cls(pieces, np.asarray(vectorizer.idf_, np.float64), directions, raw_share=raw_share)

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """Unit float32 rows; zeros for a text that shares nothing with the texts of the fit."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        rows = np.stack([self._row(text) for text in texts])
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.where(norms > MIN_SHARE, rows / np.maximum(norms, MIN_SHARE), 0).astype(np.float32)

    def _row(self, text: str) -> Float[np.ndarray, "D"]:
        """A text's weights 1 + log(count) times idf, as a unit vector, projected."""
        counts = Counter(self._columns[piece] for piece in text_pieces(text, self.common) if piece in self._columns)
        columns = np.array(sorted(counts), np.int64)
        weights = (1 + np.log([counts[column] for column in columns])) * self.idf[columns]
        weights = (weights / (np.linalg.norm(weights) or 1.0)).astype(np.float32)
        if self._projection is not None:
            return (weights[:, None] * self._projection[columns]).sum(axis=0)
        row = np.zeros(self.dim, np.float32)
        row[columns] = weights
        return row

    def save(self, folder: Path) -> None:
        """Writes tfidf.json and tfidf.npz."""
        tree = {"kind": self.kind, "raw_share": self.raw_share, "common": sorted(self.common), "pieces": self.pieces}
        (folder / "tfidf.json").write_text(json.dumps(tree), encoding="utf-8")
        directions = np.zeros((0, 0), np.float32) if self.directions is None else self.directions
        np.savez(folder / "tfidf.npz", idf=self.idf, directions=directions)

    @classmethod
    def fit_captions(cls, captions: Sequence[str]) -> TfidfEmbedder:
        """An embedder for a bank of `captions`, fitted on them and on their action texts; raises as `fit` does.

        The share of the captions as they are was chosen on COCO val2017: beside action texts alone it raises recall@10
        from 0.47 to 0.55 and leaves the share of the query's verb where it is (`benchmarks/retrieval_quality.py`).
        """
        return cls.fit([*map(action_text, captions), *captions], raw_share=0.7)

    @classmethod
    def load(cls, folder: Path) -> TfidfEmbedder:
        """Reads what `save` wrote: the embedder is the same, bit for bit.

        Raises `UserError` for files that are missing, too large or do not fit together.
        """
        tree = read_json(folder / "tfidf.json", MAX_FILE_BYTES)
        names = ("pieces", "common", "raw_share")
        pieces, common, share = map(tree.get, names) if isinstance(tree, dict) else (None, None, None)
        idf, directions = read_arrays(folder / "tfidf.npz", ("idf", "directions"), MAX_FILE_BYTES)
        if not (_is_texts(pieces) and _is_texts(common) and pieces and len(set(pieces)) == len(pieces)):
            raise UserError(f"{folder} holds an embedder without proper words (they do not fit): build the bank again")
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise UserError(f"{folder} holds an embedder of another form (no raw_share): build the bank again")
        if not (idf.shape == (len(pieces),) and idf.dtype == np.float64 and np.isfinite(idf).all()):
            raise UserError(f"{folder} holds an embedder whose pieces and weights do not fit: build the bank again")
        if directions.size == 0:
            return cls(pieces, idf, None, frozenset(common), float(share))
        if directions.ndim != 2 or directions.shape[1] != len(pieces) or directions.dtype != np.float32:
            raise UserError(f"{folder} holds an embedder whose pieces and weights do not fit: build the bank again")
        return cls(pieces, idf, directions, frozenset(common), float(share))

    def check(self, folder: Path) -> None:
        """Raises `UserError` unless `folder` holds this embedder."""
        if TfidfEmbedder.load(folder)._state() != self._state():
            raise UserError("the pose bank was built with another embedder: give the one it was built with")

    def _state(self) -> tuple:
        directions = b"" if self.directions is None else self.directions.tobytes()
        return self.pieces, self.common, self.raw_share, self.idf.tobytes(), directions


def text_pieces(text: str, common: frozenset[str] = COMMON) -> list[str]:
    """The pieces of 3, 4 and 5 letters of each word but the `common` ones, in lower case.

    A space stands before and behind a word, so its beginning and its end are pieces of their own; a word that is
    shorter than a piece is that piece, once.
    """
    pieces = []
    for word in text.lower().split():
        if word in common:
            continue
        word = f" {word} "
        for length in PIECE_LENGTHS:
            pieces += [word[i : i + length] for i in range(max(len(word) - length, 0) + 1)]
            if len(word) <= length:
                break
    return pieces


def _is_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
