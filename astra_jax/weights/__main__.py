"""Weights from the command line.

python -m astra_jax.weights inspect --config=configs/flux.py
python -m astra_jax.weights inspect --source=flux1-dev.safetensors
python -m astra_jax.weights import --config=configs/flux.py --source=FLUX.1-dev --out=weights/flux
python -m astra_jax.weights export --workdir=runs/puppets --out=weights/puppets
python -m astra_jax.weights export --workdir=runs/flux --adapters=lora=uno,dsm=astra --out=weights/adapters
python -m astra_jax.weights export --source=weights/flux --format=diffusers --out=weights/published
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from astra_jax import cli
from astra_jax.errors import UserError
from astra_jax.training.export import export_adapters, export_workdir
from astra_jax.training.mesh import make_mesh, shardings
from astra_jax.training.objectives import make_objective
from astra_jax.weights.adapters import FORMS
from astra_jax.weights.exporting import export_published
from astra_jax.weights.importing import Progress, check_published, import_parts, load_published, total_bytes
from astra_jax.weights.inspection import describe_tensors, describe_tree
from astra_jax.weights.orbax_folder import save_orbax
from astra_jax.weights.pretrained import DTYPES, WEIGHTS, find_pretrained, load_config
from astra_jax.weights.published import FOLDERS, FORMATS, find_table, part_of
from astra_jax.weights.sources import has_folder
from astra_jax.weights.tensors import READABLE, Tensors, open_tensors

_CONFIG = config_flags.DEFINE_config_file("config", None, "inspect, import: the model.", lock_config=True)
_SOURCE = flags.DEFINE_string(
    "source", None, "inspect, import: a safetensors file, a folder or a hub id; export: a folder of pretrained weights."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "export: folder of a training run.")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")
_DTYPE = flags.DEFINE_enum(
    "dtype", None, list(DTYPES), "Of the file; default: bfloat16 for import, the run's or the source's for export."
)
_PARTS = flags.DEFINE_list(
    "parts",
    None,
    "inspect, import: of transformer,autoencoder,t5,...; default: those that are there, of a hub id the transformer.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "pretrained",
    ["pretrained", "orbax", *FORMATS],
    "Of what is written: our folder of pretrained weights, an Orbax folder (import), or a published layout (export), "
    "which has a LoRA merged into the transformer.",
)
_ADAPTERS = flags.DEFINE_list(
    "adapters",
    None,
    "export of --workdir: these alone, in a form: lora=uno (or diffusers, astra), dsm=astra (or xverse)",
)


def inspect(argv: Sequence[str]) -> None:
    """Prints the leaves of a config's model, or the tensors of published files, with the total in the last line."""
    del argv
    if (_CONFIG.value is None) == (_SOURCE.value is None):
        raise UserError("inspect needs --config=FILE (a model's leaves) or --source=FILE (a file's tensors)")
    if _SOURCE.value is None:
        abstract = _abstract(cli.read_config(_CONFIG.value))
        parts = _known(_PARTS.value, list(abstract)) if _PARTS.value else list(abstract)
        print("\n".join(describe_tree({part: abstract[part] for part in parts})))
        return
    with open_tensors(_SOURCE.value) as tensors:
        print("\n".join(describe_tensors(tensors)))


def import_(argv: Sequence[str]) -> None:
    """Reads published weights and writes them as ours."""
    del argv
    if not _SOURCE.value or not _OUT.value:
        raise UserError("import needs --config=FILE, --source=FOLDER and --out=FOLDER")
    if _FORMAT.value in FORMATS:
        raise UserError("import writes --format=pretrained or --format=orbax")
    config = cli.read_config(_CONFIG.value)
    abstract = _abstract(config)
    dtype = _DTYPE.value or "bfloat16"
    with contextlib.ExitStack() as stack:
        opened: dict[str, Tensors] = {}
        for part, folder in _wanted(_SOURCE.value, list(abstract)):
            tensors = stack.enter_context(open_tensors(_SOURCE.value, folder))
            opened[part or part_of(config.model, tensors, abstract)] = tensors
        found = {part: (tensors, find_table(part, config.model, tensors)) for part, tensors in opened.items()}
        for part, (tensors, table) in found.items():
            check_published(tensors, table.naming, abstract[part], table.unread)
        size = sum(total_bytes(tensors, table.naming) for tensors, table in found.values())
        with _bar("import", size) as progress:
            if _FORMAT.value == "pretrained":
                namings = {part: (tensors, table.naming) for part, (tensors, table) in found.items()}
                import_parts(namings, abstract, config, _OUT.value, dtype, progress)
            else:
                mesh = make_mesh(config.mesh)
                placed = shardings({part: abstract[part] for part in found}, make_objective(config).rules, mesh)
                params = {
                    part: load_published(
                        tensors, table.naming, abstract[part], DTYPES[dtype], placed[part], progress, table.unread
                    )
                    for part, (tensors, table) in found.items()
                }
                save_orbax(_OUT.value, params)
    print(f"{_OUT.value}: {', '.join(found)} from {_SOURCE.value}")
    if others := [part for part in abstract if part in FOLDERS and part not in found]:
        print(f"not imported: {', '.join(others)} (see --parts)")


def _wanted(source: str, known: list[str]) -> list[tuple[str, str]]:
    """Pairs (part, subfolder) to read; an empty part is known by its tensors once the file is open."""
    if _PARTS.value:
        return [(part, FOLDERS[part]) for part in _known(_PARTS.value, [part for part in known if part in FOLDERS])]
    there = [(part, folder) for part, folder in FOLDERS.items() if part in known and has_folder(source, folder)]
    if there or pathlib.Path(source).exists():
        return there or [("", "")]
    return [("transformer", FOLDERS["transformer"])]  # a hub id, or nothing at all


def _known(parts: list[str], known: list[str]) -> list[str]:
    if unknown := [part for part in parts if part not in known]:
        raise UserError(f"--parts: there is no {unknown[0]!r}; choose of {', '.join(sorted(known))}")
    return parts


def export(argv: Sequence[str]) -> None:
    """Writes the newest checkpoint of a run, or a folder of pretrained weights, in a format of choice."""
    del argv
    workdir, source, out = _WORKDIR.value, _SOURCE.value, _OUT.value
    if not (workdir or source) or not out:
        raise UserError("export needs --workdir=RUN and --out=FOLDER (or --source=FOLDER of pretrained weights)")
    if workdir and source:
        raise UserError("--workdir and --source exclude each other")
    if _FORMAT.value == "orbax" or (_FORMAT.value == "pretrained" and source):
        raise UserError(f"export of --source writes --format={' or --format='.join(FORMATS)}; see import for orbax")
    forms = _adapter_forms()
    if forms and source:
        raise UserError("--adapters are written of a training run: give --workdir in place of --source")
    if forms and _FORMAT.present:
        raise UserError("--adapters and --format exclude each other: an adapter's form stands in --adapters")
    jax.config.update("jax_platforms", "cpu")  # a run may be using the accelerator's memory
    if forms:
        files = export_adapters(workdir or "", out, make_objective, forms, _DTYPE.value or "")
        print("\n".join(map(str, files)))
    elif source:
        _publish(source, out)
    elif _FORMAT.value == "pretrained":
        step = export_workdir(workdir or "", out, make_objective, _DTYPE.value or "")
        print(f"{out}: weights of step {step}")
    else:
        # Beside the result, for that disk has to have room anyway.
        beside = next(parent for parent in pathlib.Path(out).absolute().parents if parent.is_dir())
        with tempfile.TemporaryDirectory(dir=beside, prefix=".export.") as folder:
            export_workdir(workdir or "", f"{folder}/pretrained", make_objective, _DTYPE.value or "")
            _publish(f"{folder}/pretrained", out)


def _adapter_forms() -> dict[str, str]:
    """Part -> form of --adapters; raises `UserError` for anything but part=form."""
    forms: dict[str, str] = {}
    for text in _ADAPTERS.value or ():
        part, _, form = text.partition("=")
        if form not in FORMS.get(part, ()):
            known = ", ".join(f"{part}={form}" for part, forms in FORMS.items() for form in forms)
            raise UserError(f"--adapters: {text!r} is not one of {known}")
        if part in forms:
            raise UserError(f"--adapters: {part} is asked for twice: write one form at a time")
        forms[part] = form
    return forms


def _publish(folder: str, out: str) -> None:
    found = find_pretrained(folder)
    config = load_config(found)
    abstract = _abstract(config)
    with open_tensors(found / WEIGHTS) as tensors:
        parts = {name.partition("/")[0] for name in tensors.entries}
        abstract = {part: tree for part, tree in abstract.items() if part in parts}
        size = sum(entry.bytes for entry in tensors.entries.values())
        dtype = DTYPES[_DTYPE.value] if _DTYPE.value else READABLE[next(iter(tensors.entries.values())).dtype]
        with _bar("export", size) as progress:
            written, left = export_published(tensors, config.model, abstract, out, _FORMAT.value, dtype, progress)
    merged = "; lora merged into the transformer" if "lora" in abstract and "lora" not in left else ""
    rest = f"; left out, having no form in {_FORMAT.value}: {', '.join(left)}" if left else ""
    print(f"{out}: {', '.join(written)}{merged}{rest}")


def _abstract(config: Any) -> dict[str, Any]:
    return jax.eval_shape(make_objective(config).init, jax.random.key(0))


@contextlib.contextmanager
def _bar(name: str, size: int) -> Iterator[Progress]:
    with tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        yield bar.update


_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"export": export, "import": import_, "inspect": inspect}


def main() -> None:
    """Runs the command that the first argument names."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in _COMMANDS and not command.startswith("--help"):
        cli.fail(UserError(f"usage: python -m astra_jax.weights {'|'.join(_COMMANDS)} --out=FOLDER ... (see --help)"))
    sys.argv[1:2] = [] if command in _COMMANDS else [command]
    cli.run(_COMMANDS.get(command, export))


if __name__ == "__main__":
    main()
