import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from astra_jax.errors import UserError
from astra_jax.training.meter import Meter
from astra_jax.training.metrics import JsonlWriter, format_seconds, make_writer


class Recorder:
    def __init__(self):
        self.lines = []

    def scalars(self, step, values):
        self.lines.append((step, dict(values)))

    def picture(self, step, picture):
        pass

    def close(self):
        pass


def metrics(loss, skipped=0.0):
    return {"loss": jnp.float32(loss), "skipped": jnp.float32(skipped)}


def test_the_meter_lags_one_step_and_averages():
    recorder = Recorder()
    meter = Meter(recorder, log_every=2, max_skipped=3, start=10, images=4.0)
    for step, loss, needed in ((11, 7.0, 0.5), (12, 1.0, 0.5), (13, 2.0, 0.001), (14, 4.0, 0.003)):
        meter.push(step, metrics(loss), needed)
    assert [step for step, _ in recorder.lines] == [11, 12]  # 11: the first of this process; 14 is still unread
    meter.flush()
    meter.flush()
    assert [(step, values["loss"]) for step, values in recorder.lines] == [(11, 7.0), (12, 1.0), (14, 3.0)]
    last = recorder.lines[-1][1]
    assert last["steps_per_second"] > 0
    np.testing.assert_allclose(last["images_per_second_per_chip"], 4 * last["steps_per_second"])
    np.testing.assert_allclose(last["mfu"], 0.002 * last["steps_per_second"])  # the two steps' mean
    assert "steps_per_second" not in recorder.lines[0][1]


def test_skipped_steps_are_counted_and_stay_out_of_the_mean():
    recorder = Recorder()
    meter = Meter(recorder, log_every=4, max_skipped=3, start=0, images=1.0)
    for step, loss, skipped in ((1, 1.0, 0.0), (2, math.nan, 1.0), (3, 5.0, 0.0), (4, math.nan, 1.0)):
        meter.push(step, metrics(loss, skipped))
    meter.flush()
    assert recorder.lines[-1][1]["loss"] == 5.0
    assert recorder.lines[-1][1]["skipped"] == 2.0
    assert "mfu" not in recorder.lines[-1][1]  # the peak is unknown
    meter.push(5, metrics(math.nan, 1.0))
    meter.push(6, metrics(math.nan, 1.0))
    with pytest.raises(UserError, match="not finite in the 3 steps up to step 6"):
        meter.push(7, metrics(math.nan, 1.0))


def test_jsonl_drops_what_a_resumed_run_will_write_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path, 0)
    for step in (1, 2, 3):
        writer.scalars(step, {"loss": step / 2 if step != 2 else math.nan})
    writer.close()
    with path.open("a") as file:
        file.write('{"step": 4, "lo')  # killed while writing
    writer = JsonlWriter(path, 2)
    writer.scalars(3, {"loss": 9.0})
    writer.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}, {"step": 3, "loss": 9.0}]


def test_all_writers(tmp_path, capsys):
    writer = make_writer(tmp_path, 100, 0)
    writer.scalars(50, {"loss": 0.25, "skipped": 1.0, "steps_per_second": 0.5, "data_wait": 0.1})
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    writer.picture(50, picture)
    writer.close()
    line = capsys.readouterr().out
    assert "step 50/100  loss 0.25000" in line
    assert "SKIPPED 1 steps" in line
    assert "1 min 40 s left" in line
    with Image.open(tmp_path / "samples" / "step_0000050.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)
    assert list((tmp_path / "tensorboard").iterdir())
    assert (tmp_path / "metrics.jsonl").read_text().startswith('{"step": 50, "loss": 0.25')


def test_times_are_readable():
    assert [format_seconds(s) for s in (4.4, 75.0, 7260.0)] == ["4 s", "1 min 15 s", "2 h 1 min"]
