"""The training loop, one for every objective. Phases follow big_vision's order, state handling kauldron's."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import grain
import jax
import numpy as np

from astra_jax import hosts
from astra_jax.config import Config, to_dict
from astra_jax.errors import UserError
from astra_jax.params import Params, flatten
from astra_jax.training.checkpoint import Checkpoints
from astra_jax.training.disk import full_disk_is_told
from astra_jax.training.export import export, learnt
from astra_jax.training.feed import feed
from astra_jax.training.initialize import initialize
from astra_jax.training.lock import WorkdirLock
from astra_jax.training.mesh import check_run, make_mesh, replicated
from astra_jax.training.meter import Meter
from astra_jax.training.metrics import make_writer
from astra_jax.training.objective import Objective
from astra_jax.training.optimizer import make_optimizer
from astra_jax.training.partition import merge
from astra_jax.training.signals import StopSignal
from astra_jax.training.state import TrainState
from astra_jax.training.step import compile_step, make_step
from astra_jax.training.trace import Trace
from astra_jax.training.work import StepWork
from astra_jax.weights.pretrained import check_export, fingerprint


def train(
    config: Config,
    workdir: str | os.PathLike[str],
    objective: Objective,
    dataset: grain.IterDataset[Any],
    previews: grain.IterDataset[Any] | None = None,
    devices: list[Any] | None = None,
    examples: Callable[[int], list[int]] | None = None,
    profile: tuple[int, int] | None = None,
) -> TrainState:
    """Trains up to `train.steps` steps, going on from the newest checkpoint in `workdir`; returns the last state.

    Args:
        config: of the run.
        workdir: receives checkpoints/, metrics.jsonl, tensorboard/, samples/, config.json and, at the end, pretrained/.
        objective: what to minimise.
        dataset: batches of numpy arrays for ever, this process's share of each; a resumed run sees the batches that
            it would have seen.
        previews: its first batch is drawn every `train.sample_every` steps; every process must see the same.
        devices: to train on; all by default.
        examples: the numbers of the examples in the batch after so many batches, for messages.
        profile: first and last step of a profiler's trace, written to workdir/profile.

    Several processes call it alike; the first one writes all but its share of the checkpoints. SIGTERM to any of them
    makes all save and return early. Raises `UserError` for a mesh or batch size that does not fit the devices, a
    workdir of another run or in use by one, pretrained weights that do not fit, data that ends early, a disk that is
    full, and a loss that is not finite in `train.max_skipped` steps in a row.
    """
    workdir = pathlib.Path(workdir)
    settings = config.train
    # 1. What can be refused is refused before anything is computed.
    check_settings(config)
    mesh = make_mesh(config.mesh, devices)
    check_run(config, mesh)
    lock = hosts.together(lambda: WorkdirLock(workdir))

    with contextlib.ExitStack() as at_end:
        for context in (lock, full_disk_is_told(workdir), jax.set_mesh(mesh), stop := StopSignal()):
            at_end.enter_context(context)
        checkpoints = Checkpoints(workdir, config, [fingerprint(folder) for folder in settings.initialize_from])
        at_end.callback(checkpoints.close)
        at_end.enter_context(hosts.lost_processes_are_told())  # before `close`, which waits for them
        start = checkpoints.latest_step() or 0
        trace = Trace(workdir, profile, start, settings.steps)
        # 2. Parameters, moments, averages and the data position.
        state, frozen, data_position = initialize(config, objective, mesh, checkpoints)
        iterator = iter(feed(dataset, mesh))
        at_end.callback(iterator.close)
        if data_position is not None:
            iterator.set_state(data_position)
        _announce(config, mesh, state, frozen)
        if jax.process_index() == 0:
            (workdir / "config.json").write_text(json.dumps(to_dict(config), indent=2) + "\n")

        # 3. The compiled functions.
        optimizer = make_optimizer(settings.optimizer, settings.steps)
        run_step = compile_step(
            make_step(objective, optimizer, settings.optimizer, settings.steps), state, frozen, mesh
        )
        preview = Preview(objective, mesh, previews, settings.seed) if previews and settings.sample_every else None

        # 4. Steps. Nothing in here waits for the device but the meter, and that for the step before.
        writer = make_writer(workdir, settings.steps, start)
        at_end.callback(writer.close)
        work = StepWork(config, list(mesh.devices.flat), flatten(state.params))
        if why := work.why_no_mfu():
            _say(why)
        meter = Meter(writer, settings.log_every, settings.max_skipped, start, work.images, examples)
        at_end.callback(trace.stop)
        step = start
        while step < settings.steps and not stop.reached(step):
            if trace.starts_at(step + 1):
                meter.flush()
                trace.start()
            with jax.profiler.StepTraceAnnotation("train", step_num=step + 1):
                began = time.monotonic()
                batch = _next(iterator, step)
                meter.waited(time.monotonic() - began)
                state, metrics = run_step(state, frozen, batch)
            step, needed = step + 1, work.peak_seconds(batch)
            del batch  # the step has it; nobody waits for its end then
            meter.push(step, metrics, needed)
            if trace.ends_at(step):
                meter.flush()
                trace.stop()
            if preview is not None and (step % settings.sample_every == 0 or step == settings.steps):
                meter.flush()
                writer.picture(step, preview(merge(state.ema, frozen)))
            if settings.checkpoint_every and step % settings.checkpoint_every == 0:
                meter.flush()
                checkpoints.save(step, state, iterator.get_state())
        meter.flush()
        # 5. The end, or an early one: everything goes to disk.
        checkpoints.save(step, state, iterator.get_state())
        checkpoints.wait()
        if step < settings.steps:
            _say(f"stopped by SIGTERM after step {step}; the same command goes on from there")
            return state
        params = learnt(state, frozen)
        export(workdir / "pretrained", config, params, settings.export_dtype)
        _say(f"done: {workdir / 'pretrained'} holds {', '.join(sorted(params))}")
        hosts.wait_for_all("exported")
        return state


def check_settings(config: Config) -> None:
    """Raises `UserError` for settings that the loop cannot run with."""
    settings = config.train
    for name in ("steps", "keep"):
        if getattr(settings, name) < 1:
            raise UserError(f"train.{name} must be at least 1, not {getattr(settings, name)}")
    for name in ("log_every", "checkpoint_every", "sample_every", "max_skipped"):
        if getattr(settings, name) < 0:
            raise UserError(f"train.{name} must be 0 (never) or more, not {getattr(settings, name)}")
    # These two are only used at the end, which may be days away.
    check_export(config, settings.export_dtype)


class Preview:
    """Draws the same examples (the first batch) with the same noise every time; every device draws all of them."""

    def __init__(
        self, objective: Objective, mesh: jax.sharding.Mesh, batches: grain.IterDataset[Any], seed: int
    ) -> None:
        iterator = iter(batches)
        self._batch = jax.device_put(_next(iterator, 0), replicated(mesh))
        iterator.close()
        self._rng = jax.random.key(seed)
        self._draw = jax.jit(objective.preview, out_shardings=replicated(mesh))

    def __call__(self, params: Params) -> np.ndarray:
        """The picture for `params` (the whole tree)."""
        return np.asarray(self._draw(params, self._batch, self._rng))


def _next(iterator: Any, step: int) -> Any:
    try:
        return next(iterator)
    except StopIteration as error:
        raise UserError(f"the data ended after step {step}: use a data set that repeats") from error


def _announce(config: Config, mesh: jax.sharding.Mesh, state: TrainState, frozen: Params) -> None:
    trained, fixed = (sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (state.params, frozen))
    axes = " x ".join(f"{name} {size}" for name, size in mesh.shape.items() if size > 1) or "one device"
    _say(
        f"{config.train.objective}: {trained:,} parameters trained, {fixed:,} frozen; "
        f"{mesh.devices.flat[0].device_kind}, {axes}; from step {int(state.step)} to {config.train.steps}"
    )


def _say(text: str) -> None:
    if jax.process_index() == 0:
        print(text, flush=True)
