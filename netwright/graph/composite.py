"""Evaluating composites through their expansion, which is built once for each combination of input types."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .graph import Graph
from .op import Composite, Op
from .types import DTYPES, Type


@lru_cache(maxsize=4096)
def expansion(op: Composite, inputs: tuple[Type | None, ...]) -> Graph:
    """The graph a composite stands for; absent inputs are absent there too."""
    from .builder import Builder

    b = Builder(op.name)
    values = [b.input(f"x{i}", t) if t is not None else None for i, t in enumerate(inputs)]
    outputs = op.expand(b, *values)
    b.output(*(outputs if isinstance(outputs, tuple) else (outputs,)))
    return b.graph()


def expand_all(graph: Graph, chosen: Callable[[Op], bool] = lambda op: True) -> Graph:
    """Replace every composite (that is `chosen`), also those inside expansions, by primitives.

    Results keep their names; what is inside is called `<node>.<op>`.
    """
    from .builder import Builder, rebuild

    def rule(b: Builder, node: Any, inputs: tuple[Any, ...]) -> Any:
        if not isinstance(node.op, Composite) or not chosen(node.op):
            return None
        with b.scope(node.name):
            made = node.op.expand(b, *inputs)
        for old, value in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True):
            if value.name.startswith(f"{node.name}."):
                value.name = b.unique(old.name)
        return made

    while any(isinstance(node.op, Composite) and chosen(node.op) for node in graph.nodes):
        graph = rebuild(graph, rule)
    return graph


def _typed(array: Any, dtype: str) -> Type:
    # under autocast torch computes in types that graphs do not have; the expansion is the same
    return Type(tuple(array.shape), dtype if dtype in DTYPES else "float32")


def run_numpy(op: Composite, arrays: tuple[Any, ...]) -> Any:
    """A composite's NumPy reference: its expansion, run."""
    graph = expansion(op, tuple(_typed(a, str(a.dtype)) if a is not None else None for a in arrays))
    outputs = graph.run(*(np.asarray(a) for a in arrays if a is not None))
    return outputs if len(outputs) > 1 else outputs[0]


def run_torch(op: Composite, tensors: tuple[Any, ...]) -> Any:
    """A composite with torch tensors: its expansion, evaluated node by node."""
    from .torch import evaluate, from_numpy

    graph = expansion(
        op, tuple(_typed(t, str(t.dtype).removeprefix("torch.")) if t is not None else None for t in tensors)
    )
    present = [t for t in tensors if t is not None]
    device = present[0].device
    values: dict[Any, Any] = dict(zip(graph.inputs, present, strict=True))
    for param in graph.params:
        values[param.value] = from_numpy(graph.store.read(param)).to(device)
    evaluate(graph, values)
    outputs = tuple(values[v] for v in graph.outputs)
    return outputs if len(outputs) > 1 else outputs[0]
