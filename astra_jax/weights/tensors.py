"""Published tensors by name, out of one or several safetensors files, read one at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from types import TracebackType
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open

from astra_jax.errors import UserError
from astra_jax.weights.sources import PathLike, Source, find_source

READABLE = {"BF16": np.dtype(ml_dtypes.bfloat16), "F16": np.dtype(np.float16), "F32": np.dtype(np.float32)}


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a file's header says of one tensor; `dtype` is safetensors' word for it."""

    file: pathlib.Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes of its values; 0 for a dtype that is not read."""
        return math.prod(self.shape) * READABLE[self.dtype].itemsize if self.dtype in READABLE else 0


class Tensors:
    """A context: the tensors of `source`, read from mapped files on demand.

    Opening reads the headers alone and holds them to the files' lengths. Raises `UserError` for damaged files, for a
    tensor that two files have, and for an index that promises other tensors than its files hold.
    """

    def __init__(self, source: Source):
        self.name = source.name
        self.entries: dict[str, Entry] = {}
        self._files: dict[pathlib.Path, Any] = {}
        with contextlib.ExitStack() as stack:
            for path in source.files:
                self._add(path, stack)
            if source.promised is not None:
                self._keep_promise(source.promised)
            self._stack = stack.pop_all()

    def _add(self, path: pathlib.Path, stack: contextlib.ExitStack) -> None:
        try:
            file: Any = stack.enter_context(safe_open(path, framework="np"))
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            entries = {name: Entry(path, tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is damaged: {error}; copy or download it again") from error
        if both := sorted(set(entries) & set(self.entries)):
            raise UserError(f"{self.name}: several files have {some(both)}; remove those that do not belong here")
        self._files[path] = file
        self.entries |= entries

    def _keep_promise(self, promised: dict[str, pathlib.Path]) -> None:
        astray = [
            name for name, path in promised.items() if name not in self.entries or self.entries[name].file != path
        ]
        if astray:
            raise UserError(f"{self.name}: its files lack what the index names, {some(sorted(astray))}; get them again")

    def read(self, name: str) -> Shaped[np.ndarray, "..."]:
        """One tensor, with the dtype of its file; raises `UserError` where the file cannot be read."""
        entry = self.entries[name]
        try:
            return self._files[entry.file].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{entry.file} is damaged: {error}; copy or download it again") from error

    def read_layer(self, name: str, index: int) -> Shaped[np.ndarray, "..."]:
        """`read(name)[index]` without reading the rest."""
        entry = self.entries[name]
        try:
            return self._files[entry.file].get_slice(name)[index]
        except (SafetensorError, OSError) as error:
            raise UserError(f"{entry.file} is damaged: {error}; copy or download it again") from error

    def metadata(self, key: str, default: str) -> str:
        """A word of the files' headers, at most 80 letters of it; `default` where no file has it."""
        words = [(file.metadata() or {}).get(key) for file in self._files.values()]
        return next((word for word in words if word), default)[:80]

    def __enter__(self) -> Tensors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def open_tensors(source: PathLike, folder: str = "") -> Tensors:
    """The tensors of a file, folder, index or hub id; `folder` as in `find_source`. Raises `UserError` as both do."""
    return Tensors(find_source(source, folder))


def some(names: list[str], separator: str = ", ", limit: int = 8) -> str:
    """The first names of a list, for a message of one line."""
    return separator.join(names[:limit]) + (f"{separator}..." if len(names) > limit else "")
