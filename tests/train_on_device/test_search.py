"""Which parts are worth updating within a budget, and what is refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from small_nets import Net, data, pointwise, residual

from netwright.compile.training import (
    Contributions,
    Scheme,
    body,
    build,
    by_training,
    from_gradients,
    layers,
    need_reach,
    reach,
    search,
)
from netwright.devices.c import planned_entries
from netwright.errors import UserError
from netwright.graph import Graph, Quant, Type
from netwright.graph.ops.int8.elementwise import QLookup
from netwright.graph.ops.quantise import Dequantise, Quantise


def needs(graph: Graph, scheme: Scheme) -> int:
    return max(plan.bytes for plan in planned_entries(build(graph, scheme)).values())


def every_scheme(graph: Graph) -> list[Scheme]:
    """All updates there are, but for none at all."""
    known = layers(graph)
    found = []
    for biases, *ratios in product(range(len(known) + 1), *((0.0, *layer.ratios) for layer in known)):
        weights = tuple((i, r) for i, r in enumerate(ratios) if r)
        if biases or weights:
            found.append(Scheme(biases, weights))
    return found


@pytest.mark.parametrize("share", [0.15, 0.4, 0.8])
def test_search_finds_the_best_scheme_of_all(share: float) -> None:
    net = Net(1)
    x = net.b.input("x", Type((1, 5, 5, 8), "int8", Quant(0.02, 0)))
    y = net.conv(net.conv(net.conv(x, 12, 1, "a", low=-10), 12, 3, "b", groups=12), 8, 1, "c")
    net.b.output(y)
    graph = net.b.graph()
    rng = np.random.default_rng(7)
    known = layers(graph)
    weights = {(la.index, r): float(rng.uniform(0, 1)) * r**0.5 for la in known for r in la.ratios}
    contributions = Contributions((0.0, *np.cumsum(rng.uniform(0, 0.5, len(known))).tolist()), weights, False)
    sizes = {scheme: needs(graph, scheme) for scheme in every_scheme(graph)}
    low, high = min(sizes.values()), max(sizes.values())
    budget = int(low + share * (high - low))
    best = max(contributions.value(s) for s, size in sizes.items() if size <= budget)
    found = search(graph, contributions, lambda s: needs(graph, s), budget)
    assert found.peak_bytes == sizes[found.scheme] <= budget
    assert found.value == pytest.approx(best)


def test_mean_gradients_rank_parts_as_first_steps_do() -> None:
    graph = pointwise()
    x, labels = data(graph, 40)
    guessed = from_gradients(graph, x, labels)
    assert set(guessed.weights) == {(la.index, r) for la in layers(graph) for r in la.ratios}
    assert all(guessed.weights[i, 1.0] >= guessed.weights[i, 0.5] >= guessed.weights[i, 0.125] > 0 for i in (0, 1))
    assert list(guessed.biases) == sorted(guessed.biases)


def test_measured_gains_come_from_training() -> None:
    net = Net(0, "two")
    x = net.b.input("x", Type((1, 12), "int8", Quant(0.02, 0)))
    net.b.output(net.linear(net.linear(x, 8, "first"), 3, "head"))
    graph = net.b.graph()
    samples, labels = data(graph, 200)
    train, held = (samples[:120], labels[:120]), (samples[120:], labels[120:])
    found = by_training(graph, train, held, rate=0.05, choices=[(0, 1.0), (1, 1.0)])
    assert found.measured and len(found.biases) == 3
    assert found.weights[0, 1.0] > 0.2 and found.weights[1, 1.0] > 0.2


def test_too_small_a_budget_says_how_much_it_takes() -> None:
    graph = residual()
    least = needs(graph, Scheme(1))
    x, labels = data(graph, 2)
    with pytest.raises(UserError, match=rf"bias of its last layer alone needs {least:,} B"):
        search(graph, from_gradients(graph, x, labels), lambda s: needs(graph, s), least - 1)


def with_table(head: bool) -> Graph:
    """A network with an op that gradients cannot pass, before its last layer or behind it."""
    net = Net(0, "table")
    x = net.b.input("x", Type((1, 10), "int8", Quant(0.02, 0)))
    y = net.linear(x, 6, "first")
    table = net.b.constant(np.arange(-128, 128).astype(np.int8), "table")
    y = net.b(QLookup(Quant(0.04, 2), "tanh"), y, table, name="bend")
    net.b.output(net.linear(y, 3, "head") if head else y)
    return net.b.graph()


def test_an_op_without_gradient_is_named_with_what_still_can_be_done() -> None:
    graph = with_table(head=True)
    assert reach(graph) == 1
    need_reach(graph, 1)
    with pytest.raises(UserError, match=r"bend: gradients cannot pass q_lookup.*--last 1"):
        need_reach(graph, 2)
    with pytest.raises(UserError, match=r"bend: gradients cannot pass q_lookup.*end the network before it"):
        reach(with_table(head=False))


def test_schemes_that_do_not_suit_the_graph_are_refused() -> None:
    graph = residual()
    for scheme, what in (
        (Scheme(7), "residual has 6"),
        (Scheme(0), "updates nothing"),
        (Scheme(1, ((9, 1.0),)), "name each of 0 to 5"),
        (Scheme(1, ((2, 0.5),)), "not one of 1"),
    ):
        with pytest.raises(UserError, match=what):
            build(graph, scheme)
    with pytest.raises(UserError, match="rate"):
        build(graph, Scheme(1), rate=float("nan"))


def test_float_ends_are_taken_off_and_float_networks_refused() -> None:
    net = Net(0, "ends")
    x = net.b.input("x", Type((1, 10)))
    q = net.b(Quantise(Quant(0.02, 0)), x)
    y = net.linear(q, 3, "head")
    assert y.type.quant is not None
    net.b.output(net.b(Dequantise(y.type.quant), y))
    inner = body(net.b.graph())
    assert [n.op.name for n in inner.nodes] == ["q_linear"] and inner.inputs[0].dtype == "int8"
    assert inner.outputs[0].type.quant == Quant(float(np.float32(y.type.quant.scale * 4)), 0)
    assert body(net.b.graph(), headroom=1.0).outputs[0].type.quant == y.type.quant
    other = Net(0, "reals")
    other.b.output(other.b.input("x", Type((1, 10))))
    with pytest.raises(UserError, match="quantise it first"):
        body(other.b.graph())
