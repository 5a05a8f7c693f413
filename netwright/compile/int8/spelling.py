"""Float ops spelled as other float ops that have integer forms, before calibration sees them.

A result keeps its node's name; what is inside is called `<node>.<op>`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.op import Op
from netwright.graph.ops.binary import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from netwright.graph.ops.compare import Greater, GreaterEqual, Where
from netwright.graph.ops.conv import ConvTranspose
from netwright.graph.ops.linear import Einsum, Linear, Matmul
from netwright.graph.ops.pool import AveragePool
from netwright.graph.ops.reduce import ReduceMax, ReduceSum
from netwright.graph.ops.shape import Concat, Pad, Reshape, Split, Transpose
from netwright.graph.ops.softmax import LogSoftmax
from netwright.graph.ops.unary import Clip, Exp, LeakyRelu, Log, Reciprocal, Rsqrt, Sqrt
from netwright.graph.types import FLOATS

Inputs = tuple[Value, ...]
Spelling = Callable[["Speller", Builder, Node, Inputs], Value | None]
SPELLINGS: dict[type[Op], Spelling] = {}


def spells(op: Op) -> bool:
    """Whether this op may be spelled otherwise."""
    return type(op) in SPELLINGS


def spelled(graph: Graph) -> Graph:
    """The graph with every op spelled as ops that have integer forms, where there is a way."""
    speller = Speller(graph)
    if not any(speller.concerns(n) for n in graph.nodes):
        return graph
    return rebuild(graph, speller.rule)


def _spelling(*ops: type[Op]) -> Callable[[Spelling], Spelling]:
    def register(rule: Spelling) -> Spelling:
        SPELLINGS.update(dict.fromkeys(ops, rule))
        return rule

    return register


class Speller:
    """One pass over a graph, and the constants that it has made on the way."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._zeros: set[Value] = set()

    def concerns(self, node: Node) -> bool:
        """Whether a node is worth a look: sums and products where an operand is zero, layers with computed weights."""
        if isinstance(node.op, (Add, Mul)):
            return any(self._is_zero(v) for v in node.inputs)
        return spells(node.op) and not (isinstance(node.op, Linear) and node.inputs[1] in self.graph.param_of)

    def rule(self, b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        rule = SPELLINGS.get(type(node.op))
        if rule is None or node.output.dtype not in FLOATS or all(v in self.graph.param_of for v in node.inputs):
            return None
        given: Any = inputs
        return rule(self, b, node, given)

    def constant(self, node: Node, index: int) -> np.ndarray | None:
        """The contents of an operand that is a parameter."""
        return self.graph.constant(node.inputs[index])

    def number(self, node: Node, index: int) -> float | None:
        """The number that a constant operand holds everywhere, if it is one."""
        array = self.constant(node, index)
        if array is None or not array.size or (array != array.reshape(-1)[0]).any():
            return None
        return float(array.reshape(-1)[0])

    def _is_zero(self, value: Value | None) -> bool:
        param = self.graph.param_of.get(value) if value is not None else None
        if param is None or param.trainable or not self.graph.store.has(param):
            return False
        return not self.graph.store.read(param).any()

    def zero(self, node: Node, inputs: Inputs, index: int) -> bool:
        """Whether an operand is a constant of zeros."""
        return inputs[index] in self._zeros or self._is_zero(node.inputs[index])

    def zeros(self, b: Builder, value: Value) -> Value:
        """A constant of zeros in place of a value."""
        made = b.constant(np.zeros(value.shape, value.dtype), value.name)
        self._zeros.add(made)
        return made


@_spelling(Add)
def _sum(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """x + 0 is x."""
    for place in (0, 1):
        if speller.zero(node, inputs, place) and inputs[1 - place].type == node.output.type:
            return inputs[1 - place]
    return None


@_spelling(Mul)
def _product(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """x * 0 is 0: the start of an unrolled recurrent network."""
    return speller.zeros(b, node.output) if any(speller.zero(node, inputs, i) for i in (0, 1)) else None


@_spelling(Div)
def _quotient(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value:
    """x * (1 / y)."""
    x, y = inputs
    divisor = speller.constant(node, 1)
    if divisor is not None and divisor.all():
        with np.errstate(over="ignore"):  # what is not finite is refused where it is quantised
            inverse = b.constant(np.reciprocal(divisor), f"{node.name}.factor", y.dtype)
    else:
        if speller.number(node, 0) == 1.0 and node.output.shape == y.shape:
            return b(Reciprocal(), y, name=node.name)
        inverse = b(Reciprocal(), y, name=f"{node.name}.reciprocal")
    return b(Mul(), x, inverse, name=node.name)


@_spelling(Pow)
def _power(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    x = inputs[0]
    exponent = speller.number(node, 1)
    if exponent == 2.0:
        return b(Mul(), x, x, name=node.name)
    roots: dict[float, Op] = {0.5: Sqrt(), -0.5: Rsqrt(), -1.0: Reciprocal()}
    same = x.shape == node.output.shape
    return b(roots[exponent], x, name=node.name) if exponent in roots and same else None


@_spelling(Maximum, Minimum)
def _bound(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """A bound that is one number is a clip."""
    for place in (0, 1):
        number = speller.number(node, place)
        if number is not None and inputs[1 - place].shape == node.output.shape:
            op = Clip(low=number) if isinstance(node.op, Maximum) else Clip(high=number)
            return b(op, inputs[1 - place], name=node.name)
    return None


def leak(graph: Graph, node: Node) -> tuple[Node, int] | None:
    """Where(x > 0, x, x * alpha), as PReLU comes in: the product, and the place of alpha in it."""
    condition, x, scaled = node.inputs
    test = graph.producers.get(condition) if condition is not None else None
    slope = graph.producers.get(scaled) if scaled is not None else None
    if test is None or not isinstance(test.op, (Greater, GreaterEqual)) or test.inputs[0] is not x:
        return None
    if slope is None or not isinstance(slope.op, Mul) or node.output.shape != x.shape:  # type: ignore[union-attr]
        return None
    bound = graph.constant(test.inputs[1])
    place = 1 if slope.inputs[0] is x else 0
    if bound is None or bound.any() or slope.inputs[1 - place] is not x:
        return None
    return slope, place


@_spelling(Where)
def _leak(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """PReLU with one alpha is leaky ReLU."""
    found = leak(speller.graph, node)
    alpha = speller.number(*found) if found is not None else None
    return b(LeakyRelu(alpha), inputs[1], name=node.name) if alpha is not None else None


@_spelling(LogSoftmax)
def _log_softmax(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value:
    """With the largest subtracted, so that no exponential exceeds one."""
    x, axis = inputs[0], (node.op.axis,)  # type: ignore[attr-defined]
    with b.scope(node.name):
        below = b(Sub(), x, b(ReduceMax(axis, True), x), name="below")
        total = b(Log(), b(ReduceSum(axis, True), b(Exp(), below)))
    return b(Sub(), below, total, name=node.name)


@_spelling(Linear)
def _computed_weights(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """With weights that are worked out while the network runs, a matrix product."""
    x, w = inputs[:2]
    source = speller.graph.producers.get(node.inputs[1])  # type: ignore[arg-type]
    if source is None or _from_weights(speller.graph, source):
        return None
    bias = inputs[2] if len(inputs) > 2 else None
    turned = b(Transpose((1, 0)), w, name=f"{node.name}.turned")
    wide = x if len(x.shape) > 1 else b(Reshape((1, -1)), x, name=f"{node.name}.row")
    y = b(Matmul(), wide, turned, name=node.name if bias is None and wide is x else f"{node.name}.product")
    if bias is not None:
        y = b(Add(), y, bias, name=node.name if wide is x else f"{node.name}.sum")
    return y if wide is x else b(Reshape((-1,)), y, name=node.name)


def _from_weights(graph: Graph, node: Node) -> bool:
    """Whether a node's result follows from parameters alone."""
    return all(
        v is None or v in graph.param_of or (v in graph.producers and _from_weights(graph, graph.producers[v]))
        for v in node.inputs
    )


@_spelling(Einsum)
def _einsum(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value:
    """Letters sorted into batch, own and summed ones; then one matrix product."""
    first, second, result = node.op._terms()  # type: ignore[attr-defined]
    sizes = {**dict(zip(first, inputs[0].shape)), **dict(zip(second, inputs[1].shape))}
    terms, values = [first, second], list(inputs)
    for i, other in ((0, second), (1, first)):  # letters that only one operand has and the result lacks are summed
        alone = [k for k, c in enumerate(terms[i]) if c not in other and c not in result]
        if alone:
            values[i] = b(ReduceSum(tuple(alone), False), values[i], name=f"{node.name}.sum")
            terms[i] = "".join(c for k, c in enumerate(terms[i]) if k not in alone)
    batch = [c for c in result if c in terms[0] and c in terms[1]]
    summed = [c for c in terms[0] if c in terms[1] and c not in result]
    rows, columns = ([c for c in result if c in t and c not in batch] for t in terms)

    def sized(letters: list[str]) -> int:
        return math.prod(sizes[c] for c in letters)

    def matrix(i: int, order: list[str], shape: tuple[int, ...]) -> Value:
        turn = tuple(terms[i].index(c) for c in order)
        v = values[i]
        if turn != tuple(range(len(turn))):
            v = b(Transpose(turn), v, name=f"{node.name}.{'xy'[i]}")
        return v if v.shape == shape else b(Reshape(shape), v, name=f"{node.name}.{'xy'[i]}.matrix")

    lead = tuple(sizes[c] for c in batch)
    x = matrix(0, [*batch, *rows, *summed], (*lead, sized(rows), sized(summed)))
    y = matrix(1, [*batch, *summed, *columns], (*lead, sized(summed), sized(columns)))
    made = [*batch, *rows, *columns]
    full = tuple(sizes[c] for c in made)
    turn = tuple(made.index(c) for c in result)
    straight = turn == tuple(range(len(turn)))
    plain = straight and full == (*lead, sized(rows), sized(columns))
    z = b(Matmul(), x, y, name=node.name if plain else f"{node.name}.product")
    if z.shape != full:
        z = b(Reshape(full), z, name=node.name if straight else f"{node.name}.full")
    return z if straight else b(Transpose(turn), z, name=node.name)


@_spelling(AveragePool)
def _counting_pool(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """A mean that counts the padding is a mean of a padded image."""
    op = node.op
    assert isinstance(op, AveragePool)
    if not op.count_padding or not any(op.padding):
        return None
    stride, padding = op.geometry()
    half = len(padding) // 2
    grown = b(Pad((0, 0, *padding[:half], 0, 0, *padding[half:])), inputs[0], name=f"{node.name}.padded")
    return b(AveragePool(op.kernel, stride, (0,) * len(padding)), grown, name=node.name)


@_spelling(ConvTranspose)
def _groups(speller: Speller, b: Builder, node: Node, inputs: Inputs) -> Value | None:
    """Groups side by side."""
    op = node.op
    assert isinstance(op, ConvTranspose)
    if op.groups == 1:
        return None
    x, w = inputs[:2]
    bias = inputs[2] if len(inputs) > 2 else None
    alone = ConvTranspose(op.stride, op.padding, op.dilation, 1, op.output_padding)
    with b.scope(node.name):
        xs: Any = b(Split(1, (x.shape[1] // op.groups,) * op.groups), x)
        ws: Any = b(Split(0, (w.shape[0] // op.groups,) * op.groups), w)
        bs: Any = (None,) * op.groups if bias is None else b(Split(0, (w.shape[1],) * op.groups), bias)
        parts = [b(alone, *one, name="group") for one in zip(xs, ws, bs, strict=True)]
    return b(Concat(1), *parts, name=node.name)



