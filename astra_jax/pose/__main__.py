"""Entry point of `python -m astra_jax.pose`; see `commands`."""

from __future__ import annotations

from astra_jax.cli import guard
from astra_jax.pose.commands import run

if __name__ == "__main__":
    guard(run)
