"""Where published weights lie: a safetensors file, a folder, a sharded folder with its index, or a hub id.

Files may come from anywhere. Only safetensors are read: the other formats in use are pickles, and unpickling runs
whatever code a file holds. An index is bounded in size and names files of its own folder alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re

from astra_jax.errors import UserError

PathLike = str | os.PathLike[str]

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_INDEX = ".safetensors.index.json"
_USUAL = ("diffusion_pytorch_model.safetensors", "model.safetensors")
_MAX_INDEX_BYTES = 1 << 24
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclasses.dataclass(frozen=True)
class Source:
    """Files that together hold the tensors of one model.

    Attributes:
        name: for messages.
        files: in the order they are read.
        promised: tensor name -> file, where an index says so.
    """

    name: str
    files: tuple[pathlib.Path, ...]
    promised: dict[str, pathlib.Path] | None = None


def find_source(source: PathLike, folder: str = "") -> Source:
    """The files of `source`.

    Args:
        source: a .safetensors file, an index (.safetensors.index.json), a folder, or a hub id "owner/name".
        folder: the subfolder with the part that is wanted, "transformer"; ignored where `source` has none.

    Raises `UserError` for pickles, for a folder without safetensors or with several that do not belong together, for an
    index that is damaged or reaches out of its folder, and where the hub cannot be reached.
    """
    path = pathlib.Path(source)
    if not path.exists() and _HUB_ID.fullmatch(str(source)):
        path = _download(str(source), folder)
    if path.is_dir():
        return _in_folder(path / folder if folder and (path / folder).is_dir() else path)
    if not path.exists():
        raise UserError(f"{path} does not exist: give a safetensors file, a folder or a hub id owner/name")
    if path.name.endswith(_INDEX):
        return _sharded(path)
    _refuse_pickles([path])
    if path.suffix != ".safetensors":
        raise UserError(f"{path} is no .safetensors file: weights are read from safetensors alone")
    return Source(str(path), (path,))


def has_folder(source: PathLike, folder: str) -> bool:
    """Whether `source` is a local folder with this subfolder."""
    return (pathlib.Path(source) / folder).is_dir()


def _in_folder(folder: pathlib.Path) -> Source:
    files = sorted(folder.iterdir())
    indices = [file for file in files if file.name.endswith(_INDEX)]
    if len(indices) == 1:
        return _sharded(indices[0])
    tensors = [file for file in files if file.suffix == ".safetensors" and file.is_file()]
    usual = [file for file in tensors if file.name in _USUAL]
    if len(indices) > 1 or (len(tensors) > 1 and len(usual) != 1):
        several = ", ".join(file.name for file in indices or tensors)
        raise UserError(f"{folder} holds several weights ({several}): give the path of one")
    if not tensors:
        _refuse_pickles(files)
        raise UserError(f"{folder} holds no .safetensors file: give the folder or the file with the weights")
    return Source(str(folder), tuple(usual or tensors))


def _refuse_pickles(files: list[pathlib.Path]) -> None:
    for file in files:
        if file.suffix in _PICKLES:
            raise UserError(
                f"{file} is a pickle, and reading a pickle runs whatever code it holds: "
                "get the .safetensors of these weights, or have someone who trusts the file convert it"
            )


def _sharded(index: pathlib.Path) -> Source:
    if index.stat().st_size > _MAX_INDEX_BYTES:
        raise UserError(f"{index} has more than {_MAX_INDEX_BYTES} bytes: this is no index of weights")
    try:
        tree = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{index} is damaged: {error}; copy or download it again") from error
    names = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(names, dict) or not names:
        raise UserError(f"{index} has no weight_map: copy or download it again")
    promised = {name: _beside(index, file) for name, file in names.items()}
    files = tuple(sorted(set(promised.values())))
    if absent := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"{index.parent} lacks {len(absent)} files of its index ({', '.join(absent[:8])}): get them too"
        )
    return Source(str(index.parent), files, promised)


def _beside(index: pathlib.Path, file: object) -> pathlib.Path:
    # By name alone: the hub's cache keeps links in a snapshot whose files lie elsewhere.
    if not isinstance(file, str) or not file.endswith(".safetensors") or re.search(r"[/\\:\0]", file):
        raise UserError(
            f"{index} names {str(file)[:80]!r}: an index may name .safetensors files of its own folder only"
        )
    return index.parent / file


def _download(repository: str, folder: str) -> pathlib.Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    prefix = f"{folder}/" if folder else ""
    wanted = [f"{prefix}*.safetensors", f"{prefix}*.json"]
    try:
        return pathlib.Path(snapshot_download(repository, allow_patterns=wanted))
    except (HFValidationError, OSError) as error:  # the errors of hub and network are OSErrors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{repository} is no local path and cannot be had from the hub ({reason}): "
            "log in with `hf auth login` and accept its licence there, or give a folder on disk"
        ) from error
