"""An ablation in one command: a common start, every variant from it with every seed, each measured on every track.

Runs are real processes of train.py and evaluate.py, a few at a time, in folders of their own:

    OUT/start, OUT/europe-0, ...           training runs, each with its log beside it
    OUT/europe-0/oracle, ...               what evaluate.py leaves behind for one of them
    OUT/result.json, table.md, plot.svg    what all of them say

Whatever ends it, the same command goes on: a run that is finished is not done again, one in the middle goes on.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib.util
import itertools
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from astra_jax.config import Config, from_config_dict
from astra_jax.errors import CONFIG_ERRORS, UserError
from astra_jax.evaluation.ablation import Cell, cells, headline_of, panels, summary
from astra_jax.evaluation.dot_plot import dot_plot
from astra_jax.evaluation.result import DIGITS, FILE, Result, read_result
from astra_jax.evaluation.samples import TRACKS
from astra_jax.pose.files import read_json
from astra_jax.processes import Processes
from astra_jax.whole_files import write_whole

TABLE, PLOT, MEASURING = "table.md", "plot.svg", "measuring.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Ablation:
    """What is varied.

    Attributes:
      config: a config file; `config:NAME` is the training run of the variant, or of the start, with that name.
      start: the run that all variants start from.
      variants: name -> what it is; the first is the one that the others are compared with.
      runs: name -> its config, of the start, too.
      seeds: each variant is trained with each.
    """

    config: pathlib.Path
    start: str
    variants: Mapping[str, str]
    runs: Mapping[str, Config]
    seeds: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Budget:
    """What an ablation may cost.

    Attributes:
      steps, start_steps: of every variant's training and of the start's; None: as the configs say.
      processes: at a time; each has the threads of its share of the cores.
    """

    steps: int | None = None
    start_steps: int | None = None
    processes: int = 2

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if value is not None and value < 1:
                raise UserError(f"an ablation's {name} must be at least 1, not {value}")


@dataclasses.dataclass(frozen=True)
class _Run:
    """One training run."""

    name: str  # of its folder
    variant: str
    config: Config
    changed: Mapping[str, Any]  # key of the config -> value, where it is not as the file says


def read_ablation(path: str | os.PathLike[str], seeds: Sequence[int] = ()) -> Ablation:
    """The ablation of a config file, or of a folder with one.

    The file has `START`, `VARIANTS`, `SEEDS` and `get_config(name)`. `seeds` stand for the file's. Raises `UserError`
    for a file that is missing, fails or has not all of that, and for settings that are wrong.
    """
    file = pathlib.Path(path)
    if file.is_dir():
        found = sorted(one for one in file.glob("*.py") if not one.name.startswith("_"))
        if len(found) != 1:
            raise UserError(f"--ablation {path} has {len(found)} config files: name one")
        file = found[0]
    spec = importlib.util.spec_from_file_location(f"ablation_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise UserError(f"--ablation {path}: there is no such file: name one as configs/ablations/puppets.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if missing := [
            name for name in ("START", "VARIANTS", "SEEDS", "get_config") if not getattr(module, name, None)
        ]:
            raise UserError(f"--ablation {file} has no {missing[0]}: see configs/ablations/puppets.py")
        runs = {name: from_config_dict(module.get_config(name)) for name in (module.START, *module.VARIANTS)}
    except CONFIG_ERRORS as error:
        raise UserError(f"--ablation {file} fails: {type(error).__name__}: {error}") from error
    chosen = tuple(seeds) or tuple(module.SEEDS)
    if len(set(chosen)) != len(chosen) or min(chosen) < 0:
        raise UserError(f"an ablation's seeds must differ and not be negative, unlike {', '.join(map(str, chosen))}")
    return Ablation(file, module.START, dict(module.VARIANTS), runs, chosen)


def run_ablation(
    ablation: Ablation,
    budget: Budget,
    out: str | os.PathLike[str],
    train: Sequence[str],
    evaluate: Sequence[str],
    measuring: Mapping[str, Any],
) -> dict[str, Any]:
    """Does what is left of an ablation and writes what it says; returns the line to print last.

    Args:
        ablation: what is varied.
        budget: what it may cost.
        out: the folder for everything.
        train: command that trains; gets train.py's `--config`, `--workdir` and settings.
        evaluate: command that measures, with what all runs share; gets evaluate.py's `--checkpoint`, `--track`,
            `--out` and, but for the first variant's first seed, `--nocontrols`.
        measuring: what `evaluate` measures with (settings as JSON has them, fingerprints of networks). The folder keeps
            it, so that runs measured with something else do not come into one table.

    Raises `UserError` for a run that is refused, with its own line, for data that are missing, and for a folder that
    holds another ablation.
    """
    out = pathlib.Path(out)
    start, runs = _runs(ablation, budget, out)
    _check_data(ablation, start)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}: choose a folder you can write to") from error
    for run in (start, *runs):
        _check(run, out)
    _check_measuring(measuring, out)
    cores = os.cpu_count() or 1
    share = max(cores // budget.processes, 1)
    with Processes() as processes:
        _train(start, ablation, out, train, processes, cores)
        write_whole(out / MEASURING, (json.dumps(measuring) + "\n").encode())

        def whole(run: _Run) -> None:
            _train(run, ablation, out, train, processes, share)
            for track in TRACKS:
                folder = out / run.name / track
                if not (folder / FILE).is_file():
                    controls = [] if run is runs[0] else ["--nocontrols"]
                    command = [*evaluate, f"--checkpoint={out / run.name}", f"--track={track}", f"--out={folder}"]
                    processes.run([*command, *controls], out / f"{run.name}-{track}.log", f"{run.name}, {track}", share)

        # Seeds take turns outside, so that an ablation that is stopped early has every variant.
        with concurrent.futures.ThreadPoolExecutor(budget.processes) as pool:
            jobs = [pool.submit(whole, run) for run in runs]
            try:
                for job in concurrent.futures.as_completed(jobs):
                    job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                processes.stop()
                raise
    results = {
        (variant, seed, track): read_result(out / f"{variant}-{seed}" / track)
        for variant, seed, track in itertools.product(ablation.variants, ablation.seeds, TRACKS)
    }
    return _write(ablation, start, runs, results, out)


def _runs(ablation: Ablation, budget: Budget, out: pathlib.Path) -> tuple[_Run, list[_Run]]:
    """The start's run and those of all variants and seeds, seed by seed."""

    def run(name: str, variant: str, steps: int | None, changed: dict[str, Any]) -> _Run:
        config = ablation.runs[variant]
        changed = changed | ({} if steps is None else {"train.steps": steps})
        return _Run(name, variant, _with(config, changed), changed)

    start = run(ablation.start, ablation.start, budget.start_steps, {})
    weights = (str(out / ablation.start / "pretrained"),)
    runs = [
        run(f"{variant}-{seed}", variant, budget.steps,
            {"train.initialize_from": weights, "train.seed": seed, "data.seed": seed})
        for seed, variant in itertools.product(ablation.seeds, ablation.variants)
    ]  # fmt: skip
    equal = {
        (run.config.train.steps, run.config.train.batch_size, run.config.train.optimizer, run.config.data.dir,
         run.config.data.latents, run.config.data.split)
        for run in runs
    }  # fmt: skip
    if len(equal) > 1:
        raise UserError(f"{ablation.config}: all variants must have the same steps, batches, optimizer and data")
    return start, runs


def _with(config: Config, changed: Mapping[str, Any]) -> Config:
    for key, value in changed.items():
        group, name = key.split(".")
        config = dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **{name: value})})
    return config


def _finished(run: _Run, out: pathlib.Path) -> bool:
    return (out / run.name / "pretrained" / "model.safetensors").is_file()


def _check(run: _Run, out: pathlib.Path) -> None:
    """Raises `UserError` where the run's folder holds one with other settings; what it does not tell is the default."""
    stored = out / run.name / "config.json"
    if stored.is_file() and from_config_dict(read_json(stored, 1 << 20), path=str(stored)) != run.config:
        raise UserError(f"{stored.parent} holds a run with other settings: choose another --out, or the same budget")


def _check_data(ablation: Ablation, start: _Run) -> None:
    """Raises `UserError` where what the start learns from is not there."""
    data = start.config.data
    wanted = (data.dir, data.latents, *start.config.train.initialize_from)
    if missing := [path for path in wanted if path and not pathlib.Path(path).expanduser().exists()]:
        raise UserError(
            f"{missing[0]} is missing, which the ablation starts from: {ablation.config} says how to make it"
        )


def _check_measuring(measuring: Mapping[str, Any], out: pathlib.Path) -> None:
    """Raises `UserError` where some of the folder's runs were measured otherwise."""
    stored = out / MEASURING
    if stored.is_file() and read_json(stored, 1 << 20) != measuring:
        raise UserError(
            f"{out} holds an ablation that was measured otherwise: choose another --out, or the same flags and networks"
        )


def _train(
    run: _Run, ablation: Ablation, out: pathlib.Path, train: Sequence[str], processes: Processes, cores: int
) -> None:
    if _finished(run, out):
        return
    flags = [f"--config.{key}={value!r}" for key, value in run.changed.items()]
    command = [*train, f"--config={ablation.config}:{run.variant}", f"--workdir={out / run.name}", *flags]
    processes.run(command, out / f"{run.name}.log", run.name, cores)
    if not _finished(run, out):
        raise UserError(f"the training of {run.name} was stopped: give the same command again, and it goes on")


def _write(
    ablation: Ablation, start: _Run, runs: Sequence[_Run], results: Mapping[tuple[str, int, str], Result],
    out: pathlib.Path,
) -> dict[str, Any]:  # fmt: skip
    """Writes result.json, the table and the plot; returns the last line."""
    reference = next(iter(ablation.variants))
    found, names = cells(results, reference), headline_of(results)
    train = runs[0].config.train
    one = next(iter(results.values()))
    # A benchmark's name may end in the track.
    benchmark = os.path.commonprefix([result.benchmark for result in results.values()]).rstrip("_")
    budget = {
        "benchmark": benchmark,
        "pictures of a variant with one seed and one pose": len(one.samples),
        "seeds": ", ".join(map(str, ablation.seeds)),
        "steps of a variant": f"{train.steps} of {train.batch_size} examples",
        "steps of the common start": f"{start.config.train.steps} of {start.config.train.batch_size} examples",
        "learning rate": f"{train.optimizer.learning_rate:g}, {train.optimizer.schedule}",
        "command": shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    tree = {"format": FORMAT, "budget": budget, "variants": dict(ablation.variants)}
    tree["cells"] = [dataclasses.asdict(cell) for cell in found]
    write_whole(out / FILE, (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode())
    text = summary(found, results, ablation.variants, budget)
    write_whole(out / TABLE, text.encode("utf-8", "replace"))
    write_whole(out / PLOT, dot_plot(panels(found, names), TRACKS).encode())
    print(text)
    return _line(found, names, benchmark, len(one.samples))


def _line(found: Sequence[Cell], names: Sequence[str], benchmark: str, count: int) -> dict[str, Any]:
    """All headline figures, flat: europe_oracle_oks and so on."""
    figures = {
        f"{cell.variant}_{cell.track}_{name}".replace("-", "_"): round(cell.figures[name].value, DIGITS)
        for cell in found
        for name in names
        if name in cell.figures
    }
    return {"benchmark": benchmark, "count": count, **figures}
