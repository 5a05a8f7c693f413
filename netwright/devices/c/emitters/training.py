"""Layers whose parameters are trained, their gradients, updates and the loss."""

from __future__ import annotations

import math

import numpy as np

from netwright.graph import Node, Value
from netwright.graph.ops.int8.arithmetic import multipliers
from netwright.graph.ops.int8.gradient import (
    QAveragePoolGradient,
    QBiasGradient,
    QClipGradient,
    QConvInputGradient,
    QConvWeightGradient,
    QMaxPoolGradient,
)
from netwright.graph.ops.int8.loss import QCrossEntropy
from netwright.graph.ops.int8.trained import QMaskedAdd, QMaskedMean, QTrainedConv
from netwright.graph.ops.int8.update import RESIDUE_BITS, QBiasUpdate, QConvWeightStep, QWeightUpdate

from ..source import Body, Writer, emits, literal, scratch
from .elementwise import index, loops, strides

Window = QTrainedConv | QConvInputGradient | QConvWeightGradient | QAveragePoolGradient | QMaxPoolGradient


def _shape(op: Window, x: tuple[int, ...], y: tuple[int, ...], kernel: tuple[int, ...], trained: int) -> str:
    """The definition of `s`, the shape of a convolution from x to y, both [1, H, W, C]."""
    zero, once, ends = 0, 0, (0, -128, 127)
    if isinstance(op, (QTrainedConv, QConvWeightGradient)):
        zero = op.x.zero
    if isinstance(op, QTrainedConv):
        once, ends = int(op.round_once), (op.out.zero, op.low, op.high)
    sizes = {
        "h": x[1], "w": x[2], "c": x[3], "oh": y[1], "ow": y[2], "o": y[3], "kh": kernel[0], "kw": kernel[1],
        "sh": op.stride[0], "sw": op.stride[1], "dh": op.dilation[0], "dw": op.dilation[1],
        "top": op.padding[0], "left": op.padding[1], "groups": op.groups, "trained": trained,
        "x_zero": zero, "y_zero": ends[0], "low": ends[1], "high": ends[2], "once": once,
    }  # fmt: skip
    fields = ", ".join(f".{name} = {value}" for name, value in sizes.items())
    return f"    static const nw_trained_shape s = {{{fields}}};\n"


def _channels(trained: Value | None) -> int:
    return trained.shape[3] if trained is not None else 0


@emits(QTrainedConv)
def trained_conv(writer: Writer, node: Node) -> Body:
    op = node.op
    x, trained, fixed, scale, _ = node.inputs
    assert isinstance(op, QTrainedConv) and x is not None
    kernel = next(p.shape[1:3] for p in (trained, fixed) if p is not None)
    multiplier, shift = multipliers(op.x, writer.array(scale), op.out, op.float_product)
    scales: dict[str, np.ndarray] = {"multiplier": multiplier.astype(np.int32), "shift": shift.astype(np.int8)}
    names = [writer.constant(f"{node.name}_{part}", array) for part, array in scales.items()]
    (source, first, rest, _, bias), size = writer.operands(node, without=3)  # scales became multipliers
    mask = "y1" if op.mask else "0"
    ends = f"{bias}, {', '.join(names)}, y0, {mask}, &s"
    if op.groups == x.shape[3]:
        call = f"nw_trained_depthwise({source}, {first or rest}, {ends});"
    else:
        call = f"nw_trained_conv({source}, {first or '0'}, {rest or '0'}, {ends});"
    text = _shape(op, x.shape, node.output.shape, kernel, _channels(trained)) + f"    {call}"
    return Body(text, ("trained_conv.h",), size + sum(a.nbytes for a in scales.values()))


_SET_BIT = "y1[{0} >> 3] |= (uint8_t)(nw_inside(v, {1}, {2}) << ({0} & 7));"


@emits(QMaskedAdd)
def masked_add(writer: Writer, node: Node) -> Body:
    op, out = node.op, node.output.shape
    assert isinstance(op, QMaskedAdd)
    operands, size = writer.operands(node)
    first, second, result = op.constants()
    x, y = (f"(nw_operand){{{q.zero}, {m}, {s}}}" for q, (m, s) in ((op.x, first), (op.y, second)))
    z = f"(nw_operand){{{op.out.zero}, {result[0]}, {result[1]}}}"
    places = [index(strides(v.shape, out), out) for v in node.inputs if v is not None]
    place = index(strides(out, out), out)
    a, b = (f"{name}[{at}]" for name, at in zip(operands, places))
    statement = (
        f"{{ const int32_t i = {place}, v = nw_wide_sum({a}, {b}, {x}, {y}, {z}, 1);\n"
        f"        y0[i] = nw_clamp(v, {op.low}, {op.high}); {_SET_BIT.format('i', op.low, op.high)} }}"
    )
    text = f"    __builtin_memset(y1, 0, {node.outputs[1].type.size});\n{loops(out, statement)}"
    return Body(text, ("elementwise.h", "trained_conv.h"), size)


@emits(QMaskedMean)
def masked_mean(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QMaskedMean) and x is not None
    count, rank = op.count(x.shape), len(x.shape)
    multiplier, shift = op.constants(count)
    gone = {a % rank for a in op.axes}
    kept = tuple(1 if a in gone else n for a, n in enumerate(x.shape))
    inner = tuple(n if a in gone else 1 for a, n in enumerate(x.shape))
    place = index(strides(x.shape, x.shape), x.shape)
    summed = loops(inner, f"sum += x0[{place}];").replace("\n", "\n    ")
    made = index(strides(kept, kept), kept)
    statement = (
        f"{{ int32_t sum = 0;\n    {summed}\n"
        f"        const int32_t i = {made}, v = nw_scale(sum - {count * op.x.zero}, {multiplier}, {shift})"
        f" + {op.out.zero};\n"
        f"        y0[i] = nw_clamp(v, {op.low}, {op.high}); {_SET_BIT.format('i', op.low, op.high)} }}"
    )
    text = f"    __builtin_memset(y1, 0, {node.outputs[1].type.size});\n{loops(kept, statement)}"
    return Body(text, ("mean.h", "trained_conv.h"))


@emits(QClipGradient)
def clip_gradient(writer: Writer, node: Node) -> Body:
    (g, mask, scale), size = writer.operands(node)
    n, channels = node.output.type.size, node.inputs[2].type.size  # type: ignore[union-attr]
    call = f"    nw_clip_gradient({g}, {mask or '0'}, y0, {n}, {scale}, {channels});"
    return Body(call, ("train_gradient.h",), size)


@emits(QConvInputGradient)
def input_gradient(writer: Writer, node: Node) -> Body:
    op, (g, trained, fixed) = node.op, node.inputs
    assert isinstance(op, QConvInputGradient) and g is not None
    kernel = next(p.shape[1:3] for p in (trained, fixed) if p is not None)
    (slope, first, rest), size = writer.operands(node)
    text = _shape(op, node.output.shape, g.shape, kernel, _channels(trained))
    text += f"    nw_input_gradient({slope}, {first or '0'}, {rest or '0'}, y0, &s);"
    return Body(text, ("train_gradient.h",), size)


@emits(QConvWeightGradient)
def weight_gradient(writer: Writer, node: Node) -> Body:
    op, (x, g) = node.op, node.inputs
    assert isinstance(op, QConvWeightGradient) and x is not None and g is not None
    (source, slope), size = writer.operands(node)
    text = _shape(op, x.shape, g.shape, op.kernel, node.output.shape[3])
    return Body(f"{text}    nw_weight_gradient({source}, {slope}, y0, &s);", ("train_gradient.h",), size)


@emits(QBiasGradient)
def bias_gradient(writer: Writer, node: Node) -> Body:
    (g,), size = writer.operands(node)
    o = node.output.type.size
    pixels = node.inputs[0].type.size // o  # type: ignore[union-attr]
    return Body(f"    nw_bias_gradient({g}, y0, {pixels}, {o});", ("train_gradient.h",), size)


@emits(QAveragePoolGradient)
def average_pool_gradient(writer: Writer, node: Node) -> Body:
    op, g = node.op, node.inputs[0]
    assert isinstance(op, QAveragePoolGradient) and g is not None
    text = _shape(op, node.output.shape, g.shape, op.kernel, 0)
    return Body(f"{text}    nw_average_pool_gradient(x0, y0, &s);", ("train_gradient.h",))


@emits(QMaxPoolGradient)
def max_pool_gradient(writer: Writer, node: Node) -> Body:
    op, (x, g) = node.op, node.inputs
    assert isinstance(op, QMaxPoolGradient) and x is not None and g is not None
    text = _shape(op, x.shape, g.shape, op.kernel, 0)
    return Body(f"{text}    nw_max_pool_gradient(x0, x1, y0, &s);", ("train_gradient.h",))


@emits(QBiasUpdate)
def bias_update(writer: Writer, node: Node) -> Body:
    (bias, g, factor), size = writer.operands(node)
    call = f"    nw_bias_update({bias}, y0, {g}, {factor}, {node.output.type.size});"
    return Body(call, ("train_update.h",), size)


def _descend(residue: Value | None, gradient: str, row: int, factor: str) -> str:
    """The update of the `row` weights of output channel o, where the results lie."""
    bits = RESIDUE_BITS[residue.dtype] if residue is not None else 0
    eight, sixteen = (f"y1 + o * {row}" if bits == b else "0" for b in (8, 16))
    return f"nw_descend(y0 + o * {row}, {eight}, {sixteen}, {gradient}, {row}, {factor}[o], {bits});"


def _brought(node: Node, operands: list[str]) -> str:
    """Copies of operands to results that lie elsewhere."""
    lines = []
    for i, value in enumerate(node.outputs):
        lines.append(
            f"    if ((const void *)y{i} != (const void *){operands[i]})\n"
            f"        __builtin_memcpy(y{i}, {operands[i]}, {value.type.bytes});\n"
        )
    return "".join(lines)


@emits(QWeightUpdate)
def weight_update(writer: Writer, node: Node) -> Body:
    (w, residue, g, factor), size = writer.operands(node)
    o, row = node.output.shape[0], math.prod(node.output.shape[1:])
    call = _descend(node.inputs[1], f"{g} + o * {row}", row, factor)
    text = _brought(node, [w, residue]) + f"    for (int32_t o = 0; o < {o}; o++)\n        {call}"
    return Body(text, ("train_update.h",), size)


@scratch(QConvWeightStep)
def weight_step_scratch(node: Node) -> int:
    """The gradient of one output channel."""
    return 4 * math.prod(node.output.shape[1:])


@emits(QConvWeightStep)
def weight_step(writer: Writer, node: Node) -> Body:
    op, (w_value, residue_value, x_value, g_value, _) = node.op, node.inputs
    assert isinstance(op, QConvWeightStep) and w_value and x_value and g_value
    (w, residue, x, g, factor), size = writer.operands(node)
    o, row = w_value.shape[0], math.prod(w_value.shape[1:])
    text = _shape(op, x_value.shape, g_value.shape, op.kernel, w_value.shape[3]) + _brought(node, [w, residue])
    text += (
        "    float *row = (float *)scratch;\n"
        f"    for (int32_t o = 0; o < {o}; o++) {{\n"
        f"        nw_weight_gradient_row({x}, {g}, row, o, {w_value.shape[3]}, &s);\n"
        f"        {_descend(residue_value, 'row', row, factor)}\n    }}"
    )
    return Body(text, ("train_update.h",), size)


@emits(QCrossEntropy)
def cross_entropy(writer: Writer, node: Node) -> Body:
    op, logits = node.op, node.inputs[0]
    assert isinstance(op, QCrossEntropy) and logits is not None
    table = writer.constant(f"{node.name}_powers", op.table())
    scale = literal(float(np.float32(op.x.scale)))
    call = f"    nw_cross_entropy(x0, x1[0], y0, y1, {logits.type.size}, {table}, {scale});"
    return Body(call, ("cross_entropy.h",), 1024)
