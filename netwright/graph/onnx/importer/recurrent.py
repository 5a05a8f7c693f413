"""LSTM, GRU and RNN, unrolled over the sequence: our cells where they fit, the operator's formulas otherwise.

ONNX keeps a direction's weights as W [gates * H, I], R [gates * H, H] and both biases as B [2 * gates * H]; gates come
in order i, o, f, c and z, r, h where torch's (and our cells') are i, f, g, o and r, z, n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...ops.binary import Add, Mul, Sub
from ...ops.index import Gather
from ...ops.linear import Linear
from ...ops.recurrent import GRUCell, LSTMCell
from ...ops.shape import Reshape, Slice, Split, Transpose
from ...ops.unary import Clip, HardSigmoid, LeakyRelu, Relu, Sigmoid, Softplus, Tanh
from .activation import elu_of
from .entry import Entry, Known
from .importer import Call, imports
from .move import joined, sliced

MOST_STEPS = 2048
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULT = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
Function = Callable[[Entry], Entry]


@dataclass(frozen=True)
class Direction:
    """One direction's weights: w_x [G * H, I] and w_h [G * H, H] in torch's order of gates, biases, peepholes."""

    w_x: Entry
    w_h: Entry
    b_x: Entry | None
    b_h: Entry | None
    peepholes: Entry | None
    functions: tuple[Function, ...]
    plain: bool  # the default activations, no peepholes, no clip


@imports("LSTM", "GRU", "RNN")
def recurrent(n: Call) -> tuple[Entry, ...]:
    """Y [T, D, N, H], Y_h [D, N, H] and for an LSTM Y_c [D, N, H]; with layout=1 the batch leads."""
    x, gates = n.x(0), _GATES[n.op_type]
    if n.integer("layout", 0):
        x = n(Transpose((1, 0, 2)), x)
    if len(x.shape) != 3 or len(n.x(1).shape) != 3 or len(n.x(2).shape) != 3:
        raise n.refuse(f"x {list(x.shape)}, W {list(n.x(1).shape)}: [T, N, I] and [D, gates * H, I] are needed")
    steps, batch, features = x.shape
    hidden = n.x(2).shape[2]
    way = n.text("direction", "forward")
    backward = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}.get(way)
    if backward is None:
        raise n.refuse(f"direction {way!r} is none of forward, reverse, bidirectional")
    wanted = (len(backward), gates * hidden)
    if n.x(1).shape != (*wanted, features) or n.x(2).shape != (*wanted, hidden):
        raise n.refuse(f"W {list(n.x(1).shape)} and R {list(n.x(2).shape)} do not fit {len(backward)} x {hidden}")
    if not 1 <= steps * len(backward) <= MOST_STEPS:
        raise n.refuse(f"a sequence of {steps} steps is not unrolled (1 to {MOST_STEPS} are): import a shorter one")
    _full(n, steps)
    made = n(Split(0, (1,) * steps), x)
    rows = [n(Reshape((-1, features)), v) for v in (made if isinstance(made, tuple) else (made,))]
    ways = [
        _unrolled(n, _direction(n, d), rows[::-1] if turned else rows, _start(n, 5, d, batch), _start(n, 6, d, batch))
        for d, turned in enumerate(backward)
    ]
    outputs = [list(reversed(hs)) if turned else hs for (hs, _), turned in zip(ways, backward)]
    batch_first = bool(n.integer("layout", 0))
    axis = 1 if batch_first else 0
    whole = [joined(n, [_wide(n, hs[t], batch_first) for hs in outputs], 2 if batch_first else 1) for t in range(steps)]
    y = joined(n, whole, axis)
    last = joined(n, [_lifted(n, hs[-1], batch_first) for hs, _ in ways], axis)
    if n.op_type != "LSTM":
        return y, last
    return y, last, joined(n, [_lifted(n, c, batch_first) for _, c in ways if c is not None], axis)


def _wide(n: Call, h: Entry, batch_first: bool) -> Entry:
    """[N, H] as [T=1, D=1, N, H], or [N, 1, 1, H]."""
    return n(Reshape((-1, 1, 1, h.shape[-1]) if batch_first else (1, 1, -1, h.shape[-1])), h)


def _lifted(n: Call, h: Entry, batch_first: bool) -> Entry:
    """[N, H] as [D=1, N, H], or [N, 1, H]."""
    return n(Reshape((-1, 1, h.shape[-1]) if batch_first else (1, -1, h.shape[-1])), h)


def _full(n: Call, steps: int) -> None:
    """Raise UserError unless every sequence is as long as the input."""
    lengths = n.ints(4)
    if lengths is not None and any(length != steps for length in lengths):
        raise n.refuse(f"sequence_lens {list(lengths)[:8]} differ from the {steps} steps: pad no shorter sequences")


def _start(n: Call, index: int, direction: int, batch: int) -> Entry:
    """The initial state [N, H] of one direction, zeros where none is given."""
    given = n.get(index) if index == 5 or n.op_type == "LSTM" else None
    hidden = n.x(2).shape[2]
    if given is None:
        n.im.afford(8 * hidden, "an initial state")
        return n.known(np.zeros((1, hidden), n.x(0).dtype))
    if n.integer("layout", 0):
        given = n(Transpose((1, 0, 2)), given)
    if given.shape[1:] != (batch, hidden):
        raise n.refuse(f"an initial state of {list(given.shape)} for {batch} sequences of {hidden}")
    return n(Reshape((-1, hidden)), sliced(n, given, 0, direction, direction + 1))


def _direction(n: Call, d: int) -> Direction:
    gates, order = _GATES[n.op_type], _ORDER[n.op_type]
    hidden = n.x(2).shape[2]
    rows = n.arange(gates * hidden).reshape(gates, hidden)[list(order)].reshape(-1)

    def part(index: int, shape: tuple[int, ...]) -> Entry:
        block = n(Reshape(shape), sliced(n, n.x(index), 0, d, d + 1))
        return block if order == (0,) else n(Gather(0), block, n.known(rows))

    b_x = b_h = None
    if n.get(3) is not None:
        both = n(Reshape((2 * gates * hidden,)), sliced(n, n.x(3), 0, d, d + 1))
        halves = [sliced(n, both, 0, k * gates * hidden, (k + 1) * gates * hidden) for k in (0, 1)]
        b_x, b_h = (v if order == (0,) else n(Gather(0), v, n.known(rows)) for v in halves)
    peepholes = n.get(7) if n.op_type == "LSTM" else None
    if peepholes is not None:
        peepholes = n(Reshape((3 * hidden,)), sliced(n, peepholes, 0, d, d + 1))
    functions, plain = _functions(n, d)
    clip = n.real("clip", 0.0)
    if n.integer("input_forget", 0):
        raise n.refuse("coupled input and forget gates (input_forget=1) are not supported")
    if clip:
        functions = (*(_clipped(n, f, clip) for f in functions[:2]), *functions[2:])
    return Direction(
        part(1, (gates * hidden, n.x(1).shape[2])), part(2, (gates * hidden, hidden)), b_x, b_h, peepholes,
        functions, plain and peepholes is None and not clip,
    )  # fmt: skip


def _clipped(n: Call, function: Function, limit: float) -> Function:
    return lambda v: function(n(Clip(-limit, limit), v))


def _functions(n: Call, d: int) -> tuple[tuple[Function, ...], bool]:
    """The activations of one direction, and whether they are the default ones."""
    default = _DEFAULT[n.op_type]
    names = n.several("activations", str) or default * (d + 1)
    count = len(default)
    own = tuple(name.capitalize() if name.islower() else name for name in names[d * count : (d + 1) * count])
    if len(own) != count:
        raise n.refuse(f"activations {list(names)}: {count} a direction are needed")
    alphas, betas = list(n.several("activation_alpha", float) or ()), list(n.several("activation_beta", float) or ())
    found = []
    for index, name in enumerate(names[: (d + 1) * count]):
        alpha = alphas.pop(0) if alphas and name in ("Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh",
                                                     "HardSigmoid", "Elu") else None  # fmt: skip
        beta = betas.pop(0) if betas and name in ("Affine", "ScaledTanh", "HardSigmoid") else None
        if index >= d * count:
            found.append(_function(n, own[index - d * count], alpha, beta))
    return tuple(found), own == default


def _function(n: Call, name: str, alpha: float | None, beta: float | None) -> Function:
    plain = {"Sigmoid": Sigmoid, "Tanh": Tanh, "Relu": Relu, "Softplus": Softplus}
    if name in plain:
        return lambda v: n(plain[name](), v)
    if name == "HardSigmoid":
        return lambda v: n(HardSigmoid(0.2 if alpha is None else alpha, 0.5 if beta is None else beta), v)
    if name == "LeakyRelu":
        return lambda v: n(LeakyRelu(0.01 if alpha is None else alpha), v)
    if name == "Elu":
        return lambda v: elu_of(n, v, 1.0 if alpha is None else alpha)
    if name == "Affine":
        a, b = 1.0 if alpha is None else alpha, 0.0 if beta is None else beta
        return lambda v: n(Add(), n(Mul(), v, n.scalar(a, v)), n.scalar(b, v))
    if name == "ScaledTanh":
        a, b = 1.0 if alpha is None else alpha, 1.0 if beta is None else beta
        return lambda v: n(Mul(), n(Tanh(), n(Mul(), v, n.scalar(b, v))), n.scalar(a, v))
    raise n.refuse(f"activation {name!r} is not supported in a recurrent operator")


def _unrolled(n: Call, w: Direction, rows: list[Entry], h: Entry, c: Entry) -> tuple[list[Entry], Entry | None]:
    """Every step's h, and the last c of an LSTM."""
    step = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[n.op_type]
    bias = n(Add(), w.b_x, w.b_h) if w.b_x is not None and w.b_h is not None else None
    bias = Known(bias.array, w.b_x.name, True) if isinstance(bias, Known) and isinstance(w.b_x, Known) else bias
    hs: list[Entry] = []
    for x in rows:
        h, c = step(n, w, x, h, c, bias)
        hs.append(h)
    return hs, c if n.op_type == "LSTM" else None


def _lstm(n: Call, w: Direction, x: Entry, h: Entry, c: Entry, bias: Entry | None) -> tuple[Entry, Entry]:
    if w.plain:
        return n(LSTMCell(), x, h, c, w.w_x, w.w_h, bias)  # type: ignore[no-any-return]
    size = h.shape[-1]
    f, g, out = w.functions
    parts = list(n(Split(1, (size,) * 4), n(Add(), n(Linear(), x, w.w_x, bias), n(Linear(), h, w.w_h))))
    p_i, p_o, p_f = (
        (n(Slice((k * size,), ((k + 1) * size,)), w.peepholes) if w.peepholes is not None else None) for k in range(3)
    )

    def peeped(gate: Entry, p: Entry | None, cell: Entry) -> Entry:
        return gate if p is None else n(Add(), gate, n(Mul(), p, cell))

    i, forget = f(peeped(parts[0], p_i, c)), f(peeped(parts[1], p_f, c))
    after = n(Add(), n(Mul(), forget, c), n(Mul(), i, g(parts[2])))
    return n(Mul(), f(peeped(parts[3], p_o, after)), out(after)), after


def _gru(n: Call, w: Direction, x: Entry, h: Entry, c: Entry, bias: Entry | None) -> tuple[Entry, Entry]:
    linear = bool(n.integer("linear_before_reset", 0))
    if w.plain and linear:
        return n(GRUCell(), x, h, w.w_x, w.w_h, w.b_x, w.b_h), c
    size = h.shape[-1]
    f, g = w.functions
    from_x = list(n(Split(1, (size,) * 3), n(Linear(), x, w.w_x, w.b_x)))
    if linear:
        from_h = list(n(Split(1, (size,) * 3), n(Linear(), h, w.w_h, w.b_h)))
    else:  # the reset gate multiplies h itself, so that the last rows of R wait for it
        parts = [sliced(n, w.w_h, 0, k * size, (k + 1) * size) for k in range(3)]
        biases = [sliced(n, w.b_h, 0, k * size, (k + 1) * size) if w.b_h is not None else None for k in range(3)]
        from_h = [n(Linear(), h, parts[k], biases[k]) for k in (0, 1)]
    reset, update = f(n(Add(), from_x[0], from_h[0])), f(n(Add(), from_x[1], from_h[1]))
    last = n(Mul(), reset, from_h[2]) if linear else n(Linear(), n(Mul(), reset, h), parts[2], biases[2])
    fresh = g(n(Add(), from_x[2], last))
    one = n.scalar(1, h)
    return n(Add(), n(Mul(), n(Sub(), one, update), fresh), n(Mul(), update, h)), c


def _rnn(n: Call, w: Direction, x: Entry, h: Entry, c: Entry, bias: Entry | None) -> tuple[Entry, Entry]:
    return w.functions[0](n(Add(), n(Linear(), x, w.w_x, bias), n(Linear(), h, w.w_h))), c
