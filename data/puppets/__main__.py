"""Prepares the data set: `python -m data.puppets --out DIR [--config small]`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from astra_jax.cli import run
from astra_jax.errors import UserError

_OUT = flags.DEFINE_string("out", None, "the TFDS data_dir to write to; the data set goes into its folder puppets/")
_CONFIG = flags.DEFINE_string("config", "full", "full (10,000 scenes to train on, 500 to test) or small (64 and 16)")


def main(argv: Sequence[str]) -> None:
    """Draws and stores the data set named by the flags; one that is there already stays as it is."""
    del argv
    from data.puppets.builder import Puppets  # after the flags: --help need not wait for TFDS

    if not _OUT.value:
        raise UserError("--out is missing: name the folder to write the data set to")
    if _CONFIG.value not in Puppets.builder_configs:
        raise UserError(f"--config must be one of {', '.join(Puppets.builder_configs)}, not {_CONFIG.value!r}")
    out = Path(_OUT.value)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"--out {str(out)!r} is no folder: name another place") from error
    start = time.monotonic()
    builder = Puppets(config=_CONFIG.value, data_dir=out)
    builder.download_and_prepare()
    counts = {name: info.num_examples for name, info in builder.info.splits.items()}
    print(f"{builder.data_path}: {counts} in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    run(main)
