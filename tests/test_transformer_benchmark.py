import json

import pytest

from astra_jax.errors import UserError
from benchmarks import transformer, transformer_gpu


@pytest.mark.slow
def test_our_row_of_the_gpu_benchmark(capsys):
    options = ["--one", "plain", "--small", "--steps", "2", "--repeats", "1", "--product", "64"]
    transformer.run(["--device", "gpu", *options])
    row = json.loads(capsys.readouterr().out.removeprefix("ROW "))
    assert row["finite"]
    assert 0 < row["forward_seconds"] < row["sampling_seconds"] * 10
    assert row["share_of_product_rate"] > 0


def test_flops_of_the_full_size():
    """One velocity of 3,360 tokens: 2 x (tokens x weights + attention), the weights of blocks counted by hand."""
    problem = transformer_gpu.FULL
    assert problem.tokens == 512 + 1024 + 1024 + 800
    square = 3072**2
    double, single, attention = 12 * square, 12 * square, 2 * 3360 * 3072
    by_hand = 2 * 3360 * (19 * (double + attention) + 38 * (single + attention))
    assert transformer_gpu.forward_flops(problem) == pytest.approx(by_hand, rel=0.005)


def test_the_quietest_samples_count(monkeypatch):
    used, clock = iter([0.0, 9.0, 9.0, 9.0, 9.0, 9.1]), iter(range(100))
    monkeypatch.setattr(transformer, "_others", lambda: next(used))
    monkeypatch.setattr(transformer.time, "perf_counter", lambda: next(clock))
    ticks = iter(range(0, 1000, 2))
    medians, _ = transformer.alternate([lambda: None], lambda: next(ticks), 2, 0.05, 60)
    assert medians == [2.0]
    assert next(used, None) is None  # a third sample replaced the first, which others disturbed


def test_what_goes_together_is_asked_for(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    with pytest.raises(UserError, match="set NPROC=1"):
        transformer.run(["--clock", "cpu"])
    with pytest.raises(UserError, match="at least 1"):
        transformer.run(["--rounds", "0"])
    with pytest.raises(UserError, match="no GPU is here: add --small"):
        transformer.run(["--device", "gpu", "--one", "plain"])
