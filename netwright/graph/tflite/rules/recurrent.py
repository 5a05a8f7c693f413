"""LSTM over a sequence and SVDF; what they remember is state of the graph."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ...graph import Value
from ...ops.int8.lstm import QLstm
from ...ops.int8.svdf import QSvdf
from ...ops.linear import Linear
from ...ops.recurrent import LSTMCell
from ...ops.shape import Concat, Reshape, Slice, Split, Transpose
from ...types import Quant, Type
from ..importer import Import, imports, label
from ..model import Operator, Tensor
from .common import fused
from .layers import floats, weight_of

LONGEST = 1024  # steps of a float sequence, which is unrolled
_INPUT, _RECURRENT, _BIAS, _STATE = 1, 5, 12, 18  # places of an LSTM's inputs: i, f, c, o from each


@imports("UNIDIRECTIONAL_SEQUENCE_LSTM")
def lstm(imp: Import, op: Operator) -> None:
    """Gates in TFLite's order i, f, cell, o, which is ours."""
    if any(imp.optional(op, p) for p in (9, 10, 11, 16, 17, 20, 21, 22, 23)):
        imp.refuse(op, "peepholes, projection and layer norm are not supported")
    if any(imp.optional(op, p) is None for p in (_INPUT, _RECURRENT)):
        imp.refuse(op, "coupled input and forget gates are not supported")
    if imp.activation(op) != "tanh":
        imp.refuse(op, f"activation {imp.activation(op)}, only tanh is supported")
    x, h, c = imp.tensor(op, 0), imp.tensor(op, _STATE), imp.tensor(op, _STATE + 1)
    value, name = imp.value(op, 0), imp.name(op)
    if len(value.shape) != 3:
        imp.refuse(op, f"input {list(value.shape)} must have rank 3")
    if op.options["time_major"]:
        value = imp.b(Transpose((1, 0, 2)), value, name=f"{name}.batch_first")
    outputs = (_integer if imp.integer(x) else _float)(imp, op, value, h, c)
    if op.options["time_major"]:
        outputs = imp.b(Transpose((1, 0, 2)), outputs, name=f"{name}.time_first")
    imp.put(op, outputs)


def _stacked(imp: Import, op: Operator, start: int) -> tuple[np.ndarray, tuple[float, ...]]:
    """The four gates' weights below one another, and their scales."""
    arrays, scales = [], []
    for place in range(start, start + 4):
        tensor = imp.tensor(op, place)
        array, zero = weight_of(imp, op, tensor)
        assert tensor.scales is not None
        if zero or len(tensor.scales) != 1:
            imp.refuse(op, f"its weights {label(tensor)} must be symmetric with one scale")
        arrays.append(array)
        scales.append(float(tensor.scales[0]))
    return np.concatenate(arrays), tuple(scales)


def _integer(imp: Import, op: Operator, value: Value, h: Tensor, c: Tensor) -> Value:
    name = imp.name(op)
    imp.need_int8(op, h, imp.result(op))
    if c.dtype != "int16" or c.scales is None or len(c.scales) != 1:
        imp.refuse(op, f"its cell state is {c.dtype}, not int16 with one scale")
    power = float(np.log2(imp.quant(op, c).scale))
    if power != round(power):
        imp.refuse(op, f"its cell state's scale {c.scales[0]} is no power of two")
    hidden = imp.subgraph.tensors[op.intermediates[4]] if len(op.intermediates) > 4 else imp.result(op)
    given, state, out = (imp.quant(op, t) for t in (imp.tensor(op, 0), h, hidden if hidden.quantised else h))
    w_x, x_scales = _stacked(imp, op, _INPUT)
    w_h, h_scales = _stacked(imp, op, _RECURRENT)
    bias = np.concatenate([imp.array(op, p) for p in range(_BIAS, _BIAS + 4)])
    clip = float(op.options["cell_clip"])
    steps = min(32767, int(clip / float(c.scales[0]))) if clip > 0 else 0
    rows = w_x.shape[0] // 4
    before = imp.b.state(label(h), Type((value.shape[0], rows), "int8", state), float(state.zero))
    cell = imp.b.state(label(c), Type((value.shape[0], rows), "int16", Quant(float(c.scales[0]), 0)))
    weights = [imp.b.constant(a, f"{name}.{n}") for a, n in ((w_x, "input"), (w_h, "recurrent"), (bias, "bias"))]
    q = QLstm(given, state, out, x_scales, h_scales, 15 + round(power), steps)
    made: Any = imp.b(q, value, before, cell, *weights, name=name)
    outputs, after, cell_after = made
    imp.b.update(before, after)
    imp.b.update(cell, cell_after)
    return cast(Value, outputs)


def _float(imp: Import, op: Operator, value: Value, h: Tensor, c: Tensor) -> Value:
    name = imp.name(op)
    n, steps, _ = value.shape
    if steps > LONGEST:
        imp.refuse(op, f"{steps} steps, at most {LONGEST} are unrolled")
    w_x, w_h, bias = (
        imp.parameter(f"{name}.{kind}", np.concatenate([floats(imp, op, p) for p in range(start, start + 4)]))
        for kind, start in (("input", _INPUT), ("recurrent", _RECURRENT), ("bias", _BIAS))
    )
    hidden = w_h.shape[1]
    states = [imp.b.state(label(t), Type((n, hidden))) for t in (h, c)]
    output, cell = states
    clip = max(0.0, float(op.options["cell_clip"]))
    made: Any = imp.b(Split(1, (1,) * steps), value, name=f"{name}.steps") if steps > 1 else (value,)
    outputs = []
    for step, part in enumerate(made):
        row = imp.b(Reshape((n, value.shape[2])), part, name=f"{name}.{step}.x")
        pair: Any = imp.b(LSTMCell(clip), row, output, cell, w_x, w_h, bias, name=f"{name}.{step}")
        output, cell = pair
        outputs.append(imp.b(Reshape((n, 1, hidden)), output, name=f"{name}.{step}.row"))
    for before, after in zip(states, (output, cell)):
        imp.b.update(before, after)
    return imp.b(Concat(1), *outputs, name=name) if steps > 1 else outputs[0]


@imports("SVDF")
def svdf(imp: Import, op: Operator) -> None:
    """Inputs: x, weights over features, weights over time, perhaps a bias, the memory."""
    x, features, time = (imp.tensor(op, p) for p in range(3))
    bias, memory = imp.optional(op, 3), imp.tensor(op, 4)
    name, rank = imp.name(op), int(op.options["rank"])
    value = imp.value(op, 0)
    if rank < 1 or len(features.shape) != 2 or features.shape[0] % rank or len(time.shape) != 2:
        imp.refuse(op, f"rank {rank}, weights {list(features.shape)} and {list(time.shape)}")
    filters, span = features.shape[0], time.shape[1]
    units = filters // rank
    if imp.integer(x):
        imp.need_int8(op, imp.result(op))
        if imp.activation(op) not in ("none", "relu"):
            imp.refuse(op, f"a fused {imp.activation(op)} has no integer form")
        w, zero = weight_of(imp, op, features)
        if time.scales is None or not np.isfinite(time.scales).all():
            imp.refuse(op, f"its weights {label(time)} have no scale")
        if zero or features.scales is None or memory.dtype not in ("int8", "int16"):
            imp.refuse(op, "its weights must be symmetric and quantised, its memory int8 or int16")
        if memory.dtype != time.dtype:
            imp.refuse(op, f"memory of {memory.dtype} with weights over time of {time.dtype}")
        kept = imp.quant(op, memory)
        given = imp.array(op, 3) if bias is not None else np.zeros(units, np.int32)
        if given.dtype != np.int32:
            imp.refuse(op, f"its bias is {given.dtype}, not int32")
        before = imp.b.state(
            label(memory), Type((value.shape[0], filters * span), memory.dtype, kept), float(kept.zero)
        )
        q = QSvdf(
            rank, imp.quant(op, x), kept, imp.quant(op, imp.result(op)),
            float(features.scales[0]), float(time.scales[0]),
        )  # fmt: skip
        weights = [
            imp.b.constant(a, f"{name}.{n}")
            for a, n in ((w, "features"), (imp.array(op, 2), "time"), (given, "bias"))
        ]
        made: Any = imp.b(q, value, before, *weights, name=name)
        y, after = made
        imp.b.update(before, after)
        imp.put(op, y)
        return
    before = imp.b.state(label(memory), Type((value.shape[0], filters * span)))
    projected = imp.b(Linear(), value, imp.weight(features, floats(imp, op, 1)), name=f"{name}.features")
    rows = imp.b(Reshape((value.shape[0], filters, span)), before, name=f"{name}.memory")
    old = imp.b(Slice((0, 0, 1), rows.shape, (1, 1, 1)), rows, name=f"{name}.old")
    newest = imp.b(Reshape((value.shape[0], filters, 1)), projected, name=f"{name}.newest")
    joined = imp.b(Concat(2), old, newest, name=f"{name}.joined")
    imp.b.update(before, imp.b(Reshape(before.shape), joined, name=f"{name}.after"))
    from ...ops.binary import Add, Mul
    from ...ops.reduce import ReduceSum

    weighted = imp.b(Mul(), joined, imp.weight(time, floats(imp, op, 2)), name=f"{name}.weighted")
    grouped = imp.b(Reshape((value.shape[0], units, rank * span)), weighted, name=f"{name}.units")
    y = imp.b(ReduceSum((2,), False), grouped, name=name)
    if bias is not None:
        y = imp.b(Add(), y, imp.weight(bias, floats(imp, op, 3)), name=f"{name}.biased")
    imp.put(op, fused(imp, op, y))
