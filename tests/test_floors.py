"""Imports point downwards only: the table of docs/architecture.md, held by the source itself."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "astra_jax"

# Floor -> what it may import besides itself. A name with a dot is one module of a floor and is looked up first.
FLOORS = {
    "errors": set(),
    "params": set(),
    "whole_files": set(),
    "vit_config": {"errors"},
    "config": {"errors", "vit_config"},
    "cli": {"errors", "config", "hosts"},
    "hosts": {"errors"},
    "costs": {"vit_config", "config"},
    "models": {"vit_config", "config", "errors", "params"},
    "flow": set(),
    "pose": {"whole_files", "errors", "cli"},
    "pose.encoder_embedding": {"config", "errors", "models", "weights"},
    "weights": {"vit_config", "config", "errors", "params"},
    "weights.__main__": {"cli", "errors", "training"},
    "inputs": {"whole_files", "cli", "config", "errors", "models", "pose", "weights"},
    "training": {"whole_files", "config", "costs", "hosts", "errors", "params", "models", "flow", "weights"},
    "evaluation": {"vit_config", "whole_files", "config", "errors", "params", "models", "pose", "weights", "inputs"},
    "planning": {"config", "costs", "errors", "params", "models", "training"},
    "plan": {"cli", "errors", "planning"},
    "sampling": {"whole_files", "config", "errors", "params", "models", "flow", "pose", "inputs", "training"},
    "pipeline": {"config", "errors", "params", "models", "pose", "weights", "inputs", "training", "sampling"},
    "results": {"whole_files", "config", "errors", "inputs", "pipeline"},
    "drawing_run": {"errors", "inputs", "pipeline", "results", "sampling"},
    "processes": {"errors"},
    "ablation": {"whole_files", "config", "errors", "pose", "evaluation", "processes"},
    "model_flags": {"cli", "config", "errors", "pipeline", "pose", "sampling", "training"},
}


def imported(path: pathlib.Path, package: str) -> set[str]:
    """The names under `package` that a source file imports, as "floor" or "floor.module"."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package:
            rest = node.module.split(".")[1:]
            names |= {".".join(rest)} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[2] for alias in node.names if alias.name.split(".")[0] == package}
    return names - {""}


def sources():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.read_text(encoding="utf-8").strip())


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_lower_floors_only(path):
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    floor = module.split(".")[0]
    assert floor in FLOORS, f"{floor} has no floor: add it to the table here and in docs/architecture.md"
    allowed = FLOORS.get(module, FLOORS[floor]) | {floor}
    upwards = {name for name in imported(path, "astra_jax") if name.split(".")[0] not in allowed}
    assert not upwards, f"{module} may not import {sorted(upwards)}"


@pytest.mark.parametrize("module", ["tensorflow", "torch", "data", "configs"])
def test_the_package_imports_neither_tensorflow_nor_torch_nor_its_own_users(module):
    users = [
        str(path.relative_to(ROOT))
        for path in sources()
        if re.search(rf"^\s*(import|from) {module}\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert not users


def test_every_floor_is_in_the_documentation():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Floors")[2].partition("## A training run")[0]
    for floor in FLOORS:
        assert floor.split(".")[0] in table
