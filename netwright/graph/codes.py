"""Graphs as numbers that predictors learn from.

    counts = Counts(graphs, depth=2)     # which neighbourhoods there are
    counts(graphs)                       # [n, d]: how often each occurs in each graph
    tables(graphs)                       # [n, N, F + N]: each node's operation, beside which nodes it reads

Two nodes are alike where operation, output type and, up to `depth` steps back, what they read are alike: the subtree
features of Weisfeiler and Lehman (Shervashidze et al. 2011; on architectures, Ru et al. 2021, section 3). Weights do
not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from .graph import Graph


class Counts:
    """Neighbourhoods of up to `depth` steps that occur in `graphs`, as columns; columns that never differ are left out,
    and so is all but one of those that are always equal. ValueError for no graphs."""

    def __init__(self, graphs: Sequence[Graph], depth: int = 2) -> None:
        if not graphs:
            raise ValueError("neighbourhoods are learned from at least one graph")
        self.depth = depth
        found = [neighbourhoods(graph, depth) for graph in graphs]
        self._column = {label: at for at, label in enumerate(dict.fromkeys(label for f in found for label in f))}
        every = self._filled(found)
        kept = np.flatnonzero(np.ptp(every, axis=0) > 0)
        _, first = np.unique(every[:, kept], axis=1, return_index=True)
        self._kept = kept[np.sort(first)]

    def __call__(self, graphs: Sequence[Graph]) -> np.ndarray:
        """[n, d] float64; neighbourhoods that were not learned are not counted."""
        return self._filled([neighbourhoods(graph, self.depth) for graph in graphs])[:, self._kept]

    def _filled(self, found: Sequence[Counter[Hashable]]) -> np.ndarray:
        every = np.zeros((len(found), len(self._column)))
        for row, labels in enumerate(found):
            for label, number in labels.items():
                if (at := self._column.get(label)) is not None:
                    every[row, at] = number
        return every


def neighbourhoods(graph: Graph, depth: int) -> Counter[Hashable]:
    """How many nodes have each neighbourhood of 0 to `depth` steps back."""
    maker = graph.producers
    labels = {node: hash((repr(node.op), node.outputs[0].shape)) for node in graph.nodes}
    found: Counter[Hashable] = Counter((0, label) for label in labels.values())
    for step in range(1, depth + 1):
        labels = {
            node: hash((labels[node], *sorted(labels[maker[v]] for v in node.inputs if v is not None and v in maker)))
            for node in graph.nodes
        }
        found.update((step, label) for label in labels.values())
    return found


def tables(graphs: Sequence[Graph]) -> np.ndarray:
    """[n, N, F + N] float32 for the largest of the graphs' N nodes: one row a node, its operation among all that occur
    (one of F - 2), log2 of its channels, log2 of its other places, then 1 for every node that it reads. Rows beyond a
    graph's end are zero."""
    kinds = {kind: at for at, kind in enumerate(dict.fromkeys(repr(n.op) for graph in graphs for n in graph.nodes))}
    most, width = max(len(graph.nodes) for graph in graphs), len(kinds) + 2
    found = np.zeros((len(graphs), most, width + most), np.float32)
    for rows, graph in zip(found, graphs, strict=True):
        place = {output: at for at, node in enumerate(graph.nodes) for output in node.outputs}
        for row, node in zip(rows, graph.nodes, strict=False):
            shape = node.outputs[0].shape
            row[kinds[repr(node.op)]] = 1.0
            row[width - 2] = np.log2(max(shape[1], 1)) if len(shape) > 1 else 0.0
            row[width - 1] = np.log2(max(int(np.prod(shape[2:])), 1))
            for v in node.inputs:
                if v in place:
                    row[width + place[v]] = 1.0
    return found
