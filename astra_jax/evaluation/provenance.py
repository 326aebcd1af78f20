"""What a result keeps of the flags it was made with: enough to make it again where files lie elsewhere."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from astra_jax.weights.pretrained import fingerprint_files
from astra_jax.weights.sources import find_source

# Flags that name files which decide what figures come out, and those that name folders of data.
_FILES = ("list", "keypoints", "vitpose", "movenet", "clip", "dino", "dinov2", "mobilenet")
_FOLDERS = ("data", "portraits", "photos", "images")


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Flags' values as a result's settings; those that are not given (None) are left out.

    A network or a list becomes the name of its file or folder and a fingerprint of what is read of it, a folder of data
    its name; all others stay as they are. Raises `UserError` for a network's folder without weights.
    """
    return {name: _kept(name, value) for name, value in values.items() if value is not None}


def _kept(flag: str, value: Any) -> Any:
    if flag in _FILES:
        path = pathlib.Path(value).expanduser().resolve()
        # A training run's workdir keeps its weights in `pretrained`.
        files = [path] if path.is_file() else find_source(path, "pretrained").files
        return {"name": path.name, "fingerprint": fingerprint_files(files)}
    return pathlib.Path(value).expanduser().resolve().name if flag in _FOLDERS else value
