"""The Colab notebook: it runs from top to bottom, and what is in git is a whole run that names no machine."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "astra_colab.ipynb"
# In a process of its own: the kernel's sockets and its device are no business of the other tests.
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def text_of(cell):
    """All that a code cell printed."""
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_runs_from_top_to_bottom(tmp_path):
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-c", RUN, str(NOTEBOOK), str(tmp_path / "run.ipynb")]
    done = subprocess.run(command, cwd=tmp_path, env=clean | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = [c for c in json.loads((tmp_path / "run.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    said = "\n".join(map(text_of, cells))
    assert "from step 0 to 50" in said
    assert "from step 50 to 70" in said  # resumed
    shares = {
        mode: float(share) for mode, share in re.findall(r"^(\w+) +([\d.]+)% of what goes to the pose", said, re.M)
    }
    assert shares["europe"] > 5 * shares["unope"]


def test_what_is_stored_is_one_whole_run():
    assert NOTEBOOK.stat().st_size < 2**20
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"/(work|root|home|tmp)/", text)
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output["output_type"] for cell in cells for output in cell["outputs"]]
    assert "error" not in kinds
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"]) >= 9
