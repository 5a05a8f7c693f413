"""Autotuning: each layer on the kernel with which it takes fewest instructions, counted and not modelled.

    graph, choices = tuned(graph, count, key="cortex-m4, clang of ziglang 0.17.1", arena=65_536)

Every layer that `choice.variants` has several kernels for is compiled alone with each of them, and counted. Counts are
kept in the cache folder by the layer's signature, what they were counted on and the text of the kernels, so that it is
measured once. All kernels give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from netwright.compile.memory import Plan
from netwright.graph import Graph, Node
from netwright.graph.files import write_text
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.types import UNIT_QUANT

from .choice import variants, with_kernel
from .source import KERNELS, planned
from .toolchain import cache_folder


class Choice(NamedTuple):
    """The kernels of one layer: instructions of each, the rule's first."""

    node: str
    counts: dict[str, int]

    @property
    def usual(self) -> str:
        return next(iter(self.counts))

    @property
    def best(self) -> str:
        return min(self.counts, key=lambda kernel: self.counts[kernel])

    @property
    def saved(self) -> int:
        """Instructions that the best takes less than the usual."""
        return self.counts[self.usual] - self.counts[self.best]


def tuned(
    graph: Graph,
    count: Callable[[Graph], int],
    key: str,
    arena: int | None = None,
    plan: Callable[[Graph], Plan] = planned,
) -> tuple[Graph, list[Choice]]:
    """The graph with the best kernel in each layer, and the choices that are another than the rule's.

    `count` tells the instructions of a graph of one layer on what `key` names. Where all choices together would take
    the `plan` above `arena` bytes, or above the rule's where that is larger, those that save most are taken as long as
    it keeps to that.
    """
    found = [Choice(node.name, _counts(graph, node, count, key)) for node in graph.nodes if variants(node)]
    better = sorted((c for c in found if c.saved > 0), key=lambda c: -c.saved)
    made = _applied(graph, better)
    if arena is None:
        return made, better
    most = max(arena, plan(graph).bytes)
    if plan(made).bytes <= most:
        return made, better
    kept: list[Choice] = []
    for choice in better:
        if plan(_applied(graph, [*kept, choice])).bytes <= most:
            kept.append(choice)
    return _applied(graph, kept), kept


def _applied(graph: Graph, choices: list[Choice]) -> Graph:
    best = {choice.node: choice.best for choice in choices}
    return replace(
        graph, nodes=tuple(_on(node, best[node.name]) if node.name in best else node for node in graph.nodes)
    )


def _on(node: Node, kernel: str) -> Node:
    assert isinstance(node.op, QConv)
    return Node(with_kernel(node.op, kernel), node.inputs, node.outputs)


def _counts(graph: Graph, node: Node, count: Callable[[Graph], int], key: str) -> dict[str, int]:
    """Instructions of a layer on each of its kernels, remembered."""
    names = variants(node)
    signature = (_signature(node), names, key, _kernels())
    kept = cache_folder() / "tuning" / f"{sha256(repr(signature).encode()).hexdigest()[:32]}.json"
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
        return {name: int(known[name]) for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not measured yet, or not whole
    alone = _alone(graph, node)
    found = {name: count(replace(alone, nodes=(_on(node, name),))) for name in names}
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps(found))
    except OSError:
        pass  # an unwritable cache costs time, nothing else
    return found


def _signature(node: Node) -> tuple[object, ...]:
    """What the instructions of a layer depend on: not its scales, zero points and contents."""
    assert isinstance(node.op, QConv)
    clamped = (node.op.low, node.op.high) != (-128, 127)
    plain = replace(node.op, x=UNIT_QUANT, out=UNIT_QUANT, low=-128, high=127)
    return str(plain), clamped, *(v.shape for v in node.inputs if v is not None)


def _alone(graph: Graph, node: Node) -> Graph:
    """One layer as a graph of its own, with its constants."""
    given = tuple(v for v in node.inputs if v is not None and v not in graph.param_of)
    own = tuple(p for p in graph.params if p.value in node.inputs)
    return replace(
        graph, name="layer", nodes=(node,), inputs=given, outputs=node.outputs, params=own, states=()
    )


@lru_cache(maxsize=1)
def _kernels() -> str:
    """A digest of all kernels' text: other kernels, other counts."""
    digest = sha256()
    for path in sorted(KERNELS.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()
