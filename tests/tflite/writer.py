"""TFLite files of a few operators, written with the peer's own schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


@dataclass
class T:
    """One tensor: contents make it a constant; `scales` and `zeros` quantise it along `axis`."""

    shape: Sequence[int]
    dtype: str = "int8"
    scales: Any = None
    zeros: Any = 0
    data: np.ndarray | None = None
    axis: int = 0
    variable: bool = False
    signature: Sequence[int] | None = None
    name: str = ""


def constant(array: np.ndarray, scales: Any = None, zeros: Any = 0, axis: int = 0) -> T:
    return T(array.shape, str(array.dtype), scales, zeros, array, axis)


@dataclass
class Step:
    """One operator: tensor numbers (-1: left out), and its options by the schema's own names."""

    code: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: dict[str, Any] | None = None
    kind: str = ""
    intermediates: Sequence[int] = ()
    version: int = 0


VERSIONS = {
    "FULLY_CONNECTED": 4, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 2, "SVDF": 1, "ADD": 2, "SUB": 2,
    "MUL": 2, "LOGISTIC": 2, "TANH": 2, "SOFTMAX": 2, "MEAN": 2, "SUM": 2, "REDUCE_MAX": 2, "ARG_MAX": 2, "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2, "PAD": 2, "PADV2": 2, "MIRROR_PAD": 2, "TRANSPOSE": 2, "SLICE": 2, "STRIDED_SLICE": 2,
    "CONCATENATION": 2, "PACK": 2, "GATHER": 2, "RESIZE_NEAREST_NEIGHBOR": 3, "RESIZE_BILINEAR": 3, "SPACE_TO_DEPTH": 2,
    "SPLIT": 2, "SPLIT_V": 2, "UNPACK": 2, "QUANTIZE": 2, "DEQUANTIZE": 2, "LEAKY_RELU": 2, "RELU": 2,
    "RELU6": 2, "BATCH_MATMUL": 2, "TRANSPOSE_CONV": 3,
}  # fmt: skip


def write(tensors: Sequence[T], steps: Sequence[Step], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A model of one subgraph."""
    return write_subgraphs([(tensors, steps, inputs, outputs)])


def write_subgraphs(parts: Sequence[tuple[Sequence[T], Sequence[Step], Sequence[int], Sequence[int]]]) -> bytes:
    """A model of several subgraphs; the first is the main one."""
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [], [schema.BufferT()], []
    codes: list[str] = []
    for tensors, steps, inputs, outputs in parts:
        graph = schema.SubGraphT()
        graph.tensors = [_tensor(model, i, t) for i, t in enumerate(tensors)]
        graph.inputs, graph.outputs, graph.operators = list(inputs), list(outputs), []
        for step in steps:
            if step.code not in codes:
                codes.append(step.code)
                made = schema.OperatorCodeT()
                if step.code in vars(schema.BuiltinOperator):
                    made.builtinCode = getattr(schema.BuiltinOperator, step.code)
                else:
                    made.builtinCode, made.customCode = schema.BuiltinOperator.CUSTOM, step.code.encode()
                made.deprecatedBuiltinCode = min(made.builtinCode, 127)
                made.version = step.version or VERSIONS.get(step.code, 1)
                model.operatorCodes.append(made)
            operator = schema.OperatorT()
            operator.opcodeIndex = codes.index(step.code)
            operator.inputs, operator.outputs = list(step.inputs), list(step.outputs)
            operator.intermediates = list(step.intermediates) or None
            if step.kind:
                options = getattr(schema, f"{step.kind}T")()
                for name, value in (step.options or {}).items():
                    assert hasattr(options, name), name
                    setattr(options, name, value)
                operator.builtinOptionsType = getattr(schema.BuiltinOptions, step.kind)
                operator.builtinOptions = options
            graph.operators.append(operator)
        model.subgraphs.append(graph)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(model: Any, index: int, t: T) -> Any:
    made = schema.TensorT()
    made.name, made.shape = (t.name or f"t{index}").encode(), list(t.shape)
    made.type = getattr(schema.TensorType, t.dtype.upper())
    made.isVariable, made.hasRank = t.variable, True
    made.shapeSignature = list(t.signature) if t.signature is not None else None
    made.buffer = 0
    if t.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(t.data).tobytes(), np.uint8)
        model.buffers.append(buffer)
        made.buffer = len(model.buffers) - 1
    if t.scales is not None:
        quant = schema.QuantizationParametersT()
        quant.scale = np.asarray(t.scales, np.float32).reshape(-1)
        quant.zeroPoint = np.broadcast_to(np.asarray(t.zeros, np.int64), quant.scale.shape).copy()
        quant.quantizedDimension = t.axis
        made.quantization = quant
    return made
