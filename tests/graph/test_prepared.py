"""Prepared graphs give what the reference gives, step after step, and write over no state that is still read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_graphs import graphs

from netwright.graph import Builder, Graph, Type, ops
from netwright.graph.prepared import Prepared

SETTINGS = settings(
    derandomize=True, deadline=None, max_examples=200, database=None, suppress_health_check=list(HealthCheck)
)


def assert_steps_agree(graph: Graph, *steps: tuple[np.ndarray, ...]) -> None:
    runner, prepared = graph.runner(), Prepared(graph)
    for arrays in steps:
        for ours, reference in zip(prepared.step(*arrays), runner.step(*arrays), strict=True):
            assert ours.shape == reference.shape and ours.dtype == reference.dtype
            np.testing.assert_allclose(ours, reference, atol=1e-4 * max(1.0, float(np.abs(reference).max(initial=0))))
        for name, state in runner.states.items():
            np.testing.assert_allclose(prepared.states[name], state, atol=1e-5)


@SETTINGS
@given(graphs())
def test_random_networks_agree_with_the_reference(drawn: tuple[Graph, list[np.ndarray]]) -> None:
    graph, inputs = drawn
    assert_steps_agree(graph, tuple(inputs), tuple(-x for x in inputs), tuple(inputs))


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def cache(extra: Any) -> Graph:
    """A state [4, 3] that takes a row a step; `extra` builds the output from the old and the new state."""
    b = Builder("cache")
    x, at = b.input("x", Type((1, 3))), b.input("at", Type((1,), "int64"))
    before = b.state("kept", Type((4, 3)))
    early = b(ops.ReduceSum(), before)
    after = b(ops.Overwrite(), before, x, at)
    b.update(before, after)
    b.output(early, extra(b, before, after))
    return b.graph()


STEPS = [(rows(1, 3, seed=i), np.array([i % 4])) for i in range(7)]


def test_a_state_is_written_in_place_where_nothing_reads_it_later() -> None:
    graph = cache(lambda b, before, after: b(ops.ReduceMax((0,)), after))
    assert_steps_agree(graph, *STEPS)
    prepared = Prepared(graph)
    array = prepared.states["kept"]
    prepared.step(*STEPS[1])
    assert prepared.states["kept"] is array and (array[1] == STEPS[1][0]).all()
    assert not prepared._moves


@pytest.mark.parametrize(
    "extra",
    [
        lambda b, before, after: b(ops.Sub(), after, before),
        lambda b, before, after: b(ops.Add(), b(ops.Transpose((1, 0)), before), b(ops.Transpose((1, 0)), after)),
        lambda b, before, after: before,
    ],
    ids=["read later", "viewed", "an output"],
)
def test_a_state_that_is_read_later_stays_until_the_end(extra: Any) -> None:
    assert_steps_agree(cache(extra), *STEPS)


def test_states_that_move_into_each_other_keep_their_order() -> None:
    b = Builder("delay")
    x = b.input("x", Type((1, 2)))
    first, second = b.state("first", Type((1, 2))), b.state("second", Type((1, 2)), 1.0)
    b.update(first, second)
    b.update(second, first)
    b.output(b(ops.Add(), x, first))
    assert_steps_agree(b.graph(), *[(rows(1, 2, seed=i),) for i in range(3)])


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("biased", [False, True])
def test_layers_of_one_input_are_one_product(count: int, biased: bool) -> None:
    b = Builder("joined")
    x = b.input("x", Type((count, 6)))
    parts = [b.param(f"w{i}", (n, 6)) for i, n in enumerate((4, 2, 8))]
    biases = [b.param(f"b{i}", (n,)) if biased else None for i, n in enumerate((4, 2, 8))]
    y = [b(ops.Linear(), x, w, bias) for w, bias in zip(parts, biases)]
    b.output(b(ops.Tanh(), y[0]), b(ops.Reshape((count, 1, 2)), y[1]), y[2])
    graph = b.graph()
    graph = graph.with_store(graph.store.initialise(graph))
    assert_steps_agree(graph, (rows(count, 6),), (rows(count, 6, seed=1),))
    assert len(Prepared(graph)._calls) == 2  # one product, and the tanh


def test_weights_that_lie_together_are_not_copied() -> None:
    b = Builder("together")
    x = b.input("x", Type((1, 6)))
    b.output(*(b(ops.Linear(), x, b.param(f"w{i}", (4, 6))) for i in range(2)))
    graph = b.graph()
    room = rows(8, 6)
    graph.store["w0"], graph.store["w1"] = room[:4], room[4:]
    ((_, joined),) = Prepared(graph)._joined.values()
    assert np.shares_memory(joined, room)


def test_wrong_inputs_are_refused() -> None:
    prepared = Prepared(cache(lambda b, before, after: after))
    for arrays, said in (
        ((rows(1, 3),), "takes 2 inputs"),
        ((rows(2, 3), np.array([0])), "has shape"),
        ((rows(1, 3), np.array([0.5])), "is int64"),
    ):
        with pytest.raises(ValueError, match=said):
            prepared.step(*arrays)


def test_sharing_a_state_of_another_type_is_refused() -> None:
    b = Builder("other")
    state = b.state("kept", Type((5, 3)))
    b.update(state, b(ops.Neg(), state))
    with pytest.raises(ValueError, match="state 'kept'"):
        Prepared(b.graph(), shares=Prepared(cache(lambda b, before, after: after)))


def test_reset_goes_back_to_the_start() -> None:
    prepared = Prepared(cache(lambda b, before, after: after))
    first = prepared.step(*STEPS[0])
    prepared.step(*STEPS[1])
    prepared.reset()
    np.testing.assert_array_equal(prepared.step(*STEPS[0])[1], first[1])
