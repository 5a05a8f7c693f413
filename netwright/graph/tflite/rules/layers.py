"""Convolutions and fully connected layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Value
from ...op import Op
from ...ops.binary import Add, Mul
from ...ops.conv import Conv, ConvTranspose
from ...ops.dynamic_quantise import DynamicQuantise
from ...ops.int8.conv import QConv, QLinear
from ...ops.int8.conv_transpose import QConvTranspose
from ...ops.linear import Linear, Matmul
from ...ops.shape import Reshape
from ..importer import Import, imports, label
from ..model import Operator, Tensor
from ..schema import SAME
from .common import fused


def same(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding before and after that makes ceil(size / stride) windows."""
    reach = (kernel - 1) * dilation + 1
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def geometry(imp: Import, op: Operator, shape: tuple[int, ...], kernel: tuple[int, int]) -> dict[str, Any]:
    """Stride, padding (top, left, bottom, right) and dilation over a [N, H, W, C] input."""
    options = op.options
    if len(shape) != 4 or min(options["stride_h"], options["stride_w"], *kernel) < 1:
        imp.refuse(op, f"input {list(shape)}, kernel {kernel}, stride {options['stride_h']} x {options['stride_w']}")
    stride = (options["stride_h"], options["stride_w"])
    dilation = (options.get("dilation_h", 1), options.get("dilation_w", 1))
    if min(dilation) < 1:
        imp.refuse(op, f"dilation {dilation}")
    (top, bottom), (left, right) = (
        same(n, k, s, d) if options["padding"] == SAME else (0, 0)
        for n, k, s, d in zip(shape[1:3], kernel, stride, dilation)
    )
    return {"stride": stride, "padding": (top, left, bottom, right), "dilation": dilation}


def weight_of(imp: Import, op: Operator, tensor: Tensor) -> tuple[np.ndarray, int]:
    """Integer weights as int8 with their zero point."""
    array = imp.known.get(tensor.index)
    if array is None:
        imp.refuse(op, f"its weights {label(tensor)} must be constants")
    if tensor.scales is None or not len(tensor.scales) or tensor.dtype not in ("int8", "uint8"):
        imp.refuse(op, f"its weights {label(tensor)} are {tensor.dtype}, not int8 or uint8 with scales")
    if not (np.isfinite(tensor.scales).all() and (tensor.scales >= 0).all()):
        imp.refuse(op, f"its weights {label(tensor)} have scales that are negative or no numbers")
    zeros = tensor.zeros if tensor.zeros is not None and len(tensor.zeros) else np.zeros(1, np.int64)
    if len({int(z) for z in zeros}) > 1:
        imp.refuse(op, f"its weights {label(tensor)} have different zero points")
    zero = int(zeros[0])
    if tensor.dtype == "uint8":
        return (array ^ np.uint8(0x80)).view(np.int8), zero - 128
    return array, zero


def params(
    imp: Import, op: Operator, tensor: Tensor, array: np.ndarray, bias: Tensor | None, channels: int
) -> tuple[Value, Value, Value]:
    """Weights, a scale for each of `channels` outputs and an int32 bias as parameters."""
    assert tensor.scales is not None
    if len(tensor.scales) not in (1, channels):
        imp.refuse(op, f"{len(tensor.scales)} weight scales for {channels} outputs")
    base = imp.name(op)
    scale = imp.b.param(f"{base}.scale", (channels,), init=None, trainable=False)
    imp.b.store[scale.name] = np.ascontiguousarray(np.broadcast_to(tensor.scales, (channels,)), dtype=np.float32)
    offset = imp.b.param(f"{base}.bias", (channels,), dtype="int32", init=None, trainable=False)
    given = imp.known.get(bias.index) if bias is not None else np.zeros(channels, np.int32)
    if given is None or given.dtype != np.int32 or given.shape != (channels,):
        imp.refuse(op, f"its bias must be {channels} constant int32")
    imp.b.store[offset.name] = np.ascontiguousarray(given)
    return imp.weight(tensor, array), scale, offset


@imports("CONV_2D", "DEPTHWISE_CONV_2D")
def conv(imp: Import, op: Operator) -> None:
    """Weights [O, Kh, Kw, C / groups]; depthwise ones [1, Kh, Kw, C * multiplier]."""
    x, weights, bias = imp.tensor(op, 0), imp.tensor(op, 1), imp.optional(op, 2)
    shape = imp.shape_of(x.index)
    if len(weights.shape) != 4 or len(shape) != 4 or not all(weights.shape):
        imp.refuse(op, f"input {list(shape)} and weights {list(weights.shape)} must have rank 4")
    deep = op.code == "DEPTHWISE_CONV_2D"
    outputs = weights.shape[3] if deep else weights.shape[0]
    groups = shape[3] if deep else shape[3] // weights.shape[3]
    where = geometry(imp, op, shape, (weights.shape[1], weights.shape[2]))
    if imp.integer(x):
        imp.need_int8(op, imp.result(op))
        array, zero = weight_of(imp, op, weights)
        array = array.transpose(3, 1, 2, 0) if deep else array
        w, scale, offset = params(imp, op, weights, array, bias, outputs)
        given, out = imp.quant(op, x), imp.quant(op, imp.result(op))
        clamp = imp.clamp(op, out)
        q = QConv(
            **where,
            groups=groups,
            x=given,
            out=out,
            low=clamp["low"],
            high=clamp["high"],
            w_zero=zero,
            float_product=x.dtype == "uint8",
        )
        imp.put(op, imp.b(q, imp.value(op, 0), w, scale, offset, name=imp.name(op)))
        return
    order = (3, 0, 1, 2) if deep else (0, 3, 1, 2)
    kind = Conv(**where, groups=groups)
    if is_hybrid(imp, weights):
        y = hybrid(imp, op, kind, imp.first(op, 0), weights, order, (1, outputs, 1, 1))
    else:
        operands = [imp.first(op, 0), imp.weight(weights, floats(imp, op, 1).transpose(order))]
        if bias is not None:
            operands.append(imp.weight(bias, floats(imp, op, 2)))
        y = imp.b(kind, *operands, name=imp.name(op))
    imp.put_first(op, fused(imp, op, y))


def is_hybrid(imp: Import, weights: Tensor) -> bool:
    """Whether float activations meet stored int8 weights, which are then multiplied as integers."""
    return weights.dtype in ("int8", "uint8") and weights.quantised and weights.index in imp.known


def hybrid(
    imp: Import, op: Operator, kind: Op, x: Value, weights: Tensor, order: tuple[int, ...], channels: tuple[int, ...]
) -> Value:
    """Quantise x by its own range, multiply whole numbers in float32, scale: one factor for each output channel."""
    array, zero = weight_of(imp, op, weights)
    assert weights.scales is not None
    name, several = imp.name(op), len(weights.scales) > 1
    dense = op.code == "FULLY_CONNECTED"
    asymmetric = bool(op.options.get("asymmetric")) if dense else several
    quantised: Any = imp.b(DynamicQuantise(not asymmetric), x, name=f"{name}.steps")
    steps, size = quantised
    whole = imp.parameter(label(weights), (array.astype(np.float32) - zero).transpose(order))
    scale = imp.b.constant(weights.scales.reshape(channels if several else [1] * len(channels)), f"{name}.scale")
    total = imp.b(kind, steps, whole, name=f"{name}.total")
    if dense or not several:  # the kernels multiply float factors in this order
        y = imp.b(Mul(), total, imp.b(Mul(), size, scale, name=f"{name}.factor"), name=f"{name}.scaled")
    else:
        y = imp.b(Mul(), imp.b(Mul(), total, scale, name=f"{name}.scaled"), size, name=f"{name}.sized")
    bias = imp.optional(op, 2)
    if bias is None:
        return y
    return imp.b(Add(), y, imp.parameter(label(bias), floats(imp, op, 2).reshape(channels)), name=name)


def floats(imp: Import, op: Operator, place: int) -> np.ndarray:
    """A constant float32 input."""
    tensor, array = imp.tensor(op, place), imp.array(op, place)
    if array.dtype.kind != "f":
        imp.refuse(
            op, f"{label(tensor)} is {array.dtype} beside float activations, which only weights of layers may be"
        )
    return array.astype(np.float32, copy=False)


@imports("TRANSPOSE_CONV")
def conv_transpose(imp: Import, op: Operator) -> None:
    """Inputs: the result's shape, weights [O, Kh, Kw, C], x, perhaps a bias."""
    weights, x, bias = imp.tensor(op, 1), imp.tensor(op, 2), imp.optional(op, 3)
    wanted, shape = imp.ints(op, 0), imp.shape_of(x.index)
    options = op.options
    stride = (options["stride_h"], options["stride_w"])
    if len(wanted) != 4 or len(shape) != 4 or len(weights.shape) != 4 or min(stride) < 1:
        imp.refuse(op, f"input {list(shape)}, weights {list(weights.shape)}, result {list(wanted)}, stride {stride}")
    begins, extra, ends = [], [], []
    for n, made, k, s in zip(shape[1:3], wanted[1:3], weights.shape[1:3], stride):
        whole = (n - 1) * s + k  # before rows are cut off
        before = max(0, (n - 1) * s + k - made) // 2 if options["padding"] == SAME else 0
        begins.append(before)
        ends.append(max(0, whole - before - made))
        extra.append(max(0, made - (whole - before)))
    padding = (*begins, *ends)
    if imp.integer(x):
        imp.need_int8(op, imp.result(op))
        array, zero = weight_of(imp, op, weights)
        w, scale, offset = params(imp, op, weights, array, bias, weights.shape[0])
        given, out = imp.quant(op, x), imp.quant(op, imp.result(op))
        clamp = imp.clamp(op, out)
        q = QConvTranspose(
            stride,
            padding,
            tuple(extra),
            given,
            out,
            low=clamp["low"],
            high=clamp["high"],
            w_zero=zero,
            float_product=x.dtype == "uint8",
        )
        imp.put(op, imp.b(q, imp.value(op, 2), w, scale, offset, name=imp.name(op)))
        return
    operands = [imp.first(op, 2), imp.weight(weights, floats(imp, op, 1).transpose(3, 0, 1, 2))]
    if bias is not None:
        operands.append(imp.weight(bias, floats(imp, op, 3)))
    y = imp.b(ConvTranspose(stride, padding, output_padding=tuple(extra)), *operands, name=imp.name(op))
    imp.put_first(op, fused(imp, op, y))


@imports("FULLY_CONNECTED")
def dense(imp: Import, op: Operator) -> None:
    """x of any rank, flattened to rows as long as the weights' [O, I]."""
    x, weights, bias = imp.tensor(op, 0), imp.tensor(op, 1), imp.optional(op, 2)
    if op.options.get("weights_format"):
        imp.refuse(op, "its weights are shuffled; store them in the default format")
    if len(weights.shape) != 2:
        imp.refuse(op, f"weights {list(weights.shape)} must have rank 2")
    outputs, inputs = weights.shape
    value = imp.value(op, 0)
    shape = value.shape
    kept = (*shape[:-1], outputs) if op.options.get("keep_dims") else None
    name = imp.name(op)
    if value.shape != (value.shape[0] if value.shape else 0, inputs):
        value = imp.b(Reshape((-1, inputs)), value, name=f"{name}.rows")
    if imp.integer(x):
        imp.need_int8(op, imp.result(op))
        array, zero = weight_of(imp, op, weights)
        w, scale, offset = params(imp, op, weights, array, bias, outputs)
        out = imp.quant(op, imp.result(op))
        clamp = imp.clamp(op, out)
        q = QLinear(imp.quant(op, x), out, low=clamp["low"], high=clamp["high"], w_zero=zero)
        y = imp.b(q, value, w, scale, offset, name=name)
    elif is_hybrid(imp, weights):
        y = fused(imp, op, hybrid(imp, op, Linear(), value, weights, (0, 1), (1, outputs)))
    elif weights.index in imp.known:
        operands = [value, imp.weight(weights, floats(imp, op, 1))]
        if bias is not None:
            operands.append(imp.weight(bias, floats(imp, op, 2)))
        y = fused(imp, op, imp.b(Linear(), *operands, name=name))
    else:
        from ...ops.shape import Transpose

        turned = imp.b(Transpose((1, 0)), imp.value(op, 1), name=f"{name}.turned")
        y = imp.b(Matmul(), value, turned, name=name)
        if bias is not None:
            y = imp.b(Add(), y, imp.value(op, 2), name=f"{name}.biased")
        y = fused(imp, op, y)
    imp.put(op, imp.b(Reshape(kept), y, name=f"{name}.shape") if kept is not None and kept != y.shape else y)


@imports("BATCH_MATMUL")
def batch_matmul(imp: Import, op: Operator) -> None:
    """Both operands perhaps transposed first."""
    from ...ops.int8.matmul import QMatmul
    from ...ops.shape import Transpose

    operands = []
    for place, flag in ((0, "adj_x"), (1, "adj_y")):
        value = imp.value(op, place)
        if op.options.get(flag):
            rank = len(value.shape)
            value = imp.b(Transpose((*range(rank - 2), rank - 1, rank - 2)), value, name=f"{imp.name(op)}.{flag}")
        operands.append(value)
    x, y = imp.tensor(op, 0), imp.tensor(op, 1)
    kind = Matmul()
    if imp.integer(x):
        imp.need_int8(op, y, imp.result(op))
        kind = QMatmul(*(imp.quant(op, t) for t in (x, y, imp.result(op))))  # type: ignore[assignment]
    imp.put(op, imp.b(kind, *operands, name=imp.name(op)))
