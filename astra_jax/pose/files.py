"""Reading JSON and arrays that somebody else wrote: bounded, never unpickled, every fault a `UserError`."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from astra_jax.errors import UserError


def read_json(path: Path, max_bytes: int) -> Any:
    """The JSON in a file of at most `max_bytes`.

    Raises `UserError` for a file that is missing, larger or no JSON.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise UserError(f"{path} has {size >> 20} MiB: at most {max_bytes >> 20} MiB are read")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error})") from error


def read_arrays(path: Path, names: tuple[str, ...], max_bytes: int) -> tuple[np.ndarray, ...]:
    """The arrays `names` of an npz file that unpacks to at most `max_bytes`.

    Raises `UserError` for a file that is missing, larger, no npz, with pickled objects or without one of the arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > max_bytes:
            raise UserError(f"{path} unpacks to {size >> 20} MiB: at most {max_bytes >> 20} MiB are read")
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays.files]
            if missing:
                raise UserError(f"{path} has no array {missing[0]!r}: it needs {', '.join(names)}")
            return tuple(arrays[name] for name in names)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no readable npz file ({error})") from error
