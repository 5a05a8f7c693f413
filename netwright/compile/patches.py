"""Patch-based inference: the first layers, which hold the largest tensors, computed a band of rows at a time.

A stage is a run of layers between two tensors that alone are alive there. Its last tensor is made band by band; for
each band the rows that its layers read are followed back to the stage's first tensor, borders and strides exact, so
every byte is what it would be without patches (Lin et al. 2021, "MCUNetV2", section 3). Bands take whole rows because a
row is one stretch of memory: tiles are cut out of and put into their tensors without a copy. Rows that two bands need
are computed twice.

    stages = choose(graph, limit, planned)         # which layers, how many bands; () where none are needed
    banded = apply(graph, stages)                  # the same function of the same inputs
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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
from .memory import Plan

MOST_BANDS = 20  # of a stage that is chosen
PLANS = 60  # schedules whose memory is planned, where many are possible
FEW = 6  # where none of them can be hoped to fit
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


def _window(node: Node) -> tuple[int, int, int] | None:
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
    if _window(node) is not None:
        return node.inputs[0] not in graph.param_of
    if isinstance(node.op, Concat):
        return node.op.axis % 4 == 3 and not any(v in graph.param_of for v in node.inputs)
    stored = [v for v in node.inputs if v in graph.param_of and v is not None]
    if any(v.shape[-3:-1] not in ((), (1, 1)) for v in stored):
        return False  # a constant that differs from row to row
    alone = node.op.in_place or isinstance(node.op, (Quantise, Dequantise, QRelabel))
    return alone and all(v.shape == y.shape for v in node.inputs if v is not None and v not in stored)


def needed(node: Node, rows: Rows, v: Value) -> Rows:
    """The rows of input `v` that these rows of the result read."""
    window = _window(node)
    if window is None:
        return rows
    reach, stride, top = window
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
    op, window = node.op, _window(node)
    if window is not None:
        reach, stride, top = window
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


def choose(graph: Graph, limit: int, plan: Callable[[Graph], Plan]) -> tuple[Stage, ...]:
    """The stages with the fewest extra MACs for which `plan` needs at most `limit` bytes; () where none are needed.

    One stage from the input on, or a second one behind it. Where none fits, those that need least of the few with the
    best prospects.
    """
    whole = plan(graph)
    if whole.bytes <= limit:
        return ()
    room = limit + limit // 10  # prospects are estimates
    prospects = sorted(_prospects(graph, whole), key=lambda p: (max(0, p.bytes - room), p.macs))
    chosen: tuple[Stage, ...] = ()
    least = whole.bytes
    hope = any(p.bytes <= limit for p in prospects)
    for prospect in prospects[: PLANS if hope else FEW]:
        size = plan(apply(graph, prospect.stages)).bytes
        if size < least:
            chosen, least = prospect.stages, size
        if size <= limit:
            break
    return chosen


class _Prospect(NamedTuple):
    """What a schedule would cost at the least."""

    bytes: int
    macs: int
    stages: tuple[Stage, ...]


def _prospects(graph: Graph, whole: Plan) -> Iterator[_Prospect]:
    """Schedules of one stage from the input on, and of two that follow each other."""
    places = cuts(graph)
    live = [whole.live(step) for step in range(len(graph.nodes))]

    def rest(first: int) -> int:
        return max(live[first:], default=0)

    known: dict[Stage, tuple[int, int]] = {}

    def estimate(stage: Stage) -> tuple[int, int]:
        if stage not in known:
            known[stage] = _estimate(graph, stage, whole.outside)
        return known[stage]

    singles = []
    for last in places[1:]:
        for bands in range(2, min(graph.nodes[last - 1].output.shape[1], MOST_BANDS) + 1):
            stage = Stage(0, last - 1, bands)
            size, macs = estimate(stage)
            singles.append((stage, size, macs))
            yield _Prospect(max(size, rest(last)), macs, (stage,))
    for stage, size, macs in singles:
        for last in places:
            if last <= stage.last + 1:
                continue
            for bands in range(2, min(graph.nodes[last - 1].output.shape[1], MOST_BANDS) + 1):
                second = Stage(stage.last + 1, last - 1, bands)
                further, more = estimate(second)
                yield _Prospect(max(size, further, rest(last)), macs + more, (stage, second))


def _estimate(graph: Graph, stage: Stage, outside: frozenset[Value]) -> tuple[int, int]:
    """Bytes that a stage takes at the least, and the MACs that it computes twice: tiles against whole layers."""
    nodes = graph.nodes[stage.first : stage.last + 1]
    source, result = nodes[0].inputs[0], nodes[-1].output
    assert source is not None
    kept = result.type.bytes + (0 if source in outside else source.type.bytes)
    size = macs = 0
    for want in _wanted(graph, nodes, stage.bands):
        for node in nodes:
            x, y = node.inputs[0], node.output
            assert x is not None
            rows = [(v.type.bytes // v.shape[1]) * (want[v][1] - want[v][0]) for v in (x, y)]
            macs += node.macs // y.shape[1] * (want[y][1] - want[y][0])
            own = (0 if x is source and source not in outside else rows[0], 0 if y is result else rows[1])
            size = max(size, kept + max(own))
    return size, macs - sum(n.macs for n in nodes)


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
