import json

import pytest

from benchmarks import full_step


@pytest.mark.slow
def test_the_last_line_has_all_rows(capfd):
    options = ["--config", "configs/puppets.py", "--batch", "1", "--remat", "full", "--steps", "2", "--product", "64"]
    full_step.run(options)
    lines = capfd.readouterr().out.splitlines()
    (row,) = json.loads(lines[-1])["rows"]
    assert row["loss_finite"]
    assert row["images_per_second"] == pytest.approx(1 / row["step_seconds"], rel=0.01)
    assert row["mfu"] is None  # nobody publishes the peak of this CPU
