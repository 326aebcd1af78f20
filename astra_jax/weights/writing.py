"""Safetensors files written tensor by tensor, for models that should not be held in memory once more."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

from astra_jax.weights.sources import PathLike

_WORDS = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(ml_dtypes.bfloat16): "BF16"}
METADATA = {"format": "pt"}  # readers of published files ask for this word of their header
Chunks = Iterable[Shaped[np.ndarray, "..."]]


def write_safetensors(
    path: PathLike,
    shapes: dict[str, tuple[int, ...]],
    dtype: Any,
    chunks: Chunks,
    metadata: dict[str, str] | None = None,
) -> None:
    """Writes one file.

    Args:
        path: of the file; it is replaced.
        shapes: of all tensors, in the order their values come.
        dtype: of all tensors: float32, float16 or bfloat16.
        chunks: the values of the tensors in C order, one after the other, in pieces of any size.
        metadata: strings for the header.

    Raises ValueError where the chunks do not add up to the shapes, and OSError.
    """
    dtype = np.dtype(dtype)
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _WORDS[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # values start at a multiple of 8 bytes
    written = 0
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for chunk in chunks:
            values = np.ascontiguousarray(chunk, dtype)
            # Not every numpy knows bfloat16 as a buffer; bytes it always knows.
            file.write(values.reshape(-1).view(np.uint8).data)
            written += values.nbytes
        file.flush()
        os.fsync(file.fileno())
    if written != end:
        raise ValueError(f"{path}: {written} bytes came for tensors of {end}")


def zeros(shapes: dict[str, tuple[int, ...]]) -> Iterator[Shaped[np.ndarray, "..."]]:
    """Chunks of zeros, for tensors that a published form has and our model does not."""
    return (np.zeros(shape, np.float32) for shape in shapes.values())
