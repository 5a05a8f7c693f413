"""Graphs as numbers that predictors learn from.

    counts = Counts(graphs, depth=2)     # which neighbourhoods there are
    counts(graphs)                       # [n, d]: how often each occurs in each graph
    tables = Tables(graphs)              # which operations there are
    tables(graphs)                       # [n, N, F + N]: each node's operation, beside which nodes it reads

Two nodes are alike where operation, output type and, up to `depth` steps back, what they read are alike: the subtree
features of Weisfeiler and Lehman (Shervashidze et al. 2011; on architectures, Ru et al. 2021, section 3). Weights do
not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from .graph import Graph, Node


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

    def _filled(self, found: Sequence[Counter[bytes]]) -> np.ndarray:
        every = np.zeros((len(found), len(self._column)))
        for row, labels in enumerate(found):
            for label, number in labels.items():
                if (at := self._column.get(label)) is not None:
                    every[row, at] = number
        return every


def neighbourhoods(graph: Graph, depth: int) -> Counter[bytes]:
    """How many nodes have each neighbourhood of 0 to `depth` steps back."""
    maker = graph.producers
    labels = {node: _named(_kind(node), str(node.outputs[0].type)) for node in graph.nodes}
    found: Counter[bytes] = Counter(labels.values())
    for step in range(1, depth + 1):
        read = {node: sorted(labels[maker[v]] for v in node.inputs if v is not None and v in maker) for node in labels}
        labels = {node: _named(step, label, read[node]) for node, label in labels.items()}
        found.update(labels.values())
    return found


class Tables:
    """Rows for the nodes of graphs, of the operations and up to the number N of nodes that `graphs` have."""

    def __init__(self, graphs: Sequence[Graph]) -> None:
        kinds = dict.fromkeys(_kind(node) for graph in graphs for node in graph.nodes)
        self._kinds = {kind: at for at, kind in enumerate(kinds)}
        self.nodes = max((len(graph.nodes) for graph in graphs), default=0)
        self.features = len(self._kinds) + 2

    def __call__(self, graphs: Sequence[Graph]) -> np.ndarray:
        """[n, N, F + N] float32: one row a node, its operation (one of F - 2; none that was not there), log2 of its
        channels, log2 of its other places, then 1 for every node that it reads. Rows beyond a graph's end are zero.
        ValueError for a graph of more than N nodes."""
        width = self.features
        found = np.zeros((len(graphs), self.nodes, width + self.nodes), np.float32)
        for rows, graph in zip(found, graphs, strict=True):
            if len(graph.nodes) > self.nodes:
                raise ValueError(f"{graph.name} has {len(graph.nodes)} nodes, more than these tables' {self.nodes}")
            place = {output: at for at, node in enumerate(graph.nodes) for output in node.outputs}
            for row, node in zip(rows, graph.nodes, strict=False):
                shape = node.outputs[0].shape
                if (kind := self._kinds.get(_kind(node))) is not None:
                    row[kind] = 1.0
                row[width - 2] = np.log2(max(shape[1], 1)) if len(shape) > 1 else 0.0
                row[width - 1] = np.log2(max(int(np.prod(shape[2:])), 1))
                for v in node.inputs:
                    if v in place:
                        row[width + place[v]] = 1.0
        return found


def _kind(node: Node) -> str:
    return repr(node.op)


def _named(*parts: object) -> bytes:
    """A name that is the same in every process."""
    return blake2b(repr(parts).encode(), digest_size=16).digest()
