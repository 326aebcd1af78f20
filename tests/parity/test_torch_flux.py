"""The PyTorch side of benchmarks/transformer.py: diffusers' module written out computes the same."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from astra_jax.models.europe import positions  # noqa: E402
from benchmarks import flux_problem, torch_flux, transformer, transformer_gpu  # noqa: E402

SMALL = transformer_gpu.SMALL


def test_the_module_written_out_equals_diffusers():
    theirs, ours = torch_flux.build(SMALL.config, diffusers=True), torch_flux.build(SMALL.config, diffusers=False)
    torch_flux.randomize(theirs)
    ours.load_state_dict(theirs.state_dict())
    arrays = {name: torch.from_numpy(array) for name, array in flux_problem.random_inputs(SMALL).items()}
    ids = positions(SMALL.text, SMALL.canvas, SMALL.pose, SMALL.references)
    x = torch.cat([arrays["x"], arrays["images"]], 1)
    with torch.no_grad():
        out = [
            torch_flux.velocity(module, arrays["text"], arrays["pooled"], arrays["guidance"], ids)(x, arrays["t"])
            for module in (theirs, ours)
        ]
    assert (out[0] - out[1]).abs().max() < 2e-5 * out[0].abs().max()


def test_the_cpu_benchmark_compares_and_times(monkeypatch, capsys):
    monkeypatch.setitem(transformer.SIZES, "small", flux_problem.Problem(SMALL.config, 6, (4, 4)))
    transformer.run(["--sizes", "small", "--rounds", "1", "--patience", "0"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["forward_ratio"] == last["rows"][0]["forward_ratio"] > 0
    assert last["rows"][0]["differences"]["gradients"] < transformer.TOLERANCE


def test_pytorchs_row_of_the_gpu_benchmark():
    dtype = torch.get_default_dtype()
    try:
        row = transformer_gpu.measure_torch(SMALL, False, 2, 1, 64)
    finally:
        torch.set_default_dtype(dtype)
    assert row["finite"]
    assert row["product"] > 0


def test_both_sides_of_the_gpu_benchmark_compute_the_same():
    assert transformer_gpu.difference(SMALL)["difference"] < 0.03  # bfloat16
