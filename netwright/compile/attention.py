"""Attention's two int8 products and the softmax between them made one op, so that its scores are stored nowhere.

Heads that were cut out of a token's features by reshapes, transposes, slices and splits are read where they lie: what
each of these moves is followed element by element, so that any way of spelling them is found.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.elementwise import QRelabel
from netwright.graph.ops.int8.matmul import QMatmul
from netwright.graph.ops.int8.softmax import SOFTMAX_QUANT, QSoftmax
from netwright.graph.ops.shape import Reshape, Slice, Split, Transpose

from . import dead

_MOVES = (Reshape, QRelabel, Transpose, Slice, Split)


class Rows(NamedTuple):
    """Heads as features side by side: those of a token begin at `column` of its row in `source` [tokens, features]."""

    source: Value
    tokens: int
    column: int


class Match(NamedTuple):
    """One attention: its operands, its op, and the value that holds the result token by token."""

    rows: tuple[Rows, Rows, Rows]
    op: QAttention
    output: Value
    name: str


def fold(graph: Graph) -> Graph:
    """Make each attention over one sample one op; exact."""
    matches = {m.output: m for n in graph.nodes if isinstance(n.op, QMatmul) and (m := _match(graph, n)) is not None}
    if not matches:
        return graph
    now: dict[Value, Value] = {}
    whole: dict[tuple[Value, int], Value] = {}  # one view a source, so that what is read twice is seen to be

    def tokens(b: Builder, rows: Rows) -> Value:
        key = rows.source, rows.tokens
        if key not in whole:
            source = now[rows.source]
            shape = rows.tokens, source.type.size // rows.tokens
            view = Reshape((-1, *shape))
            whole[key] = source if source.shape == (1, *shape) else b(view, source, name=f"{source.name}.tokens")
        return whole[key]

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        now.update((old, new) for old, new in zip(node.inputs, inputs) if old is not None and new is not None)
        match = matches.get(node.output)
        if match is None:
            return None
        given = []
        for rows, quant in zip(match.rows, (match.op.q, match.op.k, match.op.v)):
            value = tokens(b, rows)
            given.append(value if value.type.quant == quant else b(QRelabel(quant), value))
        made, shape = b(match.op, *given, name=f"{match.name}.rows"), match.output.shape
        return made if made.shape == shape else b(Reshape((-1, *shape[1:])), made, name=match.name)

    return dead.eliminate(rebuild(graph, rule))


def _match(graph: Graph, second: Node) -> Match | None:
    """The attention whose second product this is, where it is one."""
    softmax = _alone(graph, second.inputs[0])
    if softmax is None or not isinstance(softmax.op, QSoftmax) or softmax.op.dtype != "int8":
        return None
    first = _alone(graph, softmax.inputs[0])
    while first is not None and isinstance(first.op, (QRelabel, Reshape)) and _same_shape(first):
        first = _alone(graph, first.inputs[0])
    if first is None or not isinstance(first.op, QMatmul):
        return None
    assert isinstance(second.op, QMatmul)
    (q, k), v = first.inputs, second.inputs[1]
    if q is None or k is None or v is None or second.op.x != SOFTMAX_QUANT:
        return None
    lead = first.output.shape[:-2]
    if any(len(a.shape) != len(first.output.shape) or a.shape[:-2] != lead for a in (q, k, v)):
        return None
    heads = math.prod(lead)
    rows = tuple(_rows(graph, a, heads, turned) for a, turned in ((q, False), (k, True), (v, False)))
    output = _by_token(graph, second.output, heads)
    if output is None or any(r is None for r in rows):
        return None
    columns = tuple(r.column for r in rows)  # type: ignore[union-attr]
    assert softmax.op.x is not None
    op = QAttention(
        heads, q.shape[-1], v.shape[-1], columns, first.op.x, first.op.y, second.op.y, first.op.out,  # type: ignore[arg-type]
        softmax.op.x, softmax.op.beta, second.op.out,
    )  # fmt: skip
    return Match(rows, op, output, second.name)  # type: ignore[arg-type]


def _alone(graph: Graph, value: Value | None) -> Node | None:
    """What makes a value that one node reads and nobody else sees."""
    if value is None or len(graph.consumers.get(value, ())) != 1 or value in _kept(graph):
        return None
    return graph.producers.get(value)


def _kept(graph: Graph) -> set[Value]:
    return {*graph.outputs, *(s.after for s in graph.states)}


def _same_shape(node: Node) -> bool:
    return node.inputs[0] is not None and node.inputs[0].shape == node.output.shape


def _rows(graph: Graph, value: Value, heads: int, turned: bool) -> Rows | None:
    """Where an operand [..., tokens, size] (`turned`: [..., size, tokens]) lies, as far up as it lies in rows."""
    path: list[tuple[Node, int]] = []  # from the operand up: each move, and which of its results was taken
    found, source = None, value
    while True:
        held = _in_rows(_places(source, path), heads, source, turned)
        found = held or found
        node = graph.producers.get(source)
        if node is None or not isinstance(node.op, _MOVES) or node.inputs[0] in graph.param_of:
            return found
        path.append((node, node.outputs.index(source)))
        source = node.inputs[0]  # type: ignore[assignment]


def _places(source: Value, path: list[tuple[Node, int]]) -> np.ndarray:
    """For each element of the operand, which of the source's it is."""
    places = np.arange(source.type.size).reshape(source.shape)
    for node, result in reversed(path):
        made = node.op.numpy(places)
        places = made[result] if isinstance(made, tuple) else made
    return places


def _in_rows(places: np.ndarray, heads: int, source: Value, turned: bool) -> Rows | None:
    """Rows of equal length that fill the source, each with the heads of one token side by side."""
    if turned:
        places = places.swapaxes(-1, -2)
    places = places.reshape(heads, *places.shape[-2:])
    _, tokens, size = places.shape
    if source.type.size % tokens:
        return None
    length, column = source.type.size // tokens, int(places[0, 0, 0])
    wanted = np.arange(heads)[:, None, None] * size + np.arange(tokens)[:, None] * length + np.arange(size) + column
    return Rows(source, tokens, column) if column + heads * size <= length and (places == wanted).all() else None


def _by_token(graph: Graph, value: Value, heads: int) -> Value | None:
    """The value behind the result [..., tokens, depth] of all heads that has them side by side in each token's row."""
    shape = (heads, *value.shape[-2:])
    places = np.arange(value.type.size).reshape(shape[1], heads, shape[2]).transpose(1, 0, 2).reshape(value.shape)
    while not (places.reshape(-1) == np.arange(places.size)).all():
        readers = graph.consumers.get(value, ())
        if len(readers) != 1 or value in _kept(graph) or not isinstance(readers[0].op, (Reshape, Transpose)):
            return None
        places, value = readers[0].op.numpy(places), readers[0].output
    return value
