"""Runs a command-line program: a user's mistake ends in one line and exit code 2, a bug keeps its traceback."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
from absl import app, flags, logging

from astra_jax import hosts
from astra_jax.config import Config, from_config_dict
from astra_jax.errors import CONFIG_ERRORS, UserError


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses absl flags; a wrong flag or config key is the user's mistake (`ml_collections` raises plain errors)."""
    try:
        rest = flags.FLAGS(list(argv))
    except (flags.Error, *CONFIG_ERRORS) as error:
        raise UserError(f"{_reason(error)} (see {argv[0]} --help)") from error
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}: every option is a flag (see {argv[0]} --help)")
    return rest


def _reason(error: BaseException) -> str:
    """One line of an error that may wrap others, or hold the traceback of a config file as its text."""
    reason: object = error
    while isinstance(reason, BaseException) and reason.args:
        reason = reason.args[0]
    lines = str(reason).strip().splitlines() or [type(error).__name__]
    return lines[-1] if any("Traceback" in line for line in lines) else " ".join(lines)


def read_config(value: Any) -> Config:
    """The config of a `--config` flag. Raises `UserError` where it is missing, unreadable or wrong."""
    if value is None:
        raise UserError("--config is missing: name a file of configs/")
    try:
        return from_config_dict(value)
    except OSError as error:  # ml_collections reports a missing file when the config is first read
        raise UserError("--config: this file cannot be read: name a file of configs/") from error


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)` under absl; exits 2 with one line on a `UserError`, 130 on Ctrl-C."""

    def parser(argv: Sequence[str]) -> list[str]:
        try:
            return _parse_flags(argv)
        except UserError as error:
            fail(error)
            raise AssertionError from error  # fail() does not return

    def guarded(argv: Sequence[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # jax and Orbax tell at length what they try and write
        guard(lambda: main(argv))

    app.run(guarded, flags_parser=parser)


def guard(program: Callable[[], object]) -> None:
    """Calls `program`; a `UserError` ends in its one line and exit code 2, Ctrl-C in exit code 130."""
    leave_out_absent_tpu()
    try:
        with hosts.errors_do_not_wait():
            program()
    except UserError as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


# What a machine with an accelerator has: files of /dev (TPUs: accel, vfio) and what pods and clusters set for TPUs.
_DEVICES = ("accel*", "vfio/*", "nvidia*", "dxg", "kfd")
_TPU_VARIABLES = ("TPU_NAME", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_ACCELERATOR_TYPE", "JAX_FORCE_TPU_INIT")
_PLUGIN_VARIABLE = "PJRT_NAMES_AND_LIBRARY_PATHS"


def leave_out_absent_tpu(devices: pathlib.Path = pathlib.Path("/dev")) -> None:
    """Keeps jax from looking for a TPU where libtpu is installed only to plan runs (`make planner`).

    libtpu would tell in several lines that it finds none. Nothing is decided where anything speaks for an accelerator
    of whatever kind, in `devices`, in the environment or among jax's plug-ins; to be called before jax has devices.
    """
    chosen = jax.config.jax_platforms  # type: ignore[attr-defined]  # a field that jax makes as it starts
    if chosen or importlib.util.find_spec("libtpu") is None:
        return
    if any(name in os.environ for name in (*_TPU_VARIABLES, _PLUGIN_VARIABLE)):
        return
    if importlib.util.find_spec("jax_plugins") or importlib.metadata.entry_points(group="jax_plugins"):
        return
    if not any(found for pattern in _DEVICES for found in devices.glob(pattern)):
        jax.config.update("jax_platforms", "cpu")


def keep_compiled_programs() -> pathlib.Path:
    """Keeps jax's compiled programs between runs, in $JAX_COMPILATION_CACHE_DIR or ~/.cache/astra_jax/xla.

    Returns a folder beside them, for lowered programs.
    """
    folder = pathlib.Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or pathlib.Path.home() / ".cache/astra_jax/xla")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return folder / "lowered"


def fail(error: UserError) -> None:
    """Prints `error` as one line on stderr and exits with code 2."""
    print(f"error: {error}", file=sys.stderr)
    hosts.leave(2)
    sys.exit(2)
