"""Starting child.py, alone or as several processes, and watching it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

CHILD = pathlib.Path(__file__).parent / "child.py"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(devices):
    flags = re.sub(r"device_count=\d+", f"device_count={devices}", os.environ.get("XLA_FLAGS", ""))
    return os.environ | {"XLA_FLAGS": flags, "NPROC": "16", "JAX_PLATFORMS": "cpu"}


def popen(command, devices=1, **settings):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(devices), **streams, **settings)


def command(workdir, steps, **options):
    return [sys.executable, str(CHILD), json.dumps({"workdir": str(workdir), "steps": steps} | options)]


def start(workdir, steps, devices=2, **options):
    """One process with fake devices."""
    return popen(command(workdir, steps, **options), devices)


def start_all(workdir, steps, count, devices=1, **options):
    """`count` processes that make up one run."""
    meeting = f"127.0.0.1:{free_port()}"
    workdir.mkdir(exist_ok=True)
    return [popen(command(workdir, steps, hosts=[meeting, count, index], **options), devices) for index in range(count)]


def finish(*processes, timeout=150):
    """Waits for all; their outputs, or an AssertionError with what they said if one failed."""
    try:
        said = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said[0][0]


def wait_for(condition, process):
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lines(workdir):
    """What metrics.jsonl holds, {step: values}."""
    path = workdir / "metrics.jsonl"
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
    return {values["step"]: values for values in map(json.loads, whole)}


def losses(workdir):
    return {step: values["loss"] for step, values in lines(workdir).items()}
