"""How good retrieved poses are with a tenth, a third and all of a bank.

    python -m benchmarks.bank_size                      # the built-in bank, scenes of the built-in test split
    python -m benchmarks.bank_size --pictures 120       # and pictures drawn with them, on the benchmark puppets
    python -m benchmarks.bank_size --data DIR           # COCO val2017 with V-COCO's verbs

Queries have a true scene. Built-in: prompts of test scenes, whose actions are known by name; no pose of them is in the
bank. COCO: a caption of every picture that the curation keeps and that has V-COCO's verbs, the picture itself left out;
DIR is that of `benchmarks.retrieval_quality`, and so is the share of verbs. Banks of each share are random draws of
entries, with several seeds; the embedder is always that of the whole bank, so that nothing but the poses is fewer.

    action   share of a scene's actions that the best result has (built-in), or the five best have one of the query's
             telling verbs (COCO); 0 where nobody is found
    oks_box  mean OKS of the true people with those of the best result, box on box, best assignment: the pose's shape

`chance` is a random entry with the right number of people; `best` is the entry of the whole bank whose shape is
nearest, which no words tell. Intervals are over queries, `seeds` are means of the draws. `pictures` are the headline
figures of `evaluate.py --track rag` with the first draw of each share in the place of the bank. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Float
from tqdm import tqdm

from astra_jax.cli import guard
from astra_jax.errors import UserError
from astra_jax.evaluation.figures import Figure, mean_figure
from astra_jax.evaluation.result import MODEL, read_result
from astra_jax.pose.curation import curate
from astra_jax.pose.database import PoseBank, PoseEntry
from astra_jax.pose.embedding import TextEmbedder, TfidfEmbedder
from astra_jax.pose.oks import areas, assigned, box_oks_matrix
from astra_jax.pose.retrieval import Retrieved, Retriever
from astra_jax.pose.sources import read_pictures
from astra_jax.pose.verbs import VERBS
from benchmarks.retrieval_quality import picture_verbs
from data.puppets.examples import make_example

SHARES = (0.1, 0.3, 1.0)
CANVAS = (512, 512)
TOP = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Query:
    """Words, the scene they are of, and what its people do; `own` is the entry of the scene itself."""

    text: str
    people: Float[np.ndarray, "P 17 3"]
    actions: Counter[str]
    own: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Entries, queries, and what an answer's actions score; `actions` gets the results, best first."""

    name: str
    entries: Sequence[PoseEntry]
    embedder: TextEmbedder
    queries: Sequence[Query]
    action: Callable[[Query, Sequence[Retrieved]], float]


def built_in(scenes: int) -> Problem:
    """Scenes of the test split against the built-in bank."""
    bank = PoseBank.load(Path("data/pose_library/bank"))
    queries = []
    for index in tqdm(range(scenes), desc="scenes", disable=None):
        example = make_example(0, "test", index)
        people = np.stack([subject.keypoints for subject in example.subjects])
        queries.append(Query(example.prompt, people, Counter(example.action.split("+"))))

    def action(query: Query, results: Sequence[Retrieved]) -> float:
        had = Counter(name.strip() for name in results[0].action.split("+"))
        return (query.actions & had).total() / query.actions.total()

    return Problem("built-in", bank.entries, bank.embedder, queries, action)


def coco(data: Path, scenes: int) -> Problem:
    """Captions of COCO val2017 against the curated pictures."""
    pictures = list(read_pictures(data / "coco_kpts_val2017.npz", data / "captions_val2017.json"))
    entries, _ = curate([picture for picture in pictures if picture.captions], "COCO 2017", "CC BY 4.0")
    flags = picture_verbs(data, pictures)
    verbs = {
        str(picture.id): Counter(VERBS[i] for i in np.flatnonzero(row))
        for picture, row in zip(pictures, flags, strict=True)
    }
    of = {entry.id: verbs[entry.id.rpartition("-")[2]] for entry in entries}
    queries = [
        Query(entry.captions[0], entry.people[:, :17], of[entry.id], entry.id) for entry in entries if of[entry.id]
    ]
    if len(queries) < 2:
        raise UserError(f"{data} has fewer than two pictures with captions and verbs")
    embedder = TfidfEmbedder.fit_captions([text for entry in entries for text in entry.captions])

    def action(query: Query, results: Sequence[Retrieved]) -> float:
        known = [verbs for one in results if (verbs := sum((of[part] for part in one.parts), Counter[str]()))]
        return float(np.mean([bool(query.actions & verbs) for verbs in known[:TOP]])) if known else 0.0

    return Problem("coco", entries, embedder, queries[:scenes], action)


def smaller(problem: Problem, share: float, seed: int) -> PoseBank:
    """A bank of a random share of the entries."""
    rng = np.random.default_rng(seed)
    count = max(round(share * len(problem.entries)), 1)
    kept = sorted(rng.choice(len(problem.entries), size=count, replace=False).tolist())
    return PoseBank.build([problem.entries[i] for i in kept], problem.embedder, "exact")


def answers(problem: Problem, share: float, seed: int) -> dict[str, list[float]]:
    """Every query's values with a random share of the bank."""
    bank = smaller(problem, share, seed)
    retriever, values = Retriever(bank), {"action": [], "oks_box": []}
    asked = [query for query in problem.queries if len(query.people) in bank.partitions]
    found = dict(
        zip(
            map(id, asked),
            retriever.retrieve([one.text for one in asked], [len(one.people) for one in asked], CANVAS, 4 * TOP),
            strict=True,
        )
    )
    for query in problem.queries:
        results = [one for one in found.get(id(query), ()) if query.own not in one.parts]
        values["action"].append(problem.action(query, results) if results else 0.0)
        values["oks_box"].append(shape(query, results[0].people) if results else 0.0)
    return values


def shape(query: Query, people: Float[np.ndarray, "Q J 3"]) -> float:
    """Mean over the true people of their OKS with somebody else's shape each, box on box."""
    return float(assigned(box_oks_matrix(query.people, areas(query.people), people[:, :17])).mean())


def pictures(problem: Problem, share: float, scenes: int) -> dict[str, list[float]]:
    """The headline figures of `puppets` with poses of a share of the bank, as evaluate.py has them."""
    with tempfile.TemporaryDirectory() as folder:
        bank, out = Path(folder) / "bank", Path(folder) / "out"
        smaller(problem, share, 0).save(bank)
        command = [sys.executable, "evaluate.py", "--track=rag", f"--pose_bank={bank}", f"--scenes={scenes}"]
        subprocess.run([*command, "--nocontrols", f"--out={out}"], check=True, stdout=subprocess.DEVNULL)
        result = read_result(out)
    return {name: _plain(result.figures[MODEL][name]) for name in result.headline}


def limits(problem: Problem) -> dict[str, list[float]]:
    """Every query's shape with a random entry of the right number of people, and with the nearest of all."""
    rng = np.random.default_rng(0)
    chance, best = [], []
    for query in tqdm(problem.queries, desc="limits", disable=None):
        fitting = [
            entry for entry in problem.entries if len(entry.people) == len(query.people) and entry.id != query.own
        ]
        if not fitting:
            continue
        people = np.concatenate([entry.people[:, :17] for entry in fitting])
        scores = box_oks_matrix(query.people, areas(query.people), people)
        each = np.split(scores, len(fitting), axis=1)
        shapes = [float(assigned(one).mean()) for one in each]
        chance.append(shapes[rng.integers(len(shapes))])
        best.append(max(shapes))
    return {"chance": chance, "best": best}


def measure(problem: Problem, shares: Sequence[float], seeds: int, scenes: int = 0) -> dict:
    """All figures of one problem; those of pictures where there are `scenes` to draw."""
    rows = []
    for share in shares:
        draws = [answers(problem, share, seed) for seed in range(seeds if share < 1 else 1)]
        row: dict = {"share": share, "entries": max(round(share * len(problem.entries)), 1)}
        for name in draws[0]:
            groups = list(zip(*(draw[name] for draw in draws), strict=True))  # a query's values go together
            row[name] = _plain(mean_figure(groups))
            row[f"{name}_seeds"] = [round(float(np.mean(draw[name])), 4) for draw in draws]
        if scenes:
            row["pictures"] = pictures(problem, share, scenes)
        rows.append(row)
        print(json.dumps(row), flush=True)
    ends = {f"oks_box_{name}": _plain(mean_figure([[v] for v in values])) for name, values in limits(problem).items()}
    return {"bank": problem.name, "queries": len(problem.queries), **ends, "shares": rows}


def _plain(figure: Figure) -> list[float]:
    return [round(value, 4) for value in (figure.value, figure.low, figure.high)]


def run(argv: Sequence[str] | None = None) -> None:
    """Prints a line for each share, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with COCO's and V-COCO's files; default: the built-in bank")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="draws of each share (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=500, help="at most so many (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=0, help="scenes to draw with each share (default: none)")
    arguments = parser.parse_args(argv)
    if min(arguments.seeds, arguments.queries) < 1 or not all(0 < share <= 1 for share in arguments.shares):
        raise UserError("--seeds and --queries must be at least 1, --shares above 0 and at most 1")
    if arguments.pictures < 0 or (arguments.pictures and arguments.data):
        raise UserError("--pictures must not be negative, and the scenes it draws are of the built-in bank: no --data")
    logging.set_verbosity(logging.ERROR)  # in small banks many words are unknown
    problem = coco(arguments.data, arguments.queries) if arguments.data else built_in(arguments.queries)
    print(json.dumps(measure(problem, arguments.shares, arguments.seeds, arguments.pictures)))


if __name__ == "__main__":
    guard(run)
