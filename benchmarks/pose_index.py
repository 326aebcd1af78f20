"""How fast, how exact and how large the indexes of pose banks are, at 150,000 and a million vectors.

    python -m benchmarks.pose_index --data DIR
    python -m benchmarks.pose_index --data DIR --embedder MINILM_DIR --points 150000

DIR has `captions_val2017.json`. The vectors are those of `caption_vectors`. As far as there are distinct texts they are
of real ones: COCO's captions, then captions put together of the beginning of one and the end of another of the same
picture. Beyond that they are real vectors plus noise as long as the median distance of a real vector from its nearest
neighbour, scaled to length 1. Queries are captions of 1,024 pictures, which are no points and part of none.

Every size runs in a process of its own. Latencies are medians; recall is against the exact search; `extended` is an
index of nine tenths of the points to which the last tenth was added. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from astra_jax.cli import guard
from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.pose.embedding import TfidfEmbedder
from astra_jax.pose.exact_index import ExactIndex
from astra_jax.pose.files import read_json
from astra_jax.pose.scann_index import ScannIndex

QUERIES, BATCH = 1024, 128
FEW, MANY = 10, 250  # neighbours; a bank's search asks for the second
CUTS = (1 / 2, 1 / 3, 2 / 3)  # where captions are cut to be put together
REPEATS = 20


def texts(captions: dict[int, list[str]], queries: int) -> tuple[list[str], list[str]]:
    """Distinct points, captions first, and the captions of `queries` pictures that are no point."""
    rng = np.random.default_rng(0)
    asked = set(rng.choice(sorted(captions), min(queries, len(captions) // 2), replace=False).tolist())
    known = {picture: rows[1:] if picture in asked else rows for picture, rows in captions.items()}
    mixed = []
    for rows in known.values():
        words = [row.split() for row in rows]
        for cut, (a, b) in itertools.product(CUTS, itertools.permutations(words, 2)):
            mixed.append(" ".join(a[: int(len(a) * cut)] + b[int(len(b) * cut) :]))
    mixed = [mixed[i] for i in rng.permutation(len(mixed))]
    real = dict.fromkeys(itertools.chain(*known.values(), mixed))
    held_out = [captions[picture][0] for picture in sorted(asked)]
    return [text for text in real if text not in set(held_out)], held_out


def spread(vectors: Float[np.ndarray, "N D"]) -> float:
    """Median distance of a vector from its nearest neighbour."""
    some = vectors[:: max(len(vectors) // 2000, 1)]
    scores, _ = ExactIndex(vectors).search(some, 2)
    return float(np.median(np.sqrt(np.maximum(2 - 2 * scores[:, 1], 0))))


def points(real: Float[np.ndarray, "N D"], count: int, noise: float) -> Float[np.ndarray, "count D"]:
    """`count` vectors: the real ones, then noisy ones."""
    rng, dim = np.random.default_rng(1), real.shape[1]
    made = np.empty((count, dim), np.float32)
    made[: len(real)] = real[:count]
    for start in range(len(real), count, len(real)):
        rows = made[start : start + len(real)]
        rows[:] = real[: len(rows)] + rng.standard_normal(rows.shape, dtype=np.float32) * noise / dim**0.5
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def latency(call: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of a call, the first left out."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def recall(rows: Int[np.ndarray, "B K"], exact: Int[np.ndarray, "B K"], k: int) -> float:
    """Share of the true `k` nearest that are among the `k` found."""
    return float(np.mean([len(set(a[:k]) & set(b[:k])) / k for a, b in zip(rows, exact, strict=True)]))


def peak() -> int:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def measure(path: str, count: int, noise: float, repeats: int) -> dict:
    """All figures of one number of points; `path` holds the real vectors and the queries."""
    with np.load(path, allow_pickle=False) as arrays:
        real, queries = arrays["real"], arrays["queries"]
    vectors = points(real, count, noise)
    one = [queries[i : i + 1] for i in range(min(repeats, len(queries)))]
    batch = queries[:BATCH]
    before = peak()
    start = time.perf_counter()
    scann = ScannIndex.build(vectors)
    built, memory = time.perf_counter() - start, peak() - before
    exact = ExactIndex(vectors)
    many = min(MANY, count)
    _, truth = exact.search(queries, many)
    _, found = scann.search(queries, many)
    _, few = scann.search(queries, FEW)
    found_of = {FEW: few, many: found}
    figures = {
        "points": count,
        "real": min(len(real), count),
        "width": real.shape[1],
        "build_seconds": round(built, 1),
        "build_memory_mib": memory,
        "vectors_mib": vectors.nbytes >> 20,
        **{f"recall_at_{k}": round(recall(rows, truth, k), 4) for k, rows in found_of.items()},
    }
    for name, rows, turns in (("batch_1", one, repeats), (f"batch_{BATCH}", [batch], max(repeats // 4, 3))):
        ms = {}
        for kind, index in (("scann", scann), ("exact", exact)):
            turn = itertools.cycle(rows)
            ms[kind] = latency(lambda index=index, turn=turn: index.search(next(turn), FEW), turns)
        figures |= {f"{kind}_{name}_ms": round(value, 3) for kind, value in ms.items()}
        figures[f"{name}_speedup"] = round(ms["exact"] / ms["scann"], 1)
    return figures | {"extended": grown(vectors, queries, truth)}


def grown(vectors: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> dict:
    """What an index of nine tenths finds after the last tenth was added."""
    base = ScannIndex.build(vectors[: len(vectors) * 9 // 10])
    start = time.perf_counter()
    index = base.extended(vectors)
    seconds = time.perf_counter() - start
    _, rows = index.search(queries, FEW)
    return {"seconds": round(seconds, 2), f"recall_at_{FEW}": round(recall(rows, truth, FEW), 4)}


def run(argv: Sequence[str] | None = None) -> None:
    """Parses the arguments and prints the figures; raises `UserError` for files that are missing or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with COCO's captions")
    parser.add_argument("--embedder", default=BUILT_IN, help="tfidf, or a text encoder's folder")
    parser.add_argument("--points", type=int, nargs="+", default=[150_000, 1_000_000], help="(default: %(default)s)")
    parser.add_argument("--real", type=int, default=150_000, help="at most so many are of texts (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each latency (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("outputs/pose_index"), help="keeps the vectors between runs")
    arguments = parser.parse_args(argv)
    if min(arguments.points) < 2 * MANY or arguments.repeats < 1:
        raise UserError(f"--points must be at least {2 * MANY}, --repeats at least 1")
    captions: dict[int, list[str]] = {}
    for row in read_json(arguments.data / "captions_val2017.json", 2**30)["annotations"]:
        captions.setdefault(row["image_id"], []).append(row["caption"])
    known, asked = texts(captions, QUERIES)
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / f"{Path(arguments.embedder).resolve().name}_{arguments.real}.npz"
    if not path.exists():
        embedder = open_embedder(arguments.embedder) or TfidfEmbedder.fit_captions(known[: len(captions) * 5])
        np.savez(
            path, real=caption_vectors(embedder, known[: arguments.real]), queries=caption_vectors(embedder, asked)
        )
    with np.load(path, allow_pickle=False) as arrays:
        noise = spread(arrays["real"])
    figures = []
    for count in arguments.points:
        # A process of its own: its peak of memory is that size's alone.
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            figures.append(pool.submit(measure, str(path), count, noise, arguments.repeats).result())
        print(json.dumps(figures[-1], indent=1), flush=True)
    print(json.dumps({"embedder": arguments.embedder, "noise": round(noise, 4), "sizes": figures}))


if __name__ == "__main__":
    guard(run)
