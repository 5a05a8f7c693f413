"""A graph made ready for C: primitives only, constants folded, every end a tensor of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netwright.compile import attention, batchnorm, columns, constants, dead, feed_forward, pads, patch_choice, patches
from netwright.errors import UserError
from netwright.graph import Graph, Value, expand_all
from netwright.graph.builder import closed, copied, opened, without_unread_params
from netwright.graph.ops.shape import Expand, Reshape

from ..manifest import is_float
from .source import CTYPES, planned, reordered, supported


def prepared(graph: Graph, options: Mapping[str, Any] | None = None, arena: int | None = None) -> Graph:
    """The graph that `generate` writes: same inputs, outputs and states, results equal to rounding.

    An integer graph keeps its arithmetic to the bit: constants are folded and it is `arranged`. Of a float graph
    composites that no C can be written for whole are expanded, batch norms folded into the layer before them, weights
    fixed and everything that depends on them alone worked out. Raises UserError for float weights without contents, for
    a dtype that C here does not have and for an op without C, naming the node.
    """
    if not is_float(graph):
        return _own_ends(arranged(constants.fold(graph), options, arena))
    for param in graph.params:
        if not graph.store.has(param):
            raise UserError(f"{param.tensor} has no contents: load or train the weights before compiling {graph.name}")
    ready = batchnorm.fold(expand_all(graph, lambda op: not supported(op)))
    ready = replace(ready, params=tuple(replace(p, trainable=False) for p in ready.params))
    ready = dead.eliminate(constants.fold(ready))
    ready = _own_ends(reordered(ready))
    for value in ready.values():
        if value.dtype not in CTYPES:
            raise UserError(f"{value.name} is {value.dtype}: C is written for {', '.join(CTYPES)}; convert the graph")
    for node in ready.nodes:
        if not supported(node.op):
            raise UserError(f"{node.name}: no C can be written for {node.op.name}; express it with other ops")
    return ready


def arranged(graph: Graph, options: Mapping[str, Any] | None = None, arena: int | None = None) -> Graph:
    """An integer graph with padding taken in, attention and linear layers in pairs made one op each, in the order that
    needs least memory, and patched as `options` say.

    `options["patches"]`: `none`; `auto`, which takes the fewest extra MACs that bring the plan down to `arena` bytes,
    where it is above them, or as near to them as patches bring it; or stages as `parse_stages` reads them.
    `options["input"]`: `arena` or `outside`. Raises UserError for stages that cannot be tiled.
    """
    graph = reordered(feed_forward.fold(columns.split(attention.fold(pads.fold(graph)))))
    wanted = str((options or {}).get("patches", "none"))
    if wanted == "none" or (wanted == "auto" and arena is None):
        return graph
    if wanted != "auto":
        return patches.apply(graph, patches.parse_stages(wanted))
    assert arena is not None
    stages = patch_choice.choose(graph, arena, lambda g: planned(g, outside=outside(g, options)))
    return patches.apply(graph, stages) if stages else graph


def outside(graph: Graph, options: Mapping[str, Any] | None) -> frozenset[Value]:
    """The inputs that these options keep outside the arena. Raises UserError for an unknown place."""
    place = (options or {}).get("input", "arena")
    if place not in ("arena", "outside"):
        raise UserError(f"an input lies in the arena or outside, not {place!r}")
    return frozenset(graph.inputs) if place == "outside" else frozenset()


def _own_ends(graph: Graph) -> Graph:
    """Outputs and next states that are inputs, states, parameters or outputs already become copies of them.

    The program copies next states over states one after the other, and gives outputs where they lie.
    """
    kept = {s.before for s in graph.states if s.after is s.before}  # never written: no copy
    given = {*graph.inputs, *(s.before for s in graph.states), *graph.param_of}
    views = dict.fromkeys(given)
    for node in graph.nodes:  # a reshape lies where its source does
        if isinstance(node.op, Reshape) and node.inputs[0] in views:
            views.update(dict.fromkeys(node.outputs))
    ends = [*graph.outputs, *(s.after for s in graph.states if s.after not in kept)]
    if not any(v in views for v in ends):
        return graph
    b, new = opened(graph)
    for node in graph.nodes:
        new.update(copied(b, new, node))
    copies = {v: b(Expand(v.shape), new[v], name=f"{v.name}.copy") for v in dict.fromkeys(ends) if v in views}
    return without_unread_params(closed(graph, b, new, copies))
