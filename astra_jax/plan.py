"""Plans a run on a machine that is not here: does it fit, how long does a step take, what does it cost.

python -m astra_jax.plan --config configs/flux.py --topology v5p:4x4x4
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.planning.environment import compile_only
from astra_jax.planning.report import report, summary
from astra_jax.planning.request import requested_plan

_CONFIG = config_flags.DEFINE_config_file("config", None, "The run: a file of configs/.", lock_config=True)
_TOPOLOGY = flags.DEFINE_string("topology", None, "The machine: v5p:4x4x4, v5e:8x8, 2xv6e:16x16, h200:8 ...")
_BATCH = flags.DEFINE_float("batch_per_chip", None, "Examples a chip, in place of the config's train.batch_size.")
_SEARCH = flags.DEFINE_bool("search", False, "Try all mesh shapes in place of the config's mesh.")
_COMPILES = flags.DEFINE_integer("search_compiles", 3, "How many of the best shapes to compile.", lower_bound=0)
_ANALYTIC = flags.DEFINE_bool("analytic", False, "Ask no compiler: seconds in place of minutes, and estimates.")


def main(argv: Sequence[str]) -> None:
    """Prints the plan; the last line is a JSON object."""
    del argv
    compile_only()
    if not _TOPOLOGY.value:
        raise UserError("--topology is missing: name a machine, e.g. --topology=v5p:4x4x4 or --topology=h200:8")
    config = cli.read_config(_CONFIG.value)
    plan, check = requested_plan(
        config, _TOPOLOGY.value, _BATCH.value, _SEARCH.value, _COMPILES.value, _ANALYTIC.value, _say
    )
    print("\n".join(report(plan, check)))
    print(json.dumps(summary(plan, check)))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    cli.run(main)
