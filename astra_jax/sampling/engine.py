"""Draws batches of prepared requests on one device or on a mesh of them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, UInt8

from astra_jax.config import Config
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.inputs.tokenizer import TextTokenizer
from astra_jax.inputs.transforms import stack
from astra_jax.models.astra import Astra
from astra_jax.models.conditions import Conditions
from astra_jax.params import Params
from astra_jax.sampling.executables import Executables
from astra_jax.sampling.preparation import Ready, without_conditions
from astra_jax.sampling.programs import Guiding, Kind, begin, conditions_of, decode, encode, integrate
from astra_jax.sampling.shapes import Shape
from astra_jax.training.mesh import BATCH_AXES, batch_sharding

Job = tuple[Ready, int]  # a request and which of its pictures


class Engine:
    """A model on its devices. With a `mesh`, batches are split over its data and fsdp axes."""

    def __init__(
        self, config: Config, params: Params, tokenizer: TextTokenizer, mesh: Mesh | None, executables: Executables
    ):
        self.config, self.model, self.tokenizer = config, Astra(config.model), tokenizer
        self.mesh, self.executables = mesh, executables
        self._parts = {
            "velocity": {name: tree for name, tree in params.items() if name in ("transformer", "lora")},
            "pictures": {"autoencoder": params["autoencoder"]},
            "all": params,
        }
        self._nothing: dict[tuple[Kind, int], Conditions] = {}

    def rows(self, pictures: int, batch_size: int) -> int:
        """How many pictures a batch holds where so many are asked for: few sizes, each divides over the mesh."""
        wanted = min(batch_size, 1 << (pictures - 1).bit_length())
        shards = 1 if self.mesh is None else math.prod(self.mesh.shape[axis] for axis in BATCH_AXES)
        return -(-wanted // shards) * shards

    def draw(
        self, jobs: Sequence[Job], shape: Shape, rows: int, listener: int | None = None
    ) -> UInt8[Array, "B H W 3"]:
        """Starts drawing at most `rows` pictures and returns before they are there; the rows behind them are padding.

        All requests are prepared for `shape`; the solver, and whether there is a first-block cache, are those of the
        first. `listener` is the number of a callback (`programs.listen`).
        """
        padded = [*jobs, *[jobs[-1]] * (rows - len(jobs))]
        settings = [ready.settings for ready, _ in padded]
        cell = self.model.downsampling
        height, width = shape.height // cell, shape.width // cell
        kind = Kind(self.model, height, width)
        times = schedule(shape.steps, shift_of(kind.tokens, self.config.sample.shift))[shape.skipped :]

        def of(name: str) -> Any:
            return self._put(np.array([getattr(one, name) for one in settings], np.float32))

        seeds = self._put(np.array([ready.request.seed for ready, _ in padded], np.uint32))
        indices = self._put(np.array([index for _, index in padded], np.uint32))
        inputs = jax.tree.map(self._put, stack([ready.fields for ready, _ in padded]))
        with self._on_mesh():
            x, fields = self._call(encode, kind, "all", inputs, of("dsm_scale"), seeds, indices)
            conditions = conditions_of(fields)
            if shape.skipped:
                start = self._put(np.stack([ready.start for ready, _ in padded if ready.start is not None]))
                x = self._call(begin, kind, "pictures", x, start, times)
            guiding = Guiding(of("cfg_scale"), of("pose_start"), of("pose_end"), of("cache_threshold"))
            without = self._without_conditions(kind, rows, conditions) if shape.guided else None
            heard = () if listener is None else (np.int32(listener),)
            first = settings[0]
            steps = dataclasses.replace(kind, solver=first.solver, pose=shape.pose, reuses=first.cache_threshold > 0)
            x = self._call(
                integrate, steps, "velocity", x, times, conditions, without, guiding, *heard, keep=listener is None
            )
            return self._call(decode, kind, "pictures", x)

    def _call(self, function: Any, kind: Kind, parts: str, *arguments: Any, keep: bool = True) -> Any:
        return self.executables.call(function, kind, self._parts[parts], *arguments, keep=keep)

    def _without_conditions(self, kind: Kind, rows: int, conditions: Conditions) -> Conditions:
        """The conditions of `without_conditions`, made once, whatever follows.

        The guidance input is no condition and stays.
        """
        if (kind, rows) not in self._nothing:
            cell = self.model.downsampling
            canvas = (kind.height * cell, kind.width * cell)
            fields = without_conditions(self.config, self.tokenizer, canvas)
            inputs = jax.tree.map(self._put, stack([fields] * rows))
            zeros = self._put(np.zeros(rows, np.uint32))
            scale = self._put(np.ones(rows, np.float32))
            _, fields = self._call(encode, kind, "all", inputs, scale, zeros, zeros)
            self._nothing[kind, rows] = conditions_of(fields)
        return dataclasses.replace(self._nothing[kind, rows], guidance=conditions.guidance)

    def _put(self, rows: np.ndarray) -> Any:
        return rows if self.mesh is None else jax.device_put(rows, batch_sharding(self.mesh))

    def _on_mesh(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if self.mesh is None else jax.set_mesh(self.mesh)
