"""Several processes as one program: how they find each other, and how they agree on a refusal.

One process drives the devices of its machine; jax makes one mesh of all of them. Under SLURM, Open MPI and on TPU pods
the processes find each other on their own; elsewhere each is told by three flags.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

import jax
import numpy as np
from absl import flags
from jax.experimental import multihost_utils

from astra_jax.errors import UserError

T = TypeVar("T")

CONNECT_SECONDS = 300  # until the last process is there, if --coordinator_timeout does not say otherwise
HEARTBEAT_SECONDS = 60  # without a sign of life, after which a process counts as dead and the others end
SHUTDOWN_SECONDS = 30  # that a process which is done waits for the others
LEAVE_SECONDS = 2  # that a failing process 0 waits for the others


def define_flags() -> None:
    """Adds --coordinator, --processes, --process_id and --coordinator_timeout to a program."""
    hint = "TPU pods, SLURM (srun) and Open MPI need none of the three flags."
    flags.DEFINE_string("coordinator", None, f"HOST:PORT of process 0, where the processes meet. {hint}")
    flags.DEFINE_integer("processes", None, "How many processes make up the run.")
    flags.DEFINE_integer("process_id", None, "Which of them this one is, from 0.")
    flags.DEFINE_integer("coordinator_timeout", CONNECT_SECONDS, "Seconds until all of them must be there.")


def connect_by_flags() -> None:
    """`connect` with the values of the flags of `define_flags`."""
    given = flags.FLAGS
    timeout = given["coordinator_timeout"].value
    connect(given["coordinator"].value, given["processes"].value, given["process_id"].value, timeout or CONNECT_SECONDS)


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

    Raises `UserError` for values that do not fit together and for a process 0 that does not come. Where others do not
    come this process ends, with one line and exit code 2: nobody can take jax out of its waiting.
    """
    given = {"coordinator": coordinator, "processes": processes, "process_id": process_id}
    if timeout < 1:
        raise UserError(f"--coordinator_timeout must be at least 1 second, not {timeout}")
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
        if process_id > 0:
            _wait_for_coordinator(host, int(port), timeout)
    if coordinator is None and os.environ.get("SLURM_NTASKS") == "1":
        return
    gpus = os.environ.get("SLURM_GPUS_ON_NODE", "")
    if gpus.isdecimal() and re.fullmatch(r"1(\(x\d+\))?", os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")):
        # One task a node drives all GPUs of its node; jax would give it the first one alone.
        os.environ.setdefault("JAX_LOCAL_DEVICE_IDS", ",".join(map(str, range(int(gpus)))))
    try:
        count = f"the {processes} processes" if processes else "the run's processes"
        with _ends_after(timeout, f"not all of {count} are there after {timeout} s: start the others, too"):
            jax.distributed.initialize(
                coordinator,
                processes,
                process_id,
                initialization_timeout=2 * timeout,  # jax would abort with a dump, so that it must not be the first
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
                shutdown_timeout_seconds=SHUTDOWN_SECONDS,
            )
    except ValueError as error:
        if coordinator is None and "coordinator_address" in str(error):
            return  # no cluster is known here
        raise UserError(f"the environment names processes that do not fit together: {error}") from error
    except jax.errors.JaxRuntimeError as error:
        where = coordinator or "the place that the environment names"
        raise UserError(f"the processes of the run cannot meet at {where} ({error}): is its port free?") from error


@contextlib.contextmanager
def _ends_after(seconds: float | int, message: str) -> Iterator[None]:
    """Ends the program with `message` and exit code 2 if the block takes longer than this."""

    def end() -> None:
        print(f"error: {message}", file=sys.stderr, flush=True)
        os._exit(2)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _wait_for_coordinator(host: str, port: int, timeout: int) -> None:
    """Returns when process 0 takes connections: jax itself would abort the program if it did not come in time."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), port), timeout=max(1.0, timeout / 10)).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"process 0 does not answer at --coordinator {host}:{port} within {timeout} s ({error}): start it, "
                    "and let its machine take connections at this port"
                ) from error
            time.sleep(0.2)
        else:
            return


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


@contextlib.contextmanager
def errors_do_not_wait() -> Iterator[None]:
    """Lets a process of several leave at once after an error, with its traceback and exit code 1.

    `UserError`s are left to `cli.fail`; a lost process is told as in `lost_processes_are_told`.
    """
    with contextlib.ExitStack() as stack:
        stack.push(_tell_and_leave)
        with lost_processes_are_told():
            yield


def _tell_and_leave(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    if isinstance(error, Exception) and not isinstance(error, UserError) and _is_one_of_several():
        traceback.print_exception(error)
        print(f"process {jax.process_index()} of {jax.process_count()} ends with this error", file=sys.stderr)
        leave(1)


@contextlib.contextmanager
def lost_processes_are_told() -> Iterator[None]:
    """Ends this process with one line and exit code 2 when a collective fails because another process has ended."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if _LOST.search(str(error)) and _is_one_of_several():
            first = str(error).splitlines()[0]
            me = f"process {jax.process_index()} of {jax.process_count()}"
            print(f"error: {me} has lost another one, whose own message says why ({first})", file=sys.stderr)
            leave(2)
        raise


# What gloo, NCCL and the coordination service say of a process that is gone.
_LOST = re.compile(r"connection|\bpeer\b|socket|remote process exited|unavailable|barrier|heartbeat", re.IGNORECASE)


def _is_one_of_several() -> bool:
    return jax.distributed.is_initialized() and jax.process_count() > 1  # in this order: the latter needs devices


def leave(code: int) -> None:
    """Ends this process at once with exit code `code` where it is one of several; does nothing where it is alone.

    The usual way out waits for the others, who may wait for this one in the middle of a step. They fail when they
    notice that it is gone. Process 0, through which they talk, stays a moment for those that leave for the same reason.
    """
    if _is_one_of_several():
        sys.stdout.flush()
        sys.stderr.flush()
        if jax.process_index() == 0:
            time.sleep(LEAVE_SECONDS)
        os._exit(code)
