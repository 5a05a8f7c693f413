"""Control flow that is decided at import: an `If` on a known condition, loops of a known length."""

from __future__ import annotations

from collections import ChainMap
from typing import Any

import numpy as np

from ...ops.shape import Reshape
from .body import read_body
from .entry import Entry, Known
from .importer import Call, imports
from .move import joined, sliced
from .tensors import array_of

MOST_TURNS = 1024


def run_graph(n: Call, graph: Any, bound: dict[str, Entry]) -> list[Entry]:
    """Read a subgraph's nodes in place, which may read the names around it; returns its outputs."""
    own: dict[str, Entry] = dict(bound)
    for tensor in graph.initializer:
        array = array_of(tensor, n.im.folder)
        own[tensor.name] = Known(array, tensor.name, array.dtype.kind == "f")
    names: ChainMap[str, Entry] = ChainMap(own, n.scope)
    wanted = [value.name for value in graph.output]
    read_body(n.im, graph.node, names, wanted)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise n.refuse(f"its subgraph's output {missing[0]!r} is made by no node")
    return [names[name] for name in wanted]


def _graph(n: Call, name: str) -> Any:
    graph = n.attributes.get(name)
    if graph is None or not hasattr(graph, "node"):
        raise n.refuse(f"it has no subgraph {name!r}")
    return graph


@imports("If")
def choose(n: Call) -> tuple[Entry, ...]:
    """The branch that a known condition names."""
    condition = n.array(0)
    if condition is None or condition.size != 1:
        raise n.refuse("its condition must be one boolean")
    return tuple(run_graph(n, _graph(n, "then_branch" if condition.reshape(-1)[0] else "else_branch"), {}))


@imports("Loop")
def loop(n: Call) -> tuple[Entry, ...]:
    """As many turns as a known trip count and known conditions give, written out one after the other."""
    body = _graph(n, "body")
    most = n.number(0)
    going = bool(n.number(1, True))
    inputs = [value.name for value in body.input]
    carried: list[Entry] = n.operands_from(2)
    if len(inputs) != 2 + len(carried):
        raise n.refuse(f"its body takes {len(inputs)} inputs, {2 + len(carried)} are given")
    scans: list[list[Entry]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    turn = 0
    while going and (most is None or turn < most):
        if turn >= MOST_TURNS:
            raise n.refuse(f"it makes over {MOST_TURNS} turns, which are written out one by one")
        given: list[Entry] = [n.known(np.int64(turn)), n.known(np.bool_(True)), *carried]
        results = run_graph(n, body, dict(zip(inputs, given)))
        condition, carried = results[0], results[1 : 1 + len(carried)]
        if not isinstance(condition, Known):
            raise n.refuse("whether it goes on is computed at run time; the number of turns must be known at import")
        going = bool(condition.array.reshape(-1)[0])
        for column, result in zip(scans, results[1 + len(carried) :]):
            column.append(n(Reshape((1, *result.shape)), result))
        turn += 1
    if not turn and scans:
        raise n.refuse("it makes no turn, so that the shapes of its collected results are unknown")
    return (*carried, *(joined(n, column, 0) for column in scans))


@imports("Scan")
def scan(n: Call) -> tuple[Entry, ...]:
    """A loop over the rows of its scanned inputs."""
    if n.opset < 9:
        raise n.refuse("the batched form of opset 8 is not supported: export with opset 9 or later")
    body, count = _graph(n, "body"), n.integer("num_scan_inputs", 0)
    operands = n.operands()
    states, scanned = operands[: len(operands) - count], operands[len(operands) - count :]
    outputs = len(body.output) - len(states)
    axes = n.several("scan_input_axes") or (0,) * count
    back = n.several("scan_input_directions") or (0,) * count
    out_axes = n.several("scan_output_axes") or (0,) * outputs
    out_back = n.several("scan_output_directions") or (0,) * outputs
    if not 0 < count <= len(operands) or not len(axes) == len(back) == count or not len(out_axes) == outputs:
        raise n.refuse(f"{count} scanned inputs of {len(operands)} and {outputs} collected results do not fit")
    axes = tuple(n.axis(a, len(x.shape)) for a, x in zip(axes, scanned))
    turns = scanned[0].shape[axes[0]]
    if turns > MOST_TURNS or turns < 1 or any(x.shape[a] != turns for x, a in zip(scanned, axes)):
        raise n.refuse(f"it makes {turns} turns: 1 to {MOST_TURNS} are written out, the same for every input")
    columns: list[list[Entry]] = [[] for _ in range(outputs)]
    names = [value.name for value in body.input]
    for turn in range(turns):
        rows = [_row(n, x, a, turns - 1 - turn if b else turn) for x, a, b in zip(scanned, axes, back)]
        results = run_graph(n, body, dict(zip(names, [*states, *rows])))
        states = results[: len(states)]
        for column, result in zip(columns, results[len(states) :]):
            column.append(result)
    collected = []
    for column, axis, turned in zip(columns, out_axes, out_back):
        axis = n.axis(axis, len(column[0].shape) + 1)
        shape = (*column[0].shape[:axis], 1, *column[0].shape[axis:])
        parts = [n(Reshape(shape), v) for v in (column[::-1] if turned else column)]
        collected.append(joined(n, parts, axis))
    return (*states, *collected)


def _row(n: Call, x: Entry, axis: int, row: int) -> Entry:
    one = sliced(n, x, axis, row, row + 1)
    return n(Reshape((*x.shape[:axis], *x.shape[axis + 1 :])), one)
