"""Recurrent layers, unrolled over the example's length, and single cells."""

from __future__ import annotations

from typing import Any

import torch

from ...graph import Value
from ...ops.binary import Add
from ...ops.linear import Linear
from ...ops.recurrent import GRUCell, LSTMCell
from ...ops.shape import Concat, Reshape, Split
from ...ops.unary import Relu, Tanh
from .importer import Import, imports
from .shape import cut


@imports("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(im: Import, a: Any) -> tuple[Value, ...]:
    """All layers and directions; returns the sequence and each last state, as torch does."""
    if hasattr(a, "batch_sizes"):
        im.refuse("packed sequences", "pass padded tensors of one length")
    x = im.value(a.input)
    time = 1 if a.batch_first else 0
    ways = 2 if a.bidirectional else 1
    starts = a.hx if im.op == "lstm" else [a.hx]
    firsts = [_unstacked(im, s, a.num_layers * ways) for s in starts]
    width = len(a.params) // (a.num_layers * ways)
    steps = _steps(im, x, time)
    lasts: list[list[Value]] = [[] for _ in starts]
    for layer in range(a.num_layers):
        made = []
        for way in range(ways):
            at = layer * ways + way
            weights = a.params[at * width : (at + 1) * width]
            order = steps if way == 0 else steps[::-1]
            ys, state = _direction(im, order, [f[at] for f in firsts], weights, a.has_biases)
            made.append(ys if way == 0 else ys[::-1])
            for kept, last in zip(lasts, state, strict=True):
                kept.append(last)
        steps = [im.b(Concat(-1), *both) for both in zip(*made)] if ways == 2 else made[0]
    sequence = _stacked(im, steps, time)
    ends = [_stacked(im, kept, 0) for kept in lasts]
    return sequence, *ends


@imports("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(im: Import, a: Any) -> Any:
    """One step."""
    state = [im.value(h) for h in (a.hx if im.op == "lstm_cell" else [a.hx])]
    biases = [a.b_ih, a.b_hh] if a.b_ih is not None else []
    step = _step(im, [a.w_ih, a.w_hh, *biases], bool(biases))
    after = step(im.value(a.input), state)
    return tuple(after) if im.op == "lstm_cell" else after[0]


def _steps(im: Import, x: Value, time: int) -> list[Value]:
    """x cut along time, without that axis."""
    made = im.b(Split(time, (1,) * x.shape[time]), x)
    pieces = made if isinstance(made, tuple) else (made,)
    return [im.b(Reshape((-1, v.shape[-1])), v) for v in pieces]


def _stacked(im: Import, values: list[Value], axis: int) -> Value:
    """[N, H] each -> one tensor with a new first or second axis; any N."""
    width = values[0].shape[-1]
    shape = (1, -1, width) if axis == 0 else (-1, 1, width)
    return im.b(Concat(axis), *(im.b(Reshape(shape), v) for v in values))


def _unstacked(im: Import, state: Any, count: int) -> list[Value]:
    """[layers * directions, N, H] -> one [N, H] each; constants are cut now."""
    if isinstance(state, torch.Tensor):
        return [im.value(state[i].contiguous()) for i in range(count)]
    value = im.value(state)
    return [im.b(Reshape((-1, value.shape[-1])), cut(im, value, 0, i, i + 1)) for i in range(count)]


def _direction(
    im: Import, xs: list[Value], state: list[Value], weights: list[Any], has_biases: bool
) -> tuple[list[Value], list[Value]]:
    """One layer in one direction: outputs in the order of `xs`, and the last state."""
    step, outputs = _step(im, weights, has_biases), []
    for x in xs:
        state = step(x, state)
        outputs.append(state[0])
    return outputs, state


def _step(im: Import, weights: list[Any], has_biases: bool) -> Any:
    """A function from x and the state to the next state."""
    w_x, w_h = im.value(weights[0]), im.value(weights[1])
    if len(weights) > (4 if has_biases else 2):
        im.refuse("an LSTM with a projection", "use proj_size=0")
    biases = [im.value(w) for w in weights[2:4]] if has_biases else []
    kind = im.op.removesuffix("_cell")
    if kind == "lstm":
        bias = [im.merged(*biases)] if biases else []
        return lambda x, s: list(im.b(LSTMCell(), x, s[0], s[1], w_x, w_h, *bias))
    if kind == "gru":
        return lambda x, s: [im.b(GRUCell(), x, s[0], w_x, w_h, *biases)]
    curve, bias = (Tanh() if kind == "rnn_tanh" else Relu()), [im.merged(*biases)] if biases else []
    return lambda x, s: [im.b(curve, im.b(Add(), im.b(Linear(), x, w_x, *bias), im.b(Linear(), s[0], w_h)))]
