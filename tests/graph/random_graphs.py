"""Random networks, valid by construction: each step is drawn among the ops that the chosen value allows.

Values are computed while drawing, so that what no floating-point comparison could judge is left out: overflow, and
operands so close to a kink (relu at 0, two candidates of a maximum) that rounding decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from netwright.graph import Builder, Graph, Op, Type, Value, ops

LARGEST, CLOSEST = 300.0, 1e-3
SMOOTH = (ops.Neg, ops.Tanh, ops.Sigmoid, ops.Softplus, ops.Sin, ops.Cos, ops.Erf, ops.Gelu, ops.Silu, ops.Exp)
KINKED = (ops.Relu, ops.LeakyRelu, ops.HardSwish, ops.Relu6, ops.Abs)


@dataclass
class Drawing:
    """A graph being drawn: `arrays` holds each value in float64."""

    draw: Callable[..., Any]
    b: Builder
    rng: np.random.Generator
    arrays: dict[Value, np.ndarray] = field(default_factory=dict)
    pool: list[Value] = field(default_factory=list)
    read: set[Value | None] = field(default_factory=set)
    count: int = 0

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def param(self, *shape: int, positive: bool = False, fixed: bool = False) -> Value:
        array = self.rng.standard_normal(shape) / np.sqrt(max(1, int(np.prod(shape[1:]))))
        array = (np.abs(array) + 0.5 if positive else array).astype(np.float32)
        value = self.b.param("p", shape, trainable=not fixed)
        self.b.store[value.name] = array
        self.arrays[value] = array.astype(np.float64)
        return value

    def whole(self, array: np.ndarray) -> Value:
        value = self.b.constant(array.astype(np.int64), "index")
        self.arrays[value] = array
        return value

    def apply(self, op: Op, *inputs: Value | None) -> Any:
        """Build a node, unless its result would be out of range; then None."""
        given = [self.arrays[v] if v is not None else None for v in inputs]
        results = op.numpy(*given)
        results = results if isinstance(results, tuple) else (results,)
        if any(r.size == 0 or not np.isfinite(r).all() or np.abs(r).max() > LARGEST for r in results):
            return None
        made = self.b(op, *inputs)
        self.count += 1
        self.read.update(inputs)
        values = made if isinstance(made, tuple) else (made,)
        for value, array in zip(values, results, strict=True):
            self.arrays[value] = np.asarray(array)
            if value.dtype == "float32":
                self.pool.append(value)
        return made

    def apart(self, array: np.ndarray) -> bool:
        """No element is nearer to 0 than rounding may reach, other than the exact zeros of a relu."""
        near = np.abs(array)
        return not ((near < CLOSEST) & (near > 0)).any()


def unary(d: Drawing, x: Value) -> Any:
    kinds = SMOOTH + KINKED if d.apart(d.arrays[x]) else SMOOTH
    op = d.pick(*kinds)()
    return d.apply(op, x)


def positive(d: Drawing, x: Value) -> Any:
    """Log, roots, division and powers of something above 0.3."""
    safe = d.apply(ops.Add(), d.apply(ops.Sigmoid(), x), d.b.constant(np.float32(0.3), "shift", "float32"))
    kind = d.pick("log", "sqrt", "rsqrt", "reciprocal", "div", "pow")
    if kind == "div":
        return d.apply(ops.Div(), x, safe)
    if kind == "pow":
        return d.apply(ops.Pow(), safe, x)
    return d.apply(getattr(ops, kind.capitalize())(), safe)


def binary(d: Drawing, x: Value) -> Any:
    partners = [v for v in d.pool if v.shape == x.shape or v.type.size == 1]
    partner = d.pick(*partners) if d.draw(st.booleans()) else d.param(*_broadcastable(d, x.shape))
    op = d.pick(ops.Add, ops.Sub, ops.Mul, ops.Maximum, ops.Minimum)
    if op in (ops.Maximum, ops.Minimum) and (np.abs(d.arrays[x] - d.arrays[partner]) < CLOSEST).any():
        op = ops.Add
    return d.apply(op(), x, partner) if d.draw(st.booleans()) else d.apply(op(), partner, x)


def _broadcastable(d: Drawing, shape: tuple[int, ...]) -> tuple[int, ...]:
    cut = d.number(0, len(shape))
    return tuple(n if d.draw(st.booleans()) else 1 for n in shape[cut:])


def choose(d: Drawing, x: Value) -> Any:
    """Where by a comparison that rounding does not decide."""
    limit = d.param(*_broadcastable(d, x.shape))
    if (np.abs(d.arrays[x] - d.arrays[limit]) < CLOSEST).any():
        return None
    op = d.pick(ops.Greater, ops.Less, ops.GreaterEqual, ops.LessEqual)()
    return d.apply(ops.Where(), d.apply(op, x, limit), x, d.apply(ops.Sin(), x))


def conv(d: Drawing, x: Value) -> Any:
    rank = len(x.shape) - 2
    if rank not in (1, 2):
        return None
    channels = x.shape[1]
    groups = d.pick(*{1, channels, *(g for g in (2,) if channels % g == 0)})
    kernel = tuple(d.number(1, min(3, n)) for n in x.shape[2:])
    stride = tuple(d.number(1, 2) for _ in range(rank))
    padding = tuple(d.number(0, 2) for _ in range(2 * rank))
    bias = d.draw(st.booleans())
    if d.draw(st.booleans()):
        out = groups * d.number(1, 2)
        w = d.param(out, channels // groups, *kernel)
        dilation = tuple(d.number(1, 2) if n + padding[i] >= 5 else 1 for i, n in enumerate(x.shape[2:]))
        return d.apply(ops.Conv(stride, padding, dilation, groups), x, w, d.param(out) if bias else None)
    w = d.param(channels, d.number(1, 2), *kernel)
    padding = tuple(d.number(0, (k - 1) // 2) for k in (*kernel, *kernel))
    extra = tuple(d.number(0, s - 1) for s in stride)
    op = ops.ConvTranspose(stride, padding, (), groups, extra)
    return d.apply(op, x, w, d.param(w.shape[1] * groups) if bias else None)


def pool(d: Drawing, x: Value) -> Any:
    rank = len(x.shape) - 2
    if rank not in (1, 2):
        return None
    kernel = tuple(d.number(1, min(3, n)) for n in x.shape[2:])
    stride = tuple(d.number(1, 2) for _ in range(rank))
    padding = tuple(d.number(0, k - 1) for k in (*kernel, *kernel))
    kind = d.pick("max", "average", "global", "resize")
    if kind == "global":
        return d.apply(ops.GlobalAveragePool(), x)
    if kind == "resize":
        size = tuple(d.number(1, 9) for _ in range(rank))
        mode, coordinates = d.pick("nearest", "linear"), d.pick("half_pixel", "asymmetric", "align_corners")
        return d.apply(ops.Resize(size, mode, coordinates), x)
    if kind == "average":
        return d.apply(ops.AveragePool(kernel, stride, padding, d.draw(st.booleans())), x)
    return d.apply(ops.MaxPool(kernel, stride, padding), x) if _distinct(d.arrays[x]) else None


def _distinct(array: np.ndarray) -> bool:
    gaps = np.diff(np.sort(array, axis=None))
    return not (gaps < 1e-7).any()


def normalise(d: Drawing, x: Value) -> Any:
    kind = d.pick("batch", "layer", "rms", "group", "softmax", "log_softmax")
    if kind in ("softmax", "log_softmax"):
        return d.apply((ops.Softmax if kind == "softmax" else ops.LogSoftmax)(d.number(-len(x.shape), -1)), x)
    if kind in ("layer", "rms"):
        if (d.arrays[x].std(-1) < 0.1).any():
            return None
        scale = d.param(x.shape[-1])
        return d.apply(ops.LayerNorm(), x, scale, d.param(x.shape[-1])) if kind == "layer" else d.apply(ops.RMSNorm(), x, scale)
    if len(x.shape) < 3:
        return None
    channels = x.shape[1]
    scale, bias = d.param(channels), d.param(channels)
    if kind == "batch":
        mean, variance = d.param(channels, fixed=True), d.param(channels, positive=True, fixed=True)
        return d.apply(ops.BatchNorm(), x, scale, bias, mean, variance)
    if (d.arrays[x].reshape(x.shape[0], channels, -1).std(-1) < 0.1).any():
        return None
    return d.apply(ops.GroupNorm(d.pick(1, channels)), x, scale, bias)


def product(d: Drawing, x: Value) -> Any:
    rank, last = len(x.shape), x.shape[-1]
    kind = d.pick("linear", "matmul", "attention", "einsum") if rank > 1 else "linear"
    if kind == "linear":
        out = d.number(1, 4)
        return d.apply(ops.Linear(), x, d.param(out, last), d.param(out) if d.draw(st.booleans()) else None)
    if kind == "matmul":
        return d.apply(ops.Matmul(), x, d.param(last, d.number(1, 4)))
    if kind == "attention":
        keys = d.param(*x.shape[:-2], 3, last)
        return d.apply(ops.Attention(), x, keys, d.param(*x.shape[:-2], 3, 2))
    letters = "abcdef"[:rank]
    return d.apply(ops.Einsum(f"{letters},{letters[-1]}z->{letters[1:-1]}z{letters[0]}"), x, d.param(last, 2))


def reduce(d: Drawing, x: Value) -> Any:
    axes = tuple(sorted(d.draw(st.sets(st.integers(0, len(x.shape) - 1), min_size=1, max_size=2))))
    kinds = [ops.ReduceSum, ops.ReduceMean] + ([ops.ReduceMax, ops.ReduceMin] if _distinct(d.arrays[x]) else [])
    return d.apply(d.pick(*kinds)(axes, d.draw(st.booleans())), x)


def move(d: Drawing, x: Value) -> Any:
    rank, shape = len(x.shape), x.shape
    kind = d.pick("reshape", "transpose", "concat", "split", "slice", "pad", "gather", "expand")
    axis = d.number(0, rank - 1)
    if kind == "reshape":
        return d.apply(ops.Reshape((0, -1) if d.draw(st.booleans()) else (-1,)), x)
    if kind == "transpose":
        return d.apply(ops.Transpose(tuple(d.draw(st.permutations(range(rank))))), x)
    if kind == "concat":
        others = [v for v in d.pool if len(v.shape) == rank and (*v.shape[:axis], *v.shape[axis + 1 :]) == (*shape[:axis], *shape[axis + 1 :])]
        return d.apply(ops.Concat(axis), x, d.pick(*others), x)
    if kind == "split":
        first = d.number(1, max(1, shape[axis] - 1))
        return d.apply(ops.Split(axis, (first, shape[axis] - first) if first < shape[axis] else (first,)), x)
    if kind == "slice":
        starts = tuple(d.number(0, n - 1) for n in shape)
        ends = tuple(d.number(a + 1, n) for a, n in zip(starts, shape))
        steps = tuple(d.number(1, 2) for _ in shape) if d.draw(st.booleans()) else ()
        return d.apply(ops.Slice(starts, ends, steps), x)
    if kind == "pad":
        mode = d.pick("constant", "edge", "reflect")
        pads = tuple(d.number(0, min(2, n - 1)) for n in (*shape, *shape))
        return d.apply(ops.Pad(pads, mode, 0.5 if mode == "constant" else 0.0), x)
    if kind == "gather":
        return d.apply(ops.Gather(axis), x, d.whole(d.rng.integers(-shape[axis], shape[axis], d.number(1, 4))))
    return d.apply(ops.Expand((2, *shape)), x) if rank < 5 else None


STEPS = (unary, unary, positive, binary, binary, choose, conv, conv, pool, normalise, product, reduce, move, move)


@st.composite
def graphs(draw: Any) -> tuple[Graph, list[np.ndarray]]:
    """A random network of at least three nodes, and float32 inputs for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    d = Drawing(draw, Builder("random"), rng)
    shape = tuple(draw(st.sampled_from([(1, 2, 6, 5), (2, 3, 5, 7), (2, 4, 9), (1, 1, 8, 8), (3, 6), (2, 3, 4)])))
    inputs = [rng.uniform(-2, 2, shape).astype(np.float32) for _ in range(draw(st.integers(1, 2)))]
    for array in inputs:
        value = d.b.input("x", Type(shape))
        d.arrays[value] = array.astype(np.float64)
        d.pool.append(value)
    starts = list(d.pool)
    shift = d.b.constant(np.float32(0.3), "shift", "float32")
    d.arrays[shift] = np.float64(0.3)
    wanted = draw(st.integers(3, 15))
    for _ in range(4 * wanted):
        if d.count >= wanted:
            break
        recent = [v for v in d.pool[-4:] if 0 < len(v.shape) < 6 and v.type.size <= 600]
        source = d.pick(*(recent or d.pool[:1]))
        d.pick(*STEPS)(d, source)
    ends = [v for v in d.pool if v not in d.read and v not in starts] or d.pool[-1:]
    d.b.output(*ends[:4])
    return d.b.graph(), inputs
