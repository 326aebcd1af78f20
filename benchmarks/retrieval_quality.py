"""How well scenes are found by captions, on COCO's captions with V-COCO's verbs:

    python -m benchmarks.retrieval_quality --data DIR --embedder tfidf
    python -m benchmarks.retrieval_quality --data DIR --embedder MINILM_DIR --cache /tmp/vectors.npz

DIR has `captions_val2017.json`, `coco_kpts_val2017.npz` and `person_actions_vcoco.jsonl`. Every caption of a picture
with people is a query against the pictures' other captions. The ranking's constants were chosen on one half of the
queries; the other half is reported, whose figures were in view meanwhile. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from astra_jax.cli import guard
from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.curation import curate
from astra_jax.pose.database import Partition, PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.embedding import TextEmbedder, TfidfEmbedder
from astra_jax.pose.exact_index import ExactIndex
from astra_jax.pose.people_words import count_people
from astra_jax.pose.pictures import Picture
from astra_jax.pose.retrieval import CANDIDATES, Retriever, similarity
from astra_jax.pose.sources import read_pictures
from astra_jax.pose.vcoco import read_actions
from astra_jax.pose.verbs import VERBS

RANKS = (1, 5, 10)
TOP = 5
# Verbs that nearly every picture has tell nothing.
COMMON_VERBS = frozenset({"look", "hold", "stand", "smile", "carry", "point"})
CHUNK = 256
CANVAS = (512, 512)


class Remembering:
    """A `TextEmbedder` that embeds each text once and keeps the vectors in a file, if one is named."""

    def __init__(self, embedder: TextEmbedder, path: Path | None):
        self.kind, self.dim, self.raw_share = embedder.kind, embedder.dim, embedder.raw_share
        self._embedder, self._path, self._known = embedder, path, {}
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                self._known = dict(zip(arrays["texts"].tolist(), arrays["vectors"], strict=True))

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """See `TextEmbedder`."""
        if new := sorted(set(texts) - self._known.keys()):
            self._known |= dict(zip(new, self._embedder(new), strict=True))
            if self._path is not None:
                np.savez(self._path, texts=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        return np.stack([self._known[text] for text in texts])

    def save(self, folder: Path) -> None:
        """See `TextEmbedder`."""
        self._embedder.save(folder)

    def check(self, folder: Path) -> None:
        """See `TextEmbedder`."""
        self._embedder.check(folder)


def measure(data: Path, embedder: TextEmbedder | None, limit: int | None, cache: Path | None = None) -> dict:
    """All figures; `embedder` None fits the built-in one, `limit` is a number of queries."""
    pictures = read_pictures(data / "coco_kpts_val2017.npz", data / "captions_val2017.json")
    pictures = [picture for picture in pictures if picture.captions]
    if len(pictures) < 2:
        raise UserError(f"{data} has fewer than two pictures with people and captions: nothing can be told apart")
    texts = [text for picture in pictures for text in picture.captions]
    owner = np.repeat(np.arange(len(pictures)), [len(picture.captions) for picture in pictures])
    embedder = Remembering(embedder or TfidfEmbedder.fit_captions(texts), cache)
    queries = np.random.default_rng(0).permutation(len(texts))[len(texts) // 2 :][:limit]
    vectors = caption_vectors(embedder, texts)
    whole = partition(vectors, owner)
    plain = partition(embedder(texts), owner)
    people = np.array([len(picture.people) for picture in pictures])
    return {
        "embedder": embedder.kind,
        "pictures": len(pictures),
        "captions": len(texts),
        "queries": len(queries),
        "recall": recall(whole, owner, queries, ranked),
        "recall_raw_cosine": recall(plain, owner, queries, nearest),
        "recall_chance": {f"at_{k}": round(min(k / len(pictures), 1), 5) for k in RANKS},
        **verb_share(vectors, owner, queries, picture_verbs(data, pictures)),
        **numbers([texts[i] for i in queries], people[owner[queries]]),
        **people_filter(pictures, embedder, [texts[i] for i in queries]),
    }


def partition(vectors: Float[np.ndarray, "R D"], owner: Int[np.ndarray, "R"]) -> Partition:
    """All pictures in one index, whatever their number of people."""
    first = np.searchsorted(owner, owner)
    return Partition(ExactIndex(vectors), vectors, owner, np.arange(len(owner)) - first, int(np.bincount(owner).max()))


Order = Callable[[Partition, np.ndarray, list, int], np.ndarray]


def nearest(where: Partition, query: np.ndarray, near: list, held_out: int) -> Int[np.ndarray, "N"]:
    """Entries by their best caption alone."""
    return np.array([entry for _, entry, _ in near])


def ranked(where: Partition, query: np.ndarray, near: list, held_out: int) -> Int[np.ndarray, "N"]:
    """Entries as `Retriever` ranks them where quality and aspect ratio are equal."""
    return nearest(where, query, near, held_out)[np.argsort(-similarity(where, query, near, held_out), kind="stable")]


def found(where: Partition, rows: Int[np.ndarray, "B"], order: Order) -> list[Int[np.ndarray, "N"]]:
    """The entries for each query, itself a row of `where` that is left out."""
    out = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        near = where.search(where.vectors[chunk], CANDIDATES, held_out=chunk)
        out += [order(where, where.vectors[row], one, int(row)) for row, one in zip(chunk, near, strict=True)]
    return out


def recall(where: Partition, owner: np.ndarray, rows: np.ndarray, order: Order) -> dict[str, float]:
    """Share of the queries whose own picture is among the first k."""
    entries = found(where, rows, order)
    hits = {k: [owner[row] in one[:k] for row, one in zip(rows, entries, strict=True)] for k in RANKS}
    return {f"at_{k}": round(float(np.mean(hit)), 4) for k, hit in hits.items()}


def verb_share(
    vectors: Float[np.ndarray, "R D"], owner: np.ndarray, rows: np.ndarray, verbs: Bool[np.ndarray, "P V"]
) -> dict:
    """Share of the five nearest other pictures that have a telling verb of the query's picture, and of all pictures."""
    known = np.flatnonzero(verbs.any(axis=1))
    if len(known) < 2:
        return {}
    inside = np.flatnonzero(np.isin(owner, known))
    renumbered = np.searchsorted(known, owner[inside])
    where, verbs = partition(vectors[inside], renumbered), verbs[known]
    asked = np.flatnonzero(np.isin(inside, rows))
    shares = []
    for row, entries in zip(asked, found(where, asked, ranked), strict=True):
        others = entries[entries != renumbered[row]][:TOP]
        shares.append((verbs[others] & verbs[renumbered[row]]).any(axis=1).mean())
    common = (verbs[:, None] & verbs[None]).any(axis=2)
    chance = (common.sum() - len(common)) / (len(common) * (len(common) - 1))
    return {
        "verb_pictures": len(known),
        "verb_queries": len(asked),
        "verb_share_top_5": round(float(np.mean(shares)), 4) if shares else None,
        "verb_share_chance": round(float(chance), 4),
    }


def picture_verbs(data: Path, pictures: Sequence[Picture]) -> Bool[np.ndarray, "P V"]:
    """Which telling verbs the people of each picture have; all False where nobody is annotated."""
    actions = read_actions(data / "person_actions_vcoco.jsonl")
    verbs = np.zeros((len(pictures), len(VERBS)), bool)
    for i, picture in enumerate(pictures):
        for number in picture.numbers.tolist():
            for verb, _, _ in actions.get((picture.id, number), ()):
                verbs[i, VERBS.index(verb)] = True
    return verbs & [verb not in COMMON_VERBS for verb in VERBS]


def numbers(texts: Sequence[str], people: Int[np.ndarray, "B"]) -> dict:
    """How often the number a caption says is the number of annotated people; COCO leaves small people unlabelled."""
    said = np.array([count_people(text) or 0 for text in texts])
    sure = said > 0
    return {"captions_with_number": int(sure.sum()), "number_annotated": round(float((said == people)[sure].mean()), 4)}


def people_filter(pictures: Sequence[Picture], embedder: TextEmbedder, texts: Sequence[str]) -> dict:
    """Share of a curated bank's results with exactly the people the prompt says."""
    entries, _ = curate(pictures, "COCO 2017", "CC BY 4.0")
    if not entries:
        return {}
    bank = PoseBank.build(entries, embedder, "exact")
    asked = [(text, n) for text in texts if (n := count_people(text)) and n in bank.partitions]
    results = Retriever(bank).retrieve([text for text, _ in asked], [n for _, n in asked], CANVAS, k=TOP)
    right = [len(one.people) == n for (_, n), row in zip(asked, results, strict=True) for one in row]
    return {"bank": len(entries), "people_prompts": len(asked), "people_right": round(float(np.mean(right)), 4)}


def run(argv: Sequence[str] | None = None) -> None:
    """Parses the arguments and prints the figures; raises `UserError` for files that are missing or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with COCO's and V-COCO's files")
    parser.add_argument("--embedder", default=BUILT_IN, help="tfidf, or a text encoder's folder")
    parser.add_argument("--queries", type=int, help="take so many of the captions; default: half of them")
    parser.add_argument("--cache", type=Path, help="an npz that keeps the vectors of one embedder between runs")
    arguments = parser.parse_args(argv)
    if arguments.queries is not None and arguments.queries < 1:
        raise UserError(f"--queries must be at least 1, not {arguments.queries}")
    figures = measure(arguments.data, open_embedder(arguments.embedder), arguments.queries, arguments.cache)
    print(json.dumps(figures))


if __name__ == "__main__":
    guard(run)
