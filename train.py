"""Trains the autoencoder or the whole model.

python train.py --config=configs/puppets.py --workdir=runs/puppets
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
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
from astra_jax.weights.adapters import FORMS

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
    state = train(config, workdir, objective, dataset, previews)
    # 5. What to do with it.
    if config.train.objective == "astra" and int(state.step) >= config.train.steps and jax.process_index() == 0:
        print(f"draw with: {_how_to_draw(workdir, sorted(state.params), bool(config.data.tokenizer))}")


def _how_to_draw(workdir: pathlib.Path, trained: list[str], own_tokenizer: bool) -> str:
    """The command that draws with a finished run that trained these parts.

    Adapters alone go with the published folder of their model, or, where the tokenizer says that it has none, with
    what `train.initialize_from` names.
    """
    if not set(trained) <= set(FORMS):
        return shlex.join(["python", "sample.py", f"--checkpoint={workdir}"])
    if own_tokenizer:
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
            "--weights=FLUX.1-dev",
            *(f"--{part}={workdir / 'pretrained'}" for part in trained),
        ]
    )


if __name__ == "__main__":
    cli.run(main)
