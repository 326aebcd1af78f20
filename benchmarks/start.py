"""How long a user waits for the first picture: a first start, with empty caches, and later ones of the same shapes.

    python -m benchmarks.start
    python -m benchmarks.start --repeats 5 -- --requests requests.jsonl

Each start is sample.py as a process of its own; the clock runs until it says that the first picture is on disk. What
follows "--" goes to sample.py. The last line is one JSON object with `first_seconds`, `second_seconds` (the median of
the later starts) and their `ratio`.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from astra_jax.cli import guard
from astra_jax.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUEST = ["--prompt", "a man waving hello, on the beach"]


def seconds_to_first_picture(flags: list[str], cache: pathlib.Path, out: pathlib.Path) -> float:
    """Seconds from the start of sample.py to its first picture; raises `UserError` where there is none."""
    command = [sys.executable, "-u", str(ROOT / "sample.py"), *flags, f"--out={out}"]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as program:
        assert program.stdout is not None
        seconds = None
        for line in program.stdout:
            if seconds is None and "  1/" in line:
                seconds = time.perf_counter() - begin
    if program.returncode or seconds is None:
        raise UserError("sample.py drew no picture: run it alone to see why")
    return seconds


def main() -> None:
    """Starts sample.py again and again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="later starts")
    parser.add_argument("flags", nargs="*", default=REQUEST, help="of sample.py, behind --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        first, *later = (
            seconds_to_first_picture(arguments.flags, home / "cache", home / f"out{number}")
            for number in range(1 + arguments.repeats)
        )
    second = statistics.median(later)
    print(f"first start {first:.1f} s, later ones {', '.join(f'{seconds:.1f}' for seconds in later)} s")
    figures = {"first_seconds": round(first, 2), "second_seconds": round(second, 2), "ratio": round(first / second, 2)}
    print(json.dumps(figures))


if __name__ == "__main__":
    guard(main)
