"""Trains the autoencoder or the whole model.

python train.py --config=configs/puppets.py --workdir=runs/puppets
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags

from astra_jax import cli, hosts
from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.inputs.cache import check_initial_weights
from astra_jax.inputs.pipeline import example_numbers, make_dataset, plan_batches
from astra_jax.training.loop import train
from astra_jax.training.mesh import check_run, make_mesh, process_share
from astra_jax.training.objective import Objective
from astra_jax.training.objectives import make_objective
from astra_jax.training.trace import parse_steps
from astra_jax.weights.adapters import FORMS
from astra_jax.weights.tokenizer_folder import is_published

_CONFIG = config_flags.DEFINE_config_file("config", None, "The run: a file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, metrics, samples, final weights.")
_PROFILE = flags.DEFINE_string("profile", None, "START:STOP: trace these steps into the workdir's profile/.")
hosts.define_flags()

_PREVIEWS = 4  # examples, fewer where a batch has fewer: a bucket may hold no more


def main(argv: Sequence[str]) -> None:
    """Runs one training run to its end, going on from its newest checkpoint."""
    del argv
    # 1. The run.
    if not _WORKDIR.value:
        raise UserError("--workdir is missing: name a folder for the run, e.g. --workdir=runs/first")
    config = cli.read_config(_CONFIG.value)
    profile = parse_steps(_PROFILE.value) if _PROFILE.value else None
    # 2. The other processes, where there are any; compiled programs are kept between runs.
    hosts.connect_by_flags()
    cli.keep_compiled_programs()
    # 3. What to minimise, on what and in which folder.
    workdir = pathlib.Path(_WORKDIR.value)
    objective, dataset, previews = hosts.together(lambda: _prepare(config, workdir))
    # 4. Training; SIGTERM saves and ends it with exit code 0.
    examples = functools.partial(example_numbers, config)
    if config.data.buckets and jax.process_index() == 0:
        print(plan_batches(config, training=True).describe(), flush=True)
    state = train(config, workdir, objective, dataset, previews, examples=examples, profile=profile)
    # 5. What to do with it.
    if config.train.objective == "astra" and int(state.step) >= config.train.steps and jax.process_index() == 0:
        print(f"draw with: {_how_to_draw(workdir, sorted(state.params), config.data.tokenizer)}")


def _prepare(config: Config, workdir: pathlib.Path) -> tuple[Objective, Any, Any]:
    """Objective, training data and examples for pictures; whatever is wrong with one process's files shows here."""
    mesh = make_mesh(config.mesh)
    check_run(config, mesh)  # before `make_dataset`, which refuses a batch, too, but knows no better size
    objective = make_objective(config)
    if config.data.latents and config.train.objective == "astra":
        check_initial_weights(config)
    dataset = make_dataset(config, training=True, shard=process_share(mesh))
    few = dataclasses.replace(
        config, train=dataclasses.replace(config.train, batch_size=min(_PREVIEWS, config.train.batch_size))
    )
    previews = make_dataset(few, training=False)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--workdir {workdir}: {error.strerror}: choose a folder you can write to") from error
    return objective, dataset, previews


def _how_to_draw(workdir: pathlib.Path, trained: list[str], tokenizer: str) -> str:
    """The command that draws with a finished run that trained these parts.

    Adapters alone go with the published folder of their model, which may be the one with the tokenizer; a tokenizer of
    ours says that there is none: then they go with what `train.initialize_from` names.
    """
    if not set(trained) <= set(FORMS):
        return shlex.join(["python", "sample.py", f"--checkpoint={workdir}"])
    published = not tokenizer or is_published(pathlib.Path(tokenizer).expanduser())
    if not published:
        whole = workdir / "whole"
        export = ["python", "-m", "astra_jax.weights", "export", f"--workdir={workdir}", f"--out={whole}"]
        return f"{shlex.join(export)} && {shlex.join(['python', 'sample.py', f'--checkpoint={whole}'])}"
    flag = flags.FLAGS["config"]
    changed = config_flags.get_override_values(flag)  # on this command line
    return shlex.join(
        [
            "python",
            "sample.py",
            f"--config={config_flags.get_config_filename(flag)}",
            *(f"--config.{key}={value}" for key, value in changed.items() if key.startswith("model.")),
            f"--weights={tokenizer or 'FLUX.1-dev'}",
            *(f"--{part}={workdir / 'pretrained'}" for part in trained),
        ]
    )


if __name__ == "__main__":
    cli.run(main)
