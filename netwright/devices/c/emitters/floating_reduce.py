"""Pooling, softmax, reductions over axes, the largest and where it is, on float32."""

from __future__ import annotations

import math
from typing import Any

from netwright.graph import Node
from netwright.graph.ops.index import TopK
from netwright.graph.ops.pool import AveragePool, MaxPool
from netwright.graph.ops.reduce import ArgMax, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from netwright.graph.ops.softmax import LogSoftmax, Softmax

from ..source import CTYPES, Body, Writer, emits, literal
from .floating_layers import fields, planar


@emits(MaxPool, AveragePool)
def pool(writer: Writer, node: Node) -> Body:
    op: Any = node.op
    x, y = node.inputs[0], node.output
    assert x is not None
    rank = len(op.kernel)
    stride, padding = op.geometry()
    shape = {"planes": math.prod(x.shape[:2])}
    pairs = {
        "h, w": planar(x.shape[2:], 1), "oh, ow": planar(y.shape[2:], 1), "kh, kw": planar(op.kernel, 1),
        "sh, sw": planar(stride, 1), "top, left": planar(padding[:rank], 0),
    }  # fmt: skip
    for names, pair in pairs.items():
        shape.update(zip(names.split(", "), pair))
    if isinstance(op, MaxPool):
        call = f"nw_float_max_pool(x0, y0, {'y1' if op.indices else '0'}, s);"
    else:
        call = f"nw_float_average_pool(x0, y0, {int(op.count_padding)}, s);"
    return Body(f"    const nw_float_pool_shape s = {{{fields(shape)}}};\n    {call}", ("float_pool.h",))


def around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Elements before an axis, along it and behind it."""
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


@emits(Softmax, LogSoftmax)
def softmax(writer: Writer, node: Node) -> Body:
    op: Any = node.op
    outer, n, inner = around(node.output.shape, op.axis)
    logarithm = int(isinstance(op, LogSoftmax))
    return Body(f"    nw_float_softmax(x0, y0, {outer}, {n}, {inner}, {logarithm});", ("float_softmax.h",))


@emits(ReduceSum, ReduceMean, ReduceMax, ReduceMin)
def reduce(writer: Writer, node: Node) -> Body:
    """One accumulator a reduced axis, so that long sums are sums of short ones and keep their digits."""
    op: Any = node.op
    x = node.inputs[0]
    assert x is not None
    axes = op.normal_axes(len(x.shape))
    steps = [math.prod(x.shape[i + 1 :]) for i in range(len(x.shape))]
    outer = [i for i, n in enumerate(x.shape) if i not in axes and n != 1]
    inner = [i for i, n in enumerate(x.shape) if i in axes and n != 1]
    ctype = CTYPES[x.dtype]
    place = " + ".join(f"i{i} * {steps[i]}" for i in (*outer, *inner)) or "0"
    summing = isinstance(op, (ReduceSum, ReduceMean))
    lines, depth = [], 1

    def loop(axis: int) -> None:
        lines.append("    " * depth + f"for (int32_t i{axis} = 0; i{axis} < {x.shape[axis]}; i{axis}++) {{")

    for axis in outer:
        loop(axis)
        depth += 1
    for level, axis in enumerate(inner):
        lines.append("    " * depth + f"{ctype} a{level} = {'0' if summing else _first(x.dtype, op)};")
        loop(axis)
        depth += 1
    value = f"x0[{place}]"
    for level in reversed(range(len(inner))):
        taken = f"a{level} += {value}" if summing else f"a{level} = {value} {_better(op)} a{level} ? {value} : a{level}"
        lines.append("    " * depth + f"{taken};")
        depth -= 1
        lines.append("    " * depth + "}")
        value = f"a{level}"
    count = math.prod(x.shape[i] for i in axes)
    whole = f"{value} / {literal(float(count))}" if isinstance(op, ReduceMean) else value
    lines.append("    " * depth + f"*y0++ = {whole};")
    while depth > 1:
        depth -= 1
        lines.append("    " * depth + "}")
    return Body("\n".join(lines))


def _better(op: Any) -> str:
    return ">" if isinstance(op, ReduceMax) else "<"


def _first(dtype: str, op: Any) -> str:
    """What any element replaces."""
    largest = isinstance(op, ReduceMax)
    if dtype == "float32":
        return "-__builtin_inff()" if largest else "__builtin_inff()"
    bits = {"int64": 63, "int32": 31, "int16": 15, "int8": 7}.get(dtype)
    if bits is None:  # uint8 and bool
        return "0" if largest else "255"
    one = "1LL" if bits == 63 else "1"
    top = f"({one} << {bits - 1}) - 1 + ({one} << {bits - 1})"
    return f"-({top}) - 1" if largest else top


@emits(ArgMax)
def arg_max(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, ArgMax) and x is not None
    outer, n, inner = around(x.shape, op.axis)
    return Body(
        f"    for (int32_t o = 0; o < {outer}; o++)\n"
        f"        for (int32_t i = 0; i < {inner}; i++) {{\n"
        f"            const {CTYPES[x.dtype]} *x = x0 + o * {n * inner} + i;\n"
        "            int32_t best = 0;\n"
        f"            for (int32_t k = 1; k < {n}; k++)\n"
        f"                best = x[k * {inner}] > x[best * {inner}] ? k : best;\n"
        f"            y0[o * {inner} + i] = best;\n"
        "        }"
    )


@emits(TopK)
def top_k(writer: Writer, node: Node) -> Body:
    """Each next is the largest of those that come after the last in order: value, then place. Nothing is stored."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, TopK) and x is not None
    outer, n, inner = around(x.shape, op.axis)
    return Body(
        f"    for (int32_t o = 0; o < {outer}; o++)\n"
        f"        for (int32_t i = 0; i < {inner}; i++) {{\n"
        f"            const {CTYPES[x.dtype]} *x = x0 + o * {n * inner} + i;\n"
        "            int32_t last = -1;\n"
        f"            for (int32_t r = 0; r < {op.k}; r++) {{\n"
        "                int32_t best = -1;\n"
        f"                for (int32_t k = 0; k < {n}; k++) {{\n"
        f"                    const {CTYPES[x.dtype]} v = x[k * {inner}];\n"
        f"                    const {CTYPES[x.dtype]} least = x[(last < 0 ? 0 : last) * {inner}];\n"
        "                    const int after = last < 0 || v < least || (v == least && k > last);\n"
        f"                    if (after && (best < 0 || v > x[best * {inner}]))\n"
        "                        best = k;\n"
        "                }\n"
        f"                y0[(o * {op.k} + r) * {inner} + i] = x[best * {inner}];\n"
        f"                y1[(o * {op.k} + r) * {inner} + i] = last = best;\n"
        "            }\n"
        "        }"
    )
