"""The benchmarks of sampling, small: their figures hang together, whatever the clock says."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import conditioning, steps


def last_line(capfd):
    return json.loads(capfd.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_conditioning(capfd):
    conditioning.run(["--sizes", "flux_form", "--width", "128", "--steps", "3", "--timed", "1", "--repeats", "1"])
    result = last_line(capfd)
    assert (result["steps"], result["timed"]) == (3, 1)
    measured, counted = result["measured"]["flux_form"], result["counted"]["flux"]
    for row, table in ((measured, measured["seconds"]), (counted, counted["tflops"])):
        for variant in ("full", "cached"):
            for part in ("picture", "steps"):
                assert row[f"{variant}_{part}_ratio"] == pytest.approx(
                    table[variant][part] / table["plain"][part], 1e-2
                )
        for parts in table.values():
            assert parts["picture"] == pytest.approx(parts["encode"] + parts["steps"] + parts["decode"], rel=1e-2)
    assert result["cached_ratio"] == measured["cached_picture_ratio"]
    # 3,360 tokens against 1,536: products alone cost more than that much, with the cache hardly more.
    assert counted["full_steps_ratio"] > 3360 / 1536
    assert 1 < counted["cached_steps_ratio"] < 1.2


@pytest.mark.slow
def test_start():
    command = [sys.executable, "-m", "benchmarks.start", "--repeats=1"]
    usual = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}  # programs as users get them
    done = subprocess.run(command, env=usual, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["ratio"] == pytest.approx(result["first_seconds"] / result["second_seconds"], rel=0.05)
    assert result["ratio"] > 1.5  # nothing is compiled again


@pytest.mark.slow
def test_steps(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "STEPS", {"euler": (2, 6), "dpmpp": (6,)})
    monkeypatch.setattr(steps, "THRESHOLDS", {"euler": (0.3,)})
    monkeypatch.setattr(steps, "SHEET", (steps.Setting("euler", 6),))
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"prompt": "a man waving hello, on the beach"}\n')
    out = tmp_path / "sheets"
    steps.run(["--requests", str(requests), "--cfg_scale=1", "--reference=12", "--repeats=1", f"--out={out}"])
    rows = {(row["solver"], row["steps"], row["threshold"]): row for row in last_line(capfd)["rows"]}
    error = {key: row["latents"] for key, row in rows.items() if "latents" in row}
    assert error["euler", 2, 0.0] > error["euler", 6, 0.0] > error["dpmpp", 6, 0.0] > 0
    assert error["euler", 25, 0.3] > error["euler", 12, 0.0]
    assert 0 < rows["euler", 25, 0.3]["saved"] <= rows["euler", 25, 0.3]["reused"] < 1
    assert "ms" not in rows["euler", 12, 0.0]  # as many steps as the true solution: a check, which nobody waits for
    (sheet,) = out.iterdir()
    pixels = np.asarray(Image.open(sheet))
    assert pixels.std() > 10
    assert pixels.shape[1] == 2 * 128  # a column for the setting, one for the true solution
