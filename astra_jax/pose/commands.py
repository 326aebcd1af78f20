"""`python -m astra_jax.pose build`, `add`, `search`, `convert`: make a pose bank, let it grow, look into one, and write
keypoint files in another form."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from astra_jax.pose.build import add_add, add_build
from astra_jax.pose.convert import add_convert
from astra_jax.pose.search import add_search


def run(argv: Sequence[str] | None = None) -> None:
    """Parses the arguments and runs the command; raises `UserError` for what the user can put right."""
    parser = argparse.ArgumentParser(prog="python -m astra_jax.pose", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="build|add|search|convert")
    for add in (add_build, add_add, add_search, add_convert):
        add(commands)
    arguments = parser.parse_args(argv)
    arguments.command(arguments)
