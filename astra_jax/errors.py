"""The one exception for mistakes a user can make, and the one place that turns it into a message."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right.

    The text is one line that says what is wrong and what to do. The command-line programs print it without a
    traceback and exit with code 2 (`astra_jax.cli.run`); from Python it is an ordinary exception.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


# What the code of a user's config file raises where it is wrong; configs refuse unknown keys and types by these, too.
CONFIG_ERRORS = (
    AttributeError, ImportError, KeyError, NameError, OSError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
