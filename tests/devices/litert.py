"""A peer's verdict: single-operator int8 TFLite models, written with the peer's own schema, run by its reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from netwright.graph import Quant

_TYPES = {
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}


def tensor(name: str, shape: Sequence[int], dtype: str, buffer: int, scales: Any, zero: int, axis: int = 0) -> Any:
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), _TYPES[dtype], buffer
    if scales is None:
        return made
    quant = schema.QuantizationParametersT()
    quant.scale = np.asarray(scales, np.float32).reshape(-1)
    quant.zeroPoint = np.full(len(quant.scale), zero, np.int64)
    quant.quantizedDimension = axis
    made.quantization = quant
    return made


def _activation(name: str, shape: Sequence[int], dtype: str, quant: Quant | None) -> Any:
    return tensor(name, shape, dtype, 0, quant.scale if quant else None, quant.zero if quant else 0)


def run(
    code: int,
    options_type: int,
    options: Any,
    inputs: list[tuple[np.ndarray, Quant | None]],
    constants: list[tuple[np.ndarray, Any, int]],
    shape: Sequence[int],
    out: Quant | None,
    dtype: str = "int8",
    order: Sequence[int] | None = None,
    version: int = 3,
) -> np.ndarray:
    """One operator: activations, then constants (array, scales or None, axis), to one output of `shape`.

    `order` is for operators that take their operands in another order: places in activations + constants.
    """
    model = schema.ModelT()
    model.version = 3
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode, operator_code.deprecatedBuiltinCode, operator_code.version = (
        code,
        min(code, 127),
        version,
    )
    model.operatorCodes = [operator_code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs = [], []
    for array, quant in inputs:
        graph.inputs.append(len(graph.tensors))
        graph.tensors.append(_activation(f"x{len(graph.tensors)}", array.shape, str(array.dtype), quant))
    for array, scales, axis in constants:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(
            tensor(f"c{len(graph.tensors)}", array.shape, str(array.dtype), len(model.buffers) - 1, scales, 0, axis)
        )
    graph.tensors.append(_activation("y", shape, dtype, out))
    operator = schema.OperatorT()
    operator.inputs = list(order if order is not None else range(len(graph.tensors) - 1))
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


def softmax(x: np.ndarray, xq: Quant, beta: float) -> np.ndarray:
    """SOFTMAX along the last axis, to scale 1/256 and zero point -128."""
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    return run(
        schema.BuiltinOperator.SOFTMAX,
        schema.BuiltinOptions.SoftmaxOptions,
        options,
        [(x, xq)],
        [],
        x.shape,
        Quant(1 / 256, -128),
    )


def mean(x: np.ndarray, xq: Quant, out: Quant, keepdims: bool) -> np.ndarray:
    """MEAN over height and width."""
    options = schema.ReducerOptionsT()
    options.keepDims = keepdims
    shape = (x.shape[0], 1, 1, x.shape[3]) if keepdims else (x.shape[0], x.shape[3])
    return run(
        schema.BuiltinOperator.MEAN,
        schema.BuiltinOptions.ReducerOptions,
        options,
        [(x, xq)],
        [(np.array([1, 2], np.int32), None, 0)],
        shape,
        out,
    )


def conv_transpose(
    x: np.ndarray,
    w: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    xq: Quant,
    out: Quant,
    stride: tuple[int, int],
    same: bool,
    shape: Sequence[int],
) -> np.ndarray:
    """TRANSPOSE_CONV; weights [O, Kh, Kw, C]. SAME or VALID and the output's shape decide the padding."""
    options = schema.TransposeConvOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH, options.strideW = stride
    options.fusedActivationFunction = 0
    return run(
        schema.BuiltinOperator.TRANSPOSE_CONV,
        schema.BuiltinOptions.TransposeConvOptions,
        options,
        [(x, xq)],
        [(np.array(shape, np.int32), None, 0), (w, scale, 0), (bias, scale * xq.scale, 0)],
        shape,
        out,
        order=(1, 2, 0, 3),
    )


def quantise(x: np.ndarray, out: Quant) -> np.ndarray:
    """QUANTIZE from float32."""
    options = schema.QuantizeOptionsT()
    kind = schema.BuiltinOptions.QuantizeOptions
    return run(schema.BuiltinOperator.QUANTIZE, kind, options, [(x, None)], [], x.shape, out)


def dequantise(x: np.ndarray, xq: Quant) -> np.ndarray:
    """DEQUANTIZE to float32."""
    options = schema.DequantizeOptionsT()
    kind = schema.BuiltinOptions.DequantizeOptions
    return run(schema.BuiltinOperator.DEQUANTIZE, kind, options, [(x, xq)], [], x.shape, None, "float32")


def arg_max(x: np.ndarray, xq: Quant, axis: int, shape: Sequence[int]) -> np.ndarray:
    """ARG_MAX to int32."""
    options = schema.ArgMaxOptionsT()
    options.outputType = schema.TensorType.INT32
    return run(
        schema.BuiltinOperator.ARG_MAX,
        schema.BuiltinOptions.ArgMaxOptions,
        options,
        [(x, xq)],
        [(np.array([axis], np.int32), None, 0)],
        shape,
        None,
        "int32",
        version=2,
    )
