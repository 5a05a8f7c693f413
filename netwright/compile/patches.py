"""Patch-based inference: the first layers, which hold the largest tensors, computed a band of rows at a time.

A stage is a run of layers between two tensors that alone are alive there. Its last tensor is made band by band; for
each band the rows that its layers read are followed back to the stage's first tensor, borders and strides exact, so
every byte is what it would be without patches (Lin et al. 2021, "MCUNetV2", section 3). Bands take whole rows because a
row is one stretch of memory: tiles are cut out of and put into their tensors without a copy. Rows that two bands need
are computed twice.

    banded = apply(graph, stages)                  # the same function of the same inputs

`netwright.compile.patch_choice` says which stages and how many bands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Value
from netwright.graph.builder import closed, copied, opened
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.ops.int8.elementwise import QRelabel
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.quantise import Dequantise, Quantise
from netwright.graph.ops.shape import TO_END, Concat, Slice

from . import dead

Rows = tuple[int, int]  # first, and one beyond the last


class Stage(NamedTuple):
    """Nodes `first` to `last` (inclusive, as they are numbered before any patching) in so many bands."""

    first: int
    last: int
    bands: int


def parse_stages(text: str) -> tuple[Stage, ...]:
    """`0-5:4,6-16:2`: layers 0 to 5 in four bands, then 6 to 16 in two. Raises UserError for anything else."""
    stages = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)-(\d+):(\d+)\s*", part)
        if found is None or int(found[1]) > int(found[2]):
            raise UserError(f"patches are auto, none, or FIRST-LAST:BANDS such as 0-5:4,6-16:2, not {text!r}")
        stages.append(Stage(int(found[1]), int(found[2]), int(found[3])))
    return tuple(stages)


def apply(graph: Graph, stages: tuple[Stage, ...]) -> Graph:
    """The graph with these stages, in order and apart from one another, computed in bands of rows.

    Raises UserError for a stage that cannot be tiled, saying why.
    """
    b, new = opened(graph)
    done = 0
    for stage in sorted(stages):
        if stage.last >= len(graph.nodes):
            raise UserError(f"{graph.name} has layers 0 to {len(graph.nodes) - 1}, no layer {stage.last} to patch")
        if stage.first < done:
            raise UserError(f"patch stages {stages} overlap: let each begin after the one before it")
        for node in graph.nodes[done : stage.first]:
            new.update(copied(b, new, node))
        _banded(b, new, graph, stage)
        done = stage.last + 1
    for node in graph.nodes[done:]:
        new.update(copied(b, new, node))
    return dead.eliminate(closed(graph, b, new))


def window(node: Node) -> tuple[int, int, int] | None:
    """Kernel's reach, stride and padding at the top, in rows; None for what does not look at rows so."""
    op = node.op
    if isinstance(op, QConv):
        w = node.inputs[1]
        assert w is not None
        return (w.shape[1] - 1) * op.dilation[0] + 1, op.stride[0], op.padding[0]
    if isinstance(op, (QMaxPool, QAveragePool)):
        return op.kernel[0], op.stride[0], op.padding[0]
    return None


def by_rows(node: Node, graph: Graph) -> bool:
    """Whether row i of a node's result needs a known stretch of its inputs' rows: windows, and what works on each
    element of images of one size."""
    y = node.output
    if len(node.outputs) != 1 or len(y.shape) != 4 or y.shape[0] != 1:
        return False
    if isinstance(node.op, QAveragePool) and node.op.padding != (0, 0, 0, 0):
        return False  # counts what it averages at borders
    looks = window(node)
    if looks is not None:
        top, _, bottom, _ = node.op.padding  # type: ignore[attr-defined]
        return max(top, bottom) < looks[0] and node.inputs[0] not in graph.param_of  # no window sees padding only
    if isinstance(node.op, Concat):
        return node.op.axis % 4 == 3 and not any(v in graph.param_of for v in node.inputs)
    stored = [v for v in node.inputs if v in graph.param_of and v is not None]
    if any(v.shape[-3:-1] not in ((), (1, 1)) for v in stored):
        return False  # a constant that differs from row to row
    alone = node.op.in_place or isinstance(node.op, (Quantise, Dequantise, QRelabel))
    return alone and all(v.shape == y.shape for v in node.inputs if v is not None and v not in stored)


def needed(node: Node, rows: Rows, v: Value) -> Rows:
    """The rows of input `v` that these rows of the result read."""
    looks = window(node)
    if looks is None:
        return rows
    reach, stride, top = looks
    first, last = rows[0] * stride - top, (rows[1] - 1) * stride - top + reach
    return max(0, first), min(v.shape[1], last)


def _banded(b: Builder, new: dict[Value, Value], graph: Graph, stage: Stage) -> None:
    nodes = graph.nodes[stage.first : stage.last + 1]
    source, result = ends(graph, stage.first, stage.last)
    height = result.shape[1]
    if not 2 <= stage.bands <= height:
        raise UserError(
            f"{result.name} has {height} rows, which {stage.bands} bands cannot tile: give from 2 to {height}"
        )
    tiles = []
    for band, want in enumerate(_wanted(graph, nodes, stage.bands)):
        tile = {source: (_rows(b, new[source], want[source], source.shape[1]), want[source])}
        with b.scope(f"band{band}"):
            for node in nodes:
                tile[node.output] = _tile(b, new, graph, node, want[node.output], tile), want[node.output]
        tiles.append(tile[result][0])
    new[result] = b(Concat(1), *tiles, name=result.name)


def _tile(
    b: Builder, new: dict[Value, Value], graph: Graph, node: Node, rows: Rows, tile: dict[Value, tuple[Value, Rows]]
) -> Value:
    """One node for some rows of its result."""
    inputs: list[Value | None] = []
    for v in node.inputs:
        if v is None or v in graph.param_of:
            inputs.append(new[v] if v is not None else None)
            continue
        held, (first, _) = tile[v]
        more = needed(node, rows, v)
        inputs.append(_rows(b, held, (more[0] - first, more[1] - first), held.shape[1]))
    op, looks = node.op, window(node)
    if looks is not None:
        reach, stride, top = looks
        x = node.inputs[0]
        assert x is not None and isinstance(op, (QConv, QMaxPool, QAveragePool))
        above = max(0, top - rows[0] * stride)
        below = max(0, (rows[1] - 1) * stride - top + reach - x.shape[1])
        op = replace(op, padding=(above, op.padding[1], below, op.padding[3]))
    return b(op, *inputs, name=node.name)  # type: ignore[no-any-return]


def _rows(b: Builder, x: Value, rows: Rows, height: int) -> Value:
    if rows == (0, height):
        return x
    return b(Slice((0, rows[0], 0, 0), (TO_END, rows[1], TO_END, TO_END)), x, name=f"{x.name}.rows")


def ends(graph: Graph, first: int, last: int) -> tuple[Value, Value]:
    """The one tensor that enters these nodes and the one that leaves. Raises UserError where they cannot be tiled."""
    nodes = graph.nodes[first : last + 1]
    made = {v for n in nodes for v in n.outputs}
    entering = dict.fromkeys(v for n in nodes for v in n.inputs if v is not None and v not in graph.param_of)
    outside = [v for v in entering if v not in made]
    kept = {*graph.outputs, *(s.after for s in graph.states)}
    after = {v for n in graph.nodes[last + 1 :] for v in n.inputs}
    leaving = [v for n in nodes for v in n.outputs if v in after or v in kept]
    where = f"layers {first} to {last} ({nodes[0].name} to {nodes[-1].name})" if nodes else f"layers {first} to {last}"
    for node in nodes:
        if not by_rows(node, graph):
            raise UserError(f"{where} cannot be tiled: {node.name} ({node.op.name}) does not work row by row")
    if len(outside) != 1 or len(leaving) != 1 or leaving[0] is not nodes[-1].output:
        counts = f"{len(outside)} and {len(leaving)}"
        raise UserError(f"{where} cannot be tiled: one tensor must enter and one leave, not {counts}")
    return outside[0], leaving[0]


def cuts(graph: Graph) -> list[int]:
    """Positions between nodes where one image alone is alive, from the first layer as far as all work row by row."""
    found, alive = [], list(graph.inputs)
    if len(alive) != 1 or graph.states or len(alive[0].shape) != 4:
        return []
    found = [0]
    last = {v: i for i, n in enumerate(graph.nodes) for v in n.inputs if v is not None and v not in graph.param_of}
    for index, node in enumerate(graph.nodes):
        if not by_rows(node, graph) or any(v in graph.outputs for v in node.outputs):
            break
        alive = [v for v in (*alive, node.output) if last.get(v, -1) > index]
        if alive == [node.output]:
            found.append(index + 1)
    return found


def _wanted(graph: Graph, nodes: tuple[Node, ...], bands: int) -> Iterator[dict[Value, Rows]]:
    """For each band the rows of every value that it needs."""
    result = nodes[-1].output
    height = result.shape[1]
    for band in range(bands):
        want = {result: (height * band // bands, height * (band + 1) // bands)}
        for node in reversed(nodes):
            rows = want[node.output]
            for v in node.inputs:
                if v is None or v in graph.param_of:
                    continue
                more = needed(node, rows, v)
                before = want.get(v, more)
                want[v] = min(before[0], more[0]), max(before[1], more[1])
        yield want
