"""`python -m astra_jax.plan` as a user runs it."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
HAS_LIBTPU = importlib.util.find_spec("libtpu") is not None


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    """The model of configs/puppets.py in bfloat16, and 16 examples."""
    path = tmp_path_factory.mktemp("configs") / "tiny.py"
    path.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from configs import puppets\n"
        "def get_config():\n"
        "    config = puppets.get_config()\n"
        "    config.model.dtype = 'bfloat16'\n"
        "    config.train.batch_size = 16\n"
        "    return config\n"
    )
    return path


def plan(config_file, *flags, limit=120):
    command = [sys.executable, "-m", "astra_jax.plan", f"--config={config_file}", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)


def test_a_plan_for_gpus_is_analytic_and_ends_in_json(config_file):
    done = plan(config_file, "--topology=h200:8", "--search")
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert numbers["fits"]
    assert not numbers["compiled"]
    assert 0 < numbers["mfu"] < 1
    assert numbers["step_seconds"] > 0
    assert 0 < numbers["hbm_gib"] < numbers["hbm_limit_gib"]
    assert "analytic" in done.stdout
    assert "PREDICTED, not measured" in done.stdout


def test_a_mistake_is_one_line_and_exit_code_2(config_file):
    done = plan(config_file, "--topology=v5p:4x4")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: --topology 'v5p:4x4': v5p takes 3 dimensions")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not HAS_LIBTPU, reason="needs libtpu: pip install '.[plan]'")
@pytest.mark.parametrize(
    ("topology", "data", "axes"), [("v5e:2x2", 2, {"fsdp"}), ("2xv5e:2x2", 4, {"data", "fsdp", "slices"})]
)
def test_the_tpu_compiler_compiles_the_step(config_file, topology, data, axes):
    sizes = [f"--config.mesh.data={data}", "--config.mesh.fsdp=2"]
    done = plan(config_file, f"--topology={topology}", *sizes, limit=1800)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert numbers["compiled"]
    assert numbers["fits"]
    assert numbers["memory_gib"]["program"] > 0
    assert {tuple(c["axes"]) for c in numbers["collectives"]} >= {(axis,) for axis in axes}
    (between,) = [c for c in numbers["collectives"] if c["axes"] == ["slices"]] or [None]
    if between:  # the gradients of the trained weights: each chip's share of them, but for small ones, which are padded
        whole = numbers["memory_gib"]["trained weights"] * 2**30
        assert 0.5 < between["bytes"] / (2 * whole / 2 / 2) < 2
    assert abs(numbers["block_flops_deviation"]) < 0.3
