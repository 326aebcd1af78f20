"""Weights from the command line.

python -m astra_jax.weights export --workdir=runs/puppets --out=weights/puppets
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import jax
from absl import flags

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.training.export import export_workdir
from astra_jax.training.objectives import make_objective

_WORKDIR = flags.DEFINE_string("workdir", None, "export: folder of a training run.")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")
_DTYPE = flags.DEFINE_enum("dtype", None, ["bfloat16", "float16", "float32"], "Of the file; default: the run's.")


def export(argv: Sequence[str]) -> None:
    """Writes the newest checkpoint of a run as pretrained weights."""
    del argv
    if not _WORKDIR.value or not _OUT.value:
        raise UserError("export needs --workdir=RUN and --out=FOLDER")
    jax.config.update("jax_platforms", "cpu")  # a run may be using the accelerator's memory
    step = export_workdir(_WORKDIR.value, _OUT.value, make_objective, _DTYPE.value or "")
    print(f"{_OUT.value}: weights of step {step}")


_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"export": export}


def main() -> None:
    """Runs the command that the first argument names."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in _COMMANDS and not command.startswith("--help"):
        cli.fail(UserError(f"usage: python -m astra_jax.weights {'|'.join(_COMMANDS)} --workdir=RUN --out=FOLDER"))
    sys.argv[1:2] = [] if command in _COMMANDS else [command]
    cli.run(_COMMANDS.get(command, export))


if __name__ == "__main__":
    main()
