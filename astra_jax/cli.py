"""Runs a command-line program: a user's mistake ends in one line and exit code 2, a bug keeps its traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from astra_jax.errors import UserError


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses absl flags; a wrong flag or config key is the user's mistake (`ml_collections` raises plain errors)."""
    try:
        rest = flags.FLAGS(list(argv))
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise UserError(f"{error.args[0] if error.args else error} (see {argv[0]} --help)") from error
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}: every option is a flag (see {argv[0]} --help)")
    return rest


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)` under absl; exits 2 with one line on a `UserError`, 130 on Ctrl-C."""

    def parser(argv: Sequence[str]) -> list[str]:
        try:
            return _parse_flags(argv)
        except UserError as error:
            fail(error)
            raise AssertionError from error  # fail() does not return

    def guarded(argv: Sequence[str]) -> None:
        try:
            main(argv)
        except UserError as error:
            fail(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)

    app.run(guarded, flags_parser=parser)


def fail(error: UserError) -> None:
    """Prints `error` as one line on stderr and exits with code 2."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
