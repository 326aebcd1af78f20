"""Small .tflite files with known arithmetic, written through the schema that ai-edge-litert ships."""

import flatbuffers
import numpy as np
import pytest

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

DTYPES = {np.uint8: schema.TensorType.UINT8, np.int32: schema.TensorType.INT32, np.float32: schema.TensorType.FLOAT32}


class Network:
    """Collects tensors and operators; `write` makes the file."""

    def __init__(self):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.buffers, self.model.operatorCodes = 3, [schema.BufferT()], []
        self.model.subgraphs = [self.graph]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name, shape, dtype=np.uint8, scale=0.0, zero=0, value=None):
        """The new tensor's index; quantised with `scale` and `zero`, constant with a `value`."""
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), DTYPES[dtype], 0
        if scale:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(value, dtype).tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, options=None):
        """Adds an operator; `options` is the schema's object of its settings."""
        code, made = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        made.opcodeIndex, made.inputs, made.outputs = len(self.model.operatorCodes), inputs, outputs
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            made.builtinOptionsType, made.builtinOptions = getattr(schema.BuiltinOptions, kind), options
        self.model.operatorCodes.append(code)
        self.graph.operators.append(made)

    def pool(self, source, target, rows, columns):
        """The mean of every `rows` x `columns` pixels."""
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.filterHeight, options.filterWidth, options.strideH, options.strideW = rows, columns, rows, columns
        self.operator("AVERAGE_POOL_2D", [source], [target], options)

    def write(self, path, inputs, outputs):
        """Writes the file and returns its path."""
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path
