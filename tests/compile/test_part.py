"""A part of a graph computes what the graph does in between, on the same parameters."""

from __future__ import annotations

import numpy as np
import pytest

from netwright.compile.part import part
from netwright.graph import Builder, Graph, Type, ops


def network() -> Graph:
    b = Builder("net")
    x, y = b.input("x", Type((2, 3))), b.input("y", Type((2, 4)))
    first = b(ops.Linear(), x, b.param("a", (4, 3)), name="first")
    second = b(ops.Relu(), first, name="second")
    third = b(ops.Add(), second, y, name="third")
    b.output(b(ops.Linear(), third, b.param("b", (2, 4)), name="fourth"))
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph))


def test_a_part_takes_and_gives_values_inside() -> None:
    graph = network()
    found = part(graph, {"first": "given", "y": "y"}, ["third", "second"])
    assert [v.name for v in found.inputs] == ["given", "y"] and not found.params
    given, y = np.array([[-1, 2, 3, -4]] * 2, np.float32), np.ones((2, 4), np.float32)
    third, second = found.run(given, y)
    np.testing.assert_array_equal(second, np.maximum(given, 0))
    np.testing.assert_array_equal(third, second + 1)


def test_the_whole_is_a_part() -> None:
    graph = network()
    found = part(graph, {"x": "x", "y": "y"}, ["fourth"])
    arrays = [np.random.default_rng(0).standard_normal(s).astype(np.float32) for s in ((2, 3), (2, 4))]
    np.testing.assert_array_equal(found.run(*arrays)[0], graph.run(*arrays)[0])
    assert found.structure_hash == graph.structure_hash


def test_what_is_not_behind_the_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="'third' depends on more than x"):
        part(network(), {"x": "x"}, ["third"])
    with pytest.raises(ValueError, match="no value 'thirt'; did you mean 'third'"):
        part(network(), {"x": "x"}, ["thirt"])
