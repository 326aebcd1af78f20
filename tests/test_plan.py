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
    """The first steps of configs/puppets.py's model, in bfloat16."""
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


def start(config_file, *flags):
    command = [sys.executable, "-m", "astra_jax.plan", f"--config={config_file}", *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_plan_for_gpus_is_analytic_and_ends_in_json(config_file):
    process = start(config_file, "--topology=h200:8", "--search")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    plan = json.loads(out.splitlines()[-1])
    assert plan["fits"]
    assert not plan["compiled"]
    assert 0 < plan["mfu"] < 1
    assert plan["step_seconds"] > 0
    assert 0 < plan["hbm_gib"] < plan["hbm_limit_gib"]
    assert "analytic" in out
    assert "PREDICTED, not measured" in out


def test_mistakes_are_one_line_and_exit_code_2(config_file):
    cases = {
        ("--topology=v5p:4x4",): "v5p takes 3 dimensions",
        ("--topology=h200:8", "--config.mesh.data=3"): "does not fit 8 devices; nearest",
        ("--topology=h200:8", "--config.train.batch_size=12"): "train.batch_size 12 does not divide",
        ("--topology=h200:8", "--batch_per_chip=0.3"): "makes no whole batch",
        ("--topology=v5p:3x5x4",): "refuses it" if HAS_LIBTPU else "libtpu is not there",
    }
    processes = {flags: start(config_file, *flags) for flags in cases}
    for flags, process in processes.items():
        _, err = process.communicate(timeout=120)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert process.returncode == 2, (flags, err)
        assert len(lines) == 1
        assert cases[flags] in lines[0]
        assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(not HAS_LIBTPU, reason="needs libtpu: pip install '.[plan]'")
def test_the_tpu_compiler_compiles_the_step(config_file):
    process = start(config_file, "--topology=v5e:2x2", "--config.mesh.data=2", "--config.mesh.fsdp=2")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    plan = json.loads(out.splitlines()[-1])
    assert plan["compiled"]
    assert plan["fits"]
    assert plan["memory_gib"]["program"] > 0
    assert {tuple(c["axes"]) for c in plan["collectives"]} >= {("fsdp",)}
    assert abs(plan["block_flops_deviation"]) < 0.3
