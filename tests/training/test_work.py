import dataclasses
from types import SimpleNamespace

import jax
import numpy as np

from astra_jax.config import Config, DataConfig, TrainConfig
from astra_jax.costs.step import step_flops
from astra_jax.training.work import StepWork

TRAINED = ["transformer/final_linear/kernel"]
H200 = [SimpleNamespace(device_kind="NVIDIA H200")] * 4


def batch(*shape):
    return SimpleNamespace(target=np.zeros(shape, np.uint8))


def test_peak_seconds_are_needed_flops_over_the_peak_of_the_kind_of_chip():
    config = Config(train=TrainConfig(batch_size=8))
    work = StepWork(config, H200, TRAINED)
    assert work.images == 2
    np.testing.assert_allclose(work.peak_seconds({"any": "batch"}), 2 * step_flops(config, TRAINED) / 989.5e12)
    assert StepWork(config, jax.devices(), TRAINED).peak_seconds(None) is None  # a CPU


def test_a_chip_of_unknown_peak_is_told_and_a_cpu_is_not():
    config = Config(train=TrainConfig(batch_size=8))
    unknown = StepWork(config, [SimpleNamespace(device_kind="NVIDIA X1000", platform="gpu")], TRAINED)
    assert unknown.peak_seconds(None) is None
    assert "mfu is not logged: the peak rate of 'NVIDIA X1000' is unknown" in unknown.why_no_mfu()
    assert StepWork(config, H200, TRAINED).why_no_mfu() is None
    assert StepWork(config, jax.devices(), TRAINED).why_no_mfu() is None


def test_every_batch_counts_with_its_own_canvas():
    data = DataConfig(buckets=((512, 512), (256, 768)))
    config = Config(data=data, train=TrainConfig(batch_size=8))
    work = StepWork(config, H200, TRAINED)
    wide = dataclasses.replace(config, data=DataConfig(height=256, width=768))
    for _ in range(2):
        seconds = work.peak_seconds(batch(2, 256, 768, 3))
        np.testing.assert_allclose(seconds, 2 * step_flops(wide, TRAINED) / 989.5e12)
        assert seconds < work.peak_seconds(batch(2, 512, 512, 3))
    # Of latents one is 8 pixels a side.
    cached = StepWork(dataclasses.replace(config, data=dataclasses.replace(data, latents="x")), H200, TRAINED)
    smaller = dataclasses.replace(wide, data=dataclasses.replace(wide.data, latents="x"))
    expected = 2 * step_flops(smaller, TRAINED) / 989.5e12
    np.testing.assert_allclose(cached.peak_seconds(batch(2, 32, 96, 32)), expected)
