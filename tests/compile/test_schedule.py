"""Reordering: the same results, never more memory, and about what trying every order finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from benchmarks.planner import network
from netwright.devices.c import planned, reordered
from netwright.graph import Graph, Node


def orders(graph: Graph) -> Iterator[tuple[Node, ...]]:
    """Every topological order."""

    def grow(done: list[Node], left: list[Node]) -> Iterator[tuple[Node, ...]]:
        if not left:
            yield tuple(done)
        there = {v for n in done for v in n.outputs}
        for node in left:
            if all(v not in graph.producers or v in there for v in node.inputs):
                yield from grow([*done, node], [n for n in left if n is not node])

    yield from grow([], list(graph.nodes))


def test_small_networks_come_out_as_by_trying_every_order() -> None:
    rng = np.random.default_rng(1)
    saved = []
    while len(saved) < 12:
        graph = network(rng, 6)
        every = list(islice(orders(graph), 201))
        if not 1 < len(every) <= 200:
            continue
        made = planned(reordered(graph)).bytes
        best = min(planned(replace(graph, nodes=order)).bytes for order in every)
        given = planned(graph).bytes
        assert best <= made <= given
        assert made <= 1.05 * best
        saved.append(given - made)
    assert any(saved)


def test_a_reordered_network_computes_the_same() -> None:
    rng = np.random.default_rng(2)
    changed = 0
    for _ in range(6):
        graph = network(rng, 20)
        for param in graph.params:
            shape = param.value.shape
            dtype = param.value.dtype
            graph.store[param.tensor] = (
                rng.integers(-128, 128, shape).astype(dtype) if dtype != "float32" else np.full(shape, 0.01, np.float32)
            )
        made = reordered(graph)
        changed += made is not graph
        x = rng.integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
        np.testing.assert_array_equal(graph.run(x)[0], made.run(x)[0])
    assert changed


def test_a_chain_is_left_alone() -> None:
    rng = np.random.default_rng(3)
    graph = network(rng, 2)
    assert reordered(graph) is graph
