"""Trains the autoencoder or the whole model.

python train.py --config=configs/puppets.py --workdir=runs/puppets
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import jax
from absl import flags
from ml_collections import config_flags

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.inputs.cache import check_initial_autoencoder
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.training.loop import train
from astra_jax.training.objectives import make_objective

_CONFIG = config_flags.DEFINE_config_file("config", None, "The run: a file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, metrics, samples, final weights.")

_PREVIEWS = 4  # examples


def main(argv: Sequence[str]) -> None:
    """Runs one training run to its end, going on from its newest checkpoint."""
    del argv
    # 1. The run.
    if not _WORKDIR.value:
        raise UserError("--workdir is missing: name a folder for the run, e.g. --workdir=runs/first")
    config = cli.read_config(_CONFIG.value)
    # 2. Compiled programs are kept between runs.
    cli.keep_compiled_programs()
    # 3. What to minimise, and on what.
    objective = make_objective(config)
    if config.data.latents and config.train.objective == "astra":
        check_initial_autoencoder(config)
    dataset = make_dataset(config, training=True, shard=(jax.process_index(), jax.process_count()))
    few = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_size=_PREVIEWS))
    previews = make_dataset(few, training=False)
    # 4. Training; SIGTERM saves and ends it with exit code 0.
    workdir = pathlib.Path(_WORKDIR.value)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--workdir {workdir}: {error.strerror}: choose a folder you can write to") from error
    train(config, workdir, objective, dataset, previews)


if __name__ == "__main__":
    cli.run(main)
