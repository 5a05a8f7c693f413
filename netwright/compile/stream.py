"""A program that takes a whole recording made into one that takes a hop of it at a time, with the rest as state."""

from __future__ import annotations

import numpy as np

from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Type, Value
from netwright.graph.builder import closed, copied, opened
from netwright.graph.ops.front_end.log_mel import QLogMel
from netwright.graph.ops.int8.elementwise import QRequantise
from netwright.graph.ops.shape import Concat, Slice

from . import dead


def by_hops(graph: Graph) -> Graph:
    """int16 [1, hop] a step instead of int16 [1, samples]: states hold the samples that the next window shares with
    this one, and the features of the frames before.

    After as many steps as fill the recording the outputs are those of the whole program on its last `samples` samples,
    to the bit; before that, silence stands for what was not yet heard. Raises UserError for a graph that has states, or
    whose one input is not sound.
    """
    first = graph.nodes[0] if graph.nodes else None
    reads = len(graph.inputs) == 1 and list(graph.consumers.get(graph.inputs[0], ())) == [first]
    if first is None or not isinstance(first.op, QLogMel) or not reads or graph.states:
        raise UserError(f"{graph.name}: only a program that takes sound (`fit` on a wav folder) can take it by hops")
    b, new = opened(graph)
    _, *tables = (new[v] if v is not None else None for v in first.inputs)
    hop, window = first.op.hop, first.inputs[1].shape[0]  # type: ignore[union-attr]
    heard = b._inputs[0] = Value(graph.inputs[0].name, Type((1, hop), "int16"))
    if window > hop:
        before = b.state("samples", Type((1, window - hop), "int16"))
        heard = b(Concat(1), before, heard, name="window")
        b.update(before, b(Slice((0, hop), (1, window)), heard, name="samples.kept"))
    frame, silence = b(first.op, heard, *tables, name=first.name), _silence(graph, first)
    last = first
    readers = graph.consumers.get(first.output, ())
    if len(readers) == 1 and isinstance(readers[0].op, QRequantise) and first.output not in graph.outputs:
        last = readers[0]  # int8 is held, not int16
        frame, silence = b(last.op, frame, name=last.name), last.op.numpy(silence)
    new[last.output] = _rolled(b, last.output, frame, int(silence.reshape(-1)[0]))
    for node in graph.nodes:
        if node not in (first, last):
            new.update(copied(b, new, node))
    return dead.eliminate(closed(graph, b, new))


def _silence(graph: Graph, node: Node) -> np.ndarray:
    """What a frame of zeros becomes: the floor's logarithm, in every filter."""
    tables = [graph.constant(v) for v in node.inputs[1:]]
    width = 0 if tables[0] is None else len(tables[0])
    silence: np.ndarray = node.op.numpy(np.zeros((1, width), np.int16), *tables)
    return silence


def _rolled(b: Builder, whole: Value, frame: Value, silence: int) -> Value:
    """The frames before this one, the oldest dropped, and this one."""
    _, frames, *rest = whole.shape
    if frames == 1:
        return frame
    held = b.state("features", whole.type, float(silence))
    kept = b(Slice((0, 1, *(0 for _ in rest)), (1, frames, *rest)), held, name="features.kept")
    made = b(Concat(1), kept, frame, name="features.now")
    b.update(held, made)
    return made
