"""Requests drawn into a folder: what is there is found, what is left is drawn, what is wrong costs nothing else."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import time
from collections.abc import Sequence

import jax
from jax.experimental import multihost_utils

from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request, named
from astra_jax.pipeline import AstraPipeline, Ready
from astra_jax.results import SHEET_COLUMNS, SHEET_ROWS, ResultWriter
from astra_jax.sampling.identity import picture_key
from astra_jax.sampling.settings import Settings, settings_of


@dataclasses.dataclass
class DrawingRun:
    """The requests of a run: which of their pictures are there, and what is done about the others."""

    pipe: AstraPipeline
    run: Settings
    writer: ResultWriter
    batch_size: int
    alone: bool = False  # a single request's mistake is the run's
    wrong: int = 0

    def complete(self, asked: Sequence[Request | UserError]) -> int:
        """Draws what is not there yet, this process its part of it; returns how many pictures that were.

        With several processes it waits for all of them, and the first one puts their manifests together.
        """
        self.choose(asked)
        drawn = self.draw()
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("pictures")
            if jax.process_index() == 0:
                self.writer.join()
        return drawn

    def choose(self, asked: Sequence[Request | UserError]) -> None:
        """Finds the pictures that are left to draw."""
        self.requests: list[Request] = []
        self.keys: list[list[str]] = []
        left: set[str] = set()
        self.indices: list[list[int]] = []
        for number, item in enumerate(asked):
            mine = number % jax.process_count() == jax.process_index()
            try:
                if isinstance(item, UserError):
                    raise item
                keys = self._keys(item)
            except UserError as error:
                if mine:
                    self._refuse(error)
                continue
            # The same picture asked for twice is drawn once.
            new = [index for index, key in enumerate(keys) if mine and key not in left and not self.writer.find(key)]
            left.update(keys[index] for index in new)
            self.requests.append(item)
            self.keys.append(keys)
            self.indices.append(new)
        there = sum(self.writer.find(key) is not None for keys in self.keys for key in keys)
        if there:
            print(f"{there} of {sum(map(len, self.keys))} pictures are there already")

    def _keys(self, request: Request) -> list[str]:
        settings, pipe = settings_of(request, self.run, self.pipe.config), self.pipe
        with named(request):
            return [
                picture_key(request, index, settings, pipe.weights, pipe.bank_fingerprint)
                for index in range(request.num_images)
            ]

    def _refuse(self, error: UserError) -> None:
        if self.alone:
            raise error
        self.wrong += 1
        print(f"error: {error}", file=sys.stderr, flush=True)

    def draw(self) -> int:
        """Draws what is left, each picture on disk as soon as it is there; returns how many."""
        total = sum(map(len, self.indices))
        if not total:
            return 0
        before, noted = time.monotonic(), set()
        results = self.pipe.draw(
            self.requests, self.run, self.batch_size, self.indices, lambda number, error: self._refuse(error)
        )
        done = 0
        for done, result in enumerate(results, 1):
            name = result.ready.request.name
            if result.number not in noted:
                noted.add(result.number)
                for note in result.ready.notes:
                    print(f"{name}: {note}")
            path = self.writer.add(result, self.keys[result.number][result.index])
            seconds = (time.monotonic() - before) / done
            left = f", {_duration(seconds * (total - done))} left" if done < total else ""
            print(f"{path}  {done}/{total}  {seconds:.2g} s a picture{left}", flush=True)
        programs = self.pipe.executables
        print(f"{programs.count} compiled programs, {programs.loaded} of them traced by an earlier run")
        return done

    def files(self) -> dict[tuple[str, int], pathlib.Path]:
        """The pictures that are there now, by their request's name and their number."""
        return {
            (request.name, index): path
            for request, keys in zip(self.requests, self.keys, strict=True)
            for index, key in enumerate(keys)
            if (path := self.writer.find(key))
        }

    def sheet(self) -> pathlib.Path | None:
        """Shows the pictures of the first requests, whichever run drew them."""
        rows: list[tuple[Ready, list[pathlib.Path]]] = []
        for request, keys in zip(self.requests, self.keys, strict=True):
            files = [path for key in keys[:SHEET_COLUMNS] if (path := self.writer.find(key))]
            if files and len(rows) < SHEET_ROWS:
                rows.append((self.pipe.prepare(request, self.run), files))
        return self.writer.finish(rows) if rows else None


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
