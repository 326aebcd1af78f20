"""Predicted steps on slices of TPU pods and on GPUs: the table and the curve of docs/scaling.md.

    python -m benchmarks.scaling                  # hours: every row through the TPU compiler, on two CPU cores
    python -m benchmarks.scaling --analytic       # a minute: estimates alone
    python -m benchmarks.scaling --draw           # the page again, from the rows there are

Rows are kept in benchmarks/scaling.jsonl, one plan each (the JSON of `python -m astra_jax.plan`); a row that is there
is not made again. A row takes the fastest mesh by estimate, and half the batch as long as the compiler says that it
does not fit. Nothing here was measured on such a machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from astra_jax.cli import guard
from astra_jax.config import Config, LoraConfig, from_config_dict
from astra_jax.errors import UserError
from astra_jax.planning.environment import compile_only
from astra_jax.planning.plan import make_plan, with_batch
from astra_jax.planning.report import summary
from astra_jax.planning.request import whole_batch
from astra_jax.planning.search import NothingFits, search
from astra_jax.planning.topology import parse_topology
from configs.flux import get_config

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS, PAGE, CURVE = (ROOT / name for name in ("benchmarks/scaling.jsonl", "docs/scaling.md", "docs/images/scaling.png"))
BATCH = 8.0
MACHINES = (
    "v5p:4x4x4",
    "v5p:4x8x8",
    "v5p:8x8x8",
    "v5p:8x16x16",
    "v6e:16x16",
    "2xv6e:16x16",
    "8xv6e:16x16",
    "h200:8",
    "h200:64",
    "h100:64",
)
RUNS = {"LoRA 512 + DSM": "lora", "whole transformer": "full"}
BEGIN, END = "<!-- rows: written by benchmarks/scaling.py -->", "<!-- end of rows -->"


def run_config(run: str) -> Config:
    """configs/flux.py, or the same with the transformer trained and no LoRA."""
    config = from_config_dict(get_config())
    if run == "lora":
        return config
    model = dataclasses.replace(config.model, lora=LoraConfig())
    return dataclasses.replace(
        config, model=model, train=dataclasses.replace(config.train, trainable="^(transformer|dsm)/")
    )


def make_row(run: str, machine: str, analytic: bool) -> dict[str, Any]:
    """The plan of a run on a machine, at the largest batch a chip that fits: `BATCH`, its half, its quarter ..."""
    config, topology, per_chip = run_config(run), parse_topology(machine), BATCH
    while True:
        sized = with_batch(config, whole_batch(per_chip, topology))
        try:
            plan = search(sized, topology, 0, lambda text: None)
            if topology.compiled and not analytic:
                plan = make_plan(plan.config, topology, compiled=True)
        except NothingFits:
            if per_chip <= 1:
                raise
        else:
            if plan.fits or per_chip <= 1:
                return {"run": run} | summary(plan, None)
        print(f"{run} on {machine}: {per_chip:g} examples a chip do not fit", flush=True)
        per_chip /= 2


def read_rows() -> list[dict[str, Any]]:
    """The rows that are there."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A Markdown table."""
    lines = [
        "| run | machine | chips | mesh | batch a chip | HBM a chip, GiB | step, s | bound by | MFU | images/s a chip |"
        " 100 K steps: days | chip-hours | figures |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    names = {short: name for name, short in RUNS.items()}
    for row in sorted(rows, key=lambda row: (row["run"] != "lora", _order(row["topology"]))):
        mesh = " x ".join(f"{axis} {size}" for axis, size in row["mesh"].items() if size > 1)
        lines.append(
            f"| {names[row['run']]} | {row['topology']} | {row['chips']:,} | {mesh} | {row['batch_per_chip']:g}"
            f" | {row['hbm_gib']:.1f} of {row['hbm_limit_gib']:.1f} | {row['step_seconds']:.2f} | {row['bound']}"
            f" | {row['mfu']:.0%} | {row['images_per_second_per_chip']:.2f} | {row['days_100k']:.1f}"
            f" | {row['chip_hours_100k']:,.0f} | {'TPU compiler' if row['compiled'] else 'estimate'} |"
        )
    return lines


def _order(machine: str) -> int:
    return MACHINES.index(machine) if machine in MACHINES else len(MACHINES)


def write_page(rows: Sequence[dict[str, Any]]) -> None:
    """Puts the table between the marks of docs/scaling.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise UserError(f"{PAGE} has no marks {BEGIN} and {END}: put them where the table belongs")
    PAGE.write_text("\n".join([f"{before}{BEGIN}", *table(rows), f"{END}{after}"]))


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """The weak-scaling curve: images a second and chip over the number of v5p chips."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    pods = sorted((row for row in rows if row["topology"].startswith("v5p")), key=lambda row: row["chips"])
    for name, run in RUNS.items():
        chosen = [row for row in pods if row["run"] == run]
        if not chosen:
            continue
        chips, rates = [row["chips"] for row in chosen], [row["images_per_second_per_chip"] for row in chosen]
        (line,) = axes.plot(chips, rates, marker="o", label=name)
        axes.plot(chips, [rates[0]] * len(chips), ":", color=line.get_color(), label=f"{name}, linear scaling")
        for row in chosen:
            text = f"{row['mfu']:.0%} MFU, batch {row['batch_per_chip']:g}"
            place = (row["chips"], row["images_per_second_per_chip"])
            axes.annotate(text, place, textcoords="offset points", xytext=(0, 7), ha="center", fontsize=7)
    axes.set_xscale("log", base=2)
    ticks = sorted({row["chips"] for row in pods})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xlim(ticks[0] / 1.6, ticks[-1] * 1.6)
    axes.set_ylim(0, 1.25 * max(row["images_per_second_per_chip"] for row in pods))
    axes.set_xlabel("TPU v5p chips, batch a chip kept")
    axes.set_ylabel("images a second and chip")
    axes.set_title("Weak scaling of configs/flux.py, PREDICTED by compiler and roofline, never measured", fontsize=9)
    axes.legend(fontsize=7, loc="lower left")
    axes.grid(alpha=0.3)
    CURVE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(CURVE, dpi=130)


def main() -> None:
    """Makes the rows that are missing, then the page and the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--analytic", action="store_true", help="ask no compiler")
    parser.add_argument("--draw", action="store_true", help="make no rows")
    parser.add_argument("--machines", nargs="*", default=MACHINES)
    parser.add_argument("--runs", nargs="*", default=list(RUNS.values()), choices=list(RUNS.values()))
    flags = parser.parse_args()
    compile_only()
    rows = read_rows()
    for run in () if flags.draw else flags.runs:
        for machine in flags.machines:
            there = [row for row in rows if (row["run"], row["topology"]) == (run, machine)]
            wanted = not flags.analytic and parse_topology(machine).compiled
            if any(row["compiled"] or not wanted for row in there):
                continue
            row = make_row(run, machine, flags.analytic)
            rows = [other for other in rows if other not in there] + [row]
            ROWS.write_text("".join(json.dumps(row) + "\n" for row in rows))
            print(f"{run} on {machine}: {row['step_seconds']:.2f} s, MFU {row['mfu']:.0%}", flush=True)
    if not rows:
        raise UserError("there are no rows yet: run without --draw")
    write_page(rows)
    draw(rows)


if __name__ == "__main__":
    guard(main)
