"""Several processes as one program: how they find each other, and how they agree on a refusal.

One process drives the devices of its machine; jax makes one mesh of all of them. Under SLURM, Open MPI and on TPU pods
the processes find each other on their own; elsewhere each is told by three flags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from absl import flags
from jax.experimental import multihost_utils

from astra_jax.errors import UserError

T = TypeVar("T")

CONNECT_SECONDS = 300  # until the last process is there
# A process that ended with an error must not keep the others waiting: they notice its death after this long.
SHUTDOWN_SECONDS = 30
HEARTBEAT_SECONDS = 60

_FLAGS = ("coordinator", "processes", "process_id")


def define_flags() -> None:
    """Adds --coordinator, --processes and --process_id to a program."""
    hint = "TPU pods, SLURM (srun) and Open MPI need none of the three flags."
    flags.DEFINE_string("coordinator", None, f"HOST:PORT of process 0, where the processes meet. {hint}")
    flags.DEFINE_integer("processes", None, "How many processes make up the run.")
    flags.DEFINE_integer("process_id", None, "Which of them this one is, from 0.")


def connect_by_flags() -> None:
    """`connect` with the values of the flags of `define_flags`."""
    connect(*(flags.FLAGS[name].value for name in _FLAGS))


def connect(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    timeout: int = CONNECT_SECONDS,
) -> None:
    """Joins the run's other processes; to be called before jax is asked for a device.

    Args:
        coordinator: HOST:PORT of process 0; None, as the other two: what TPU pods, SLURM or Open MPI say. Where
            nothing says anything the process is alone.
        processes: how many there are.
        process_id: this one's number among them, from 0.
        timeout: seconds until all must be there.

    Raises `UserError` for values that do not fit together and for processes that do not come.
    """
    given = dict(zip(_FLAGS, (coordinator, processes, process_id), strict=True))
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise UserError(f"{' and '.join(missing)} missing: give --coordinator, --processes and --process_id, or none")
    if coordinator is not None and processes is not None and process_id is not None:
        host, colon, port = coordinator.rpartition(":")
        if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
            raise UserError(f"--coordinator {coordinator!r} is not HOST:PORT, such as 10.0.0.1:8476")
        if not 0 <= process_id < processes:
            raise UserError(f"--process_id {process_id} is not one of the {processes} --processes: 0 is the first")
        if processes == 1:
            return
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process_id,
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except ValueError as error:
        if coordinator is None and "coordinator_address" in str(error):
            return  # no cluster is known here
        raise UserError(f"the environment names processes that do not fit together: {error}") from error
    except jax.errors.JaxRuntimeError as error:
        where = coordinator or "the coordinator that the environment names"
        raise UserError(
            f"the processes of the run did not meet at {where} within {timeout} s ({error}): start all of them, each "
            "with its own number, and let process 0's machine accept connections"
        ) from error


def together(prepare: Callable[[], T]) -> T:
    """`prepare()`, which may refuse: a `UserError` in one process is one in all, so that none waits for the other.

    Every process must call it at the same place. Raises the process's own `UserError`, or one that names the others.
    """
    if jax.process_count() == 1:
        return prepare()
    refusal, result = None, None
    try:
        result = prepare()
    except UserError as error:
        refusal = error
    refused = np.flatnonzero(multihost_utils.process_allgather(np.int32(refusal is not None)))
    if refusal is not None:
        raise refusal
    if len(refused):
        names = ", ".join(map(str, refused))
        raise UserError(f"process {names} of {jax.process_count()} refused to go on: its own message says why")
    return result  # type: ignore[return-value]


def wait_for_all(place: str) -> None:
    """Returns when every process has come to this place."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(place)
