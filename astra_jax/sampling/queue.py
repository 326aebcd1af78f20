"""Requests prepared by threads while the device draws those before them, handed on in full batches of one shape."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request
from astra_jax.sampling.preparation import Ready
from astra_jax.sampling.settings import Settings
from astra_jax.sampling.shapes import Shape, choose_shapes, shape_of

THREADS = 4  # that read photos, retrieve and draw poses


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request of a run: its number there, its settings, and which of its pictures are to be drawn."""

    number: int
    request: Request
    settings: Settings
    indices: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Pictures to draw together: (number of the request, the request prepared, index of the picture)."""

    shape: Shape
    jobs: Sequence[tuple[int, Ready, int]]
    rows: int  # of the program that draws them


def batches(
    asked: Sequence[Asked],
    prepare: Callable[[Request, Settings, Shape], Ready],
    rows: Callable[[int], int],
    batch_size: int,
    refused: Callable[[int, UserError], None],
) -> Iterator[Batch]:
    """The batches of a run, those of one shape one after the other.

    Args:
        asked: the run's requests.
        prepare: what is called for each, by threads.
        rows: pictures of one shape -> rows of the batches that they are drawn in.
        batch_size: pictures drawn together.
        refused: told of requests that turn out wrong; the others go on. It may raise.
    """
    smallest = [shape_of(one.request, one.settings) for one in asked]
    shapes = choose_shapes(smallest, [len(one.indices) for one in asked], batch_size)
    shape_by_number = {one.number: shape for one, shape in zip(asked, shapes, strict=True)}
    # Requests keep their order within a shape.
    order = sorted(asked, key=lambda one: (shape_by_number[one.number], one.number))

    def work(one: Asked) -> Ready:
        return prepare(one.request, one.settings, shape_by_number[one.number])

    pictures: Counter[Shape] = Counter()
    for one, shape in zip(asked, shapes, strict=True):
        pictures[shape] += len(one.indices)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="prepare") as pool:
        try:
            prepared = _ahead(pool, order, work, 2 * batch_size)
            for shape, group in itertools.groupby(prepared, key=lambda pair: shape_by_number[pair[0].number]):
                size, jobs = rows(pictures[shape]), _jobs(group, refused)
                while batch := list(itertools.islice(jobs, size)):
                    yield Batch(shape, batch, size)
        finally:
            pool.shutdown(cancel_futures=True)


def _jobs(
    group: Iterable[tuple[Asked, Ready | UserError]], refused: Callable[[int, UserError], None]
) -> Iterator[tuple[int, Ready, int]]:
    for one, ready in group:
        if isinstance(ready, UserError):
            refused(one.number, ready)
            continue
        for index in one.indices:
            yield one.number, ready, index


def _ahead(
    pool: ThreadPoolExecutor, items: Iterable[Asked], work: Callable[[Asked], Ready], depth: int
) -> Iterator[tuple[Asked, Ready | UserError]]:
    """`work` of each item in order, begun up to `depth` items ahead; a `UserError` is handed on in its place."""
    waiting: deque[tuple[Asked, Future[Any]]] = deque()
    rest = iter(items)
    for item in itertools.islice(rest, depth):
        waiting.append((item, pool.submit(work, item)))
    while waiting:
        item, future = waiting.popleft()
        error = future.exception()
        if isinstance(error, UserError):
            yield item, error
        else:
            yield item, future.result()
        for following in itertools.islice(rest, 1):
            waiting.append((following, pool.submit(work, following)))
