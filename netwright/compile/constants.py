"""Constant folding."""

from __future__ import annotations

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild

from . import dead

LARGEST_BYTES = 1 << 26
LARGEST_MACS = 1 << 28


def fold(graph: Graph, *, trainable: bool = False) -> Graph:
    """Evaluate nodes whose inputs are all fixed parameters with contents, up to 64 MiB a result.

    All results together may take 256 MiB and four times what the parameters take, and one may take 2^28 MACs: a small
    file can ask for more, and stays as it is there.

    With `trainable`, nodes that depend on trained parameters alone too; the results are fixed from then on.
    """
    known: dict[Value, np.ndarray] = {
        p.value: graph.store.read(p) for p in graph.params if (trainable or not p.trainable) and graph.store.has(p)
    }
    folded = False
    budget = (1 << 28) + 4 * sum(array.nbytes for array in known.values())

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> tuple[Value, ...] | None:
        nonlocal folded, budget
        if not node.inputs or any(v is not None and v not in known for v in node.inputs):
            return None
        size = sum(v.type.bytes for v in node.outputs)
        if size > min(LARGEST_BYTES, budget) or node.macs > LARGEST_MACS:
            return None
        budget -= size
        with np.errstate(all="ignore"):  # infinities and NaN are the results that running it would give
            results = node.op.numpy(*[known[v] if v is not None else None for v in node.inputs])
        arrays = results if len(node.outputs) > 1 else (results,)
        known.update(zip(node.outputs, arrays, strict=True))
        folded = True
        return tuple(
            b.constant(a, v.name, v.dtype, v.type.quant) for a, v in zip(arrays, node.outputs, strict=True)
        )

    result = rebuild(graph, rule)
    return dead.eliminate(result) if folded else graph
