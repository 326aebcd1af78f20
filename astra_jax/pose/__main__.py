"""Entry point of `python -m astra_jax.pose`; see `commands`."""

from __future__ import annotations

import sys

from astra_jax.cli import fail
from astra_jax.errors import UserError
from astra_jax.pose.commands import run

if __name__ == "__main__":
    try:
        run()
    except UserError as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
