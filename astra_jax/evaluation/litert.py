"""Networks in LiteRT's form (.tflite), run by the package ai-edge-litert, which the extra `evaluate` brings."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

from astra_jax.errors import UserError

MAX_FILE_BYTES = 256 << 20
MAX_TENSOR_BYTES = 1 << 30  # of all tensors together, which the file alone decides


class LiteNetwork:
    """A network with one input, called with numpy arrays. Runs on one CPU thread; not to be called from two at once."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        input_shape: tuple[int, ...],
        output_shapes: Sequence[tuple[int, ...]],
        input_dtype: type[np.generic] = np.uint8,
        tensors: Sequence[str] = (),
    ):
        """Reads the file and holds it to what the caller is going to do with it.

        Args:
          path: of the .tflite file.
          input_shape: of what it is called with, with the batch axis.
          output_shapes: of what it gives, in order.
          input_dtype: of what it is called with.
          tensors: names of tensors inside the network to give in place of its outputs. Nothing is fused then, which is
            slower.

        Raises `UserError` where ai-edge-litert is not installed, where the file is missing, too large or damaged, and
        where it holds another network than the caller expects.
        """
        self._path = pathlib.Path(path).expanduser()
        self._network = _open(self._path, keep=bool(tensors))
        details = self._network.get_tensor_details()
        if sum(_bytes(tensor) for tensor in details) > MAX_TENSOR_BYTES:
            raise UserError(f"{self._path} needs more than {MAX_TENSOR_BYTES} bytes: this is no network to evaluate by")
        inputs = self._network.get_input_details()
        named = {tensor["name"]: tensor for tensor in details}
        if missing := [name for name in tensors if name not in named]:
            raise UserError(f"{self._path} has no tensor {missing[0]!r}: give the file of the network that has it")
        self._outputs = [named[name] for name in tensors] or self._network.get_output_details()
        self._check("inputs", inputs, [input_shape])
        self._check("outputs", self._outputs, output_shapes)
        if inputs[0]["dtype"] is not input_dtype:
            raise UserError(
                f"{self._path} reads {inputs[0]['dtype'].__name__}, not {input_dtype.__name__}: give the file of the"
                " other kind"
            )
        self._input = inputs[0]
        try:
            self._network.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{self._path} cannot be run ({_line(error)}): copy or download it again") from error

    def __call__(self, value: Shaped[np.ndarray, "..."]) -> list[Float[np.ndarray, "..."]]:
        """The outputs as float32. Quantised ones become `scale * (value - zero_point)`, as the file says.

        `value` goes in as it is: pixels for a network that reads pixels. Raises ValueError for another shape or dtype
        than the network was opened for, and `UserError` where the network fails.
        """
        if value.shape != tuple(self._input["shape"]) or value.dtype != self._input["dtype"]:
            raise ValueError(f"{self._path} reads {self._input['shape']} of {self._input['dtype'].__name__}")
        self._network.set_tensor(self._input["index"], np.ascontiguousarray(value))
        try:
            self._network.invoke()
        except RuntimeError as error:
            raise UserError(f"{self._path} cannot be run ({_line(error)}): copy or download it again") from error
        return [_dequantised(self._network.get_tensor(tensor["index"]), tensor) for tensor in self._outputs]

    def _check(self, what: str, tensors: list[dict], shapes: Sequence[tuple[int, ...]]) -> None:
        have = [tuple(int(size) for size in tensor["shape"]) for tensor in tensors]
        if have != list(shapes):
            raise UserError(f"{self._path} has {what} of {have}, not {list(shapes)}: this is another network")


def _open(path: pathlib.Path, keep: bool):
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ModuleNotFoundError as error:
        raise UserError("this network runs by the package ai-edge-litert: pip install '.[evaluate]'") from error
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path} has more than {MAX_FILE_BYTES} bytes: this is no network to evaluate by")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give a .tflite file") from error
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if keep else OpResolverType.AUTO
    try:
        return Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=kernels,
            experimental_preserve_all_tensors=keep,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path} is no .tflite file ({_line(error)}): copy or download it again") from error


def _bytes(tensor: dict) -> int:
    # A size that is only known when the network runs stands as 0 or -1.
    return math.prod(max(int(size), 1) for size in tensor["shape"]) * np.dtype(tensor["dtype"]).itemsize


def _dequantised(value: Shaped[np.ndarray, "..."], tensor: dict) -> Float[np.ndarray, "..."]:
    scale, zero = tensor["quantization"]
    return np.asarray(scale * (value.astype(np.float32) - zero) if scale else value, np.float32)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
