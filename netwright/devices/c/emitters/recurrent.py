"""LSTM over a sequence, SVDF."""

from __future__ import annotations

import math

import numpy as np

from netwright.graph import Node
from netwright.graph.ops.int8.lstm import QLstm
from netwright.graph.ops.int8.svdf import QSvdf

from ..source import CTYPES, Body, Writer, emits


def _fields(shape: dict[str, int | str]) -> str:
    return ", ".join(f".{k} = {v}" for k, v in shape.items())


@emits(QLstm)
def lstm(writer: Writer, node: Node) -> Body:
    op, x, y = node.op, node.inputs[0], node.output
    assert isinstance(op, QLstm) and x is not None
    w_x, w_h, bias = (writer.array(v) for v in node.inputs[3:6])
    x_bias, h_bias = op.biases(w_x, w_h, bias)
    arrays = {
        "input_weight": w_x,
        "recurrent_weight": w_h,
        "input_bias": x_bias.astype(np.int32),
        "recurrent_bias": h_bias.astype(np.int32),
    }
    names = [writer.constant(f"{node.name}_{part}", array) for part, array in arrays.items()]
    from_x, from_h, (multiplier, shift) = op.multipliers()
    n, steps, hidden = y.shape
    fields = _fields(
        {
            "steps": steps,
            "inputs": x.shape[2],
            "hidden": hidden,
            "cell_bits": op.cell_bits,
            "clip": op.clip,
            "zero": op.out.zero,
            "x": "{" + ", ".join(f"{{{m}, {s}}}" for m, s in from_x) + "}",
            "h": "{" + ", ".join(f"{{{m}, {s}}}" for m, s in from_h) + "}",
            "out": f"{{{multiplier}, {shift}}}",
        }
    )
    rows = f"x0 + n * {steps * x.shape[2]}, x1 + n * {hidden}, y2 + n * {hidden}, y0 + n * {steps * hidden}"
    return Body(
        f"    static const nw_lstm_shape s = {{{fields}}};\n"
        f"    __builtin_memcpy(y2, x2, {node.outputs[2].type.bytes});\n"
        f"    for (int32_t n = 0; n < {n}; n++) {{\n"
        f"        nw_lstm({rows}, {', '.join(names)}, s);\n"
        f"        __builtin_memcpy(y1 + n * {hidden}, y0 + n * {steps * hidden} + {(steps - 1) * hidden}, {hidden});\n"
        "    }",
        ("lstm.h",),
        sum(a.nbytes for a in arrays.values()),
    )


@emits(QSvdf)
def svdf(writer: Writer, node: Node) -> Body:
    op, x, state = node.op, node.inputs[0], node.outputs[1]
    assert isinstance(op, QSvdf) and x is not None
    w, time, bias = (writer.array(v) for v in node.inputs[2:5])
    names = [writer.constant(f"{node.name}_{p}", a) for p, a in (("weight", w), ("time", time), ("bias", bias))]
    into, out = op.constants()
    info = np.iinfo(state.dtype)
    fields = _fields(
        {
            "inputs": w.shape[1],
            "filters": w.shape[0],
            "memory": time.shape[1],
            "rank": op.rank,
            "x_zero": op.x.zero,
            "state_zero": op.state.zero,
            "low": int(info.min),
            "high": int(info.max),
            "into_multiplier": into[0],
            "into_shift": into[1],
            "out_multiplier": out[0],
            "out_shift": out[1],
            "out_zero": op.out.zero,
        }
    )
    kernel = "nw_svdf16" if CTYPES[state.dtype] == "int16_t" else "nw_svdf8"
    held, made = math.prod(state.shape[1:]), node.output.shape[1]
    rows = f"x0 + n * {w.shape[1]}, x1 + n * {held}, y0 + n * {made}, y1 + n * {held}"
    return Body(
        f"    const nw_svdf_shape s = {{{fields}}};\n    for (int32_t n = 0; n < {x.shape[0]}; n++)\n"
        f"        {kernel}({rows}, {', '.join(names)}, s);",
        ("svdf.h",),
        w.nbytes + time.nbytes + bias.nbytes,
    )
