"""A peer's verdict: single-operator int8 TFLite models, written with the peer's own schema, run by its reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from netwright.graph import Quant

_TYPES = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}


def tensor(name: str, shape: Sequence[int], dtype: str, buffer: int, scales: Any, zero: int, axis: int = 0) -> Any:
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), _TYPES[dtype], buffer
    quant = schema.QuantizationParametersT()
    quant.scale = np.asarray(scales, np.float32).reshape(-1)
    quant.zeroPoint = np.full(len(quant.scale), zero, np.int64)
    quant.quantizedDimension = axis
    made.quantization = quant
    return made


def run(
    code: int,
    options_type: int,
    options: Any,
    inputs: list[tuple[np.ndarray, Quant]],
    constants: list[tuple[np.ndarray, Any, int]],
    shape: Sequence[int],
    out: Quant,
) -> np.ndarray:
    """One operator: activations, then constants (array, scales, axis), to one int8 output of `shape`."""
    model = schema.ModelT()
    model.version = 3
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode, operator_code.deprecatedBuiltinCode, operator_code.version = code, min(code, 127), 3
    model.operatorCodes = [operator_code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs = [], []
    for array, quant in inputs:
        graph.inputs.append(len(graph.tensors))
        graph.tensors.append(tensor(f"x{len(graph.tensors)}", array.shape, "int8", 0, quant.scale, quant.zero))
    for array, scales, axis in constants:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(
            tensor(f"c{len(graph.tensors)}", array.shape, str(array.dtype), len(model.buffers) - 1, scales, 0, axis)
        )
    graph.tensors.append(tensor("y", shape, "int8", 0, out.scale, out.zero))
    operator = schema.OperatorT()
    operator.inputs = list(range(len(graph.tensors) - 1))
    operator.outputs = [len(graph.tensors) - 1]
    operator.builtinOptionsType, operator.builtinOptions = options_type, options
    graph.operators, graph.outputs = [operator], operator.outputs
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(
        model_content=bytes(builder.Output()), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for detail, (array, _) in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def conv(
    x: np.ndarray,
    w: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    xq: Quant,
    out: Quant,
    stride: int,
    same: bool,
    shape: Sequence[int],
    relu: bool,
    depthwise: bool = False,
) -> np.ndarray:
    """CONV_2D or DEPTHWISE_CONV_2D; weights [O, Kh, Kw, C/groups]."""
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU if relu else 0
    if depthwise:
        options.depthMultiplier = 1
        w = np.ascontiguousarray(w.transpose(3, 1, 2, 0))
    code = schema.BuiltinOperator.DEPTHWISE_CONV_2D if depthwise else schema.BuiltinOperator.CONV_2D
    kind = schema.BuiltinOptions.DepthwiseConv2DOptions if depthwise else schema.BuiltinOptions.Conv2DOptions
    return run(
        code, kind, options, [(x, xq)], [(w, scale, 3 if depthwise else 0), (bias, scale * xq.scale, 0)], shape, out
    )


def binary(kind: str, x: np.ndarray, y: np.ndarray, xq: Quant, yq: Quant, out: Quant) -> np.ndarray:
    """ADD, SUB or MUL."""
    options = getattr(schema, f"{kind.title()}OptionsT")()
    options.fusedActivationFunction = 0
    return run(
        getattr(schema.BuiltinOperator, kind),
        getattr(schema.BuiltinOptions, f"{kind.title()}Options"),
        options,
        [(x, xq), (y, yq)],
        [],
        np.broadcast_shapes(x.shape, y.shape),
        out,
    )


def pool(kind: str, x: np.ndarray, xq: Quant, kernel: int, stride: int, same: bool, shape: Sequence[int]) -> np.ndarray:
    """MAX_POOL_2D or AVERAGE_POOL_2D."""
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.filterHeight = options.filterWidth = kernel
    options.strideH = options.strideW = stride
    options.fusedActivationFunction = 0
    return run(
        getattr(schema.BuiltinOperator, kind), schema.BuiltinOptions.Pool2DOptions, options, [(x, xq)], [], shape, xq
    )


def requantise(x: np.ndarray, xq: Quant, out: Quant) -> np.ndarray:
    """QUANTIZE from int8 to int8."""
    return run(
        schema.BuiltinOperator.QUANTIZE,
        schema.BuiltinOptions.QuantizeOptions,
        schema.QuantizeOptionsT(),
        [(x, xq)],
        [],
        x.shape,
        out,
    )
