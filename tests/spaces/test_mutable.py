"""Existing networks as spaces: marked places vary, everything else stays, and what is chosen computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netwright
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Type, Value
from netwright.graph.ops.pool import MaxPool
from netwright.graph.torch import from_numpy, to_torch
from netwright.spaces import Choice, Float, Int, OneOf, Space, blocks

X, Y = Type((1, 3, 12, 12)), Type((1, 5))


def net() -> Graph:
    b, v = blocks.start("net", X)
    for name, width in (("a", 8), ("b", 12)):
        with b.scope(name):
            v = blocks.conv(b, v, width, 3)
    with b.scope("c"):
        v = blocks.separable(b, v, 16, 3, 2)
    graph: Graph = blocks.finish(b, blocks.head(b, v, 5))
    return graph.with_store(graph.store.initialise(graph, 3))


def pooled(b: Builder, x: Value, size: int) -> Value:
    return b(MaxPool((size, size), (1, 1), (size // 2,) * 2 + ((size - 1) // 2,) * 2), x, name="pool")


def places() -> dict[Any, Any]:
    return {
        "*.relu": Choice(("keep", "hard_swish", "sigmoid")),
        ("a.conv.width", "b.conv.width"): Choice((4, 8, 20)),
        "c.depthwise.conv.kernel": Choice((3, 5)),
        "a.norm": OneOf({"keep": "keep", "none": None, "pool": {"build": pooled, "size": Choice((2, 3))}}),
    }


def agrees(graph: Graph) -> None:
    """The same in NumPy and torch, and one training step changes it."""
    graph = graph.with_store(graph.store.initialise(graph, 0))
    x = np.random.default_rng(0).standard_normal(graph.inputs[0].shape).astype(np.float32)
    (expected,) = graph.run(x)
    module = to_torch(graph)
    assert np.abs(module.eval()(from_numpy(x)).detach().numpy() - expected).max() <= 1e-4 * np.abs(expected).max() + 1e-6
    loss = nn.functional.cross_entropy(module.train()(from_numpy(np.repeat(x, 2, 0))), torch.tensor([0, 1]))
    loss.backward()
    assert any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in module.parameters())


def test_a_graph_with_marked_places_is_a_space_whose_every_member_computes() -> None:
    space = netwright.search_over(net(), places())
    assert space.count() == 3**4 * 3 * 2 * 4
    rng = np.random.default_rng(0)
    for _ in range(12):
        candidate = space.mutate(space.sample(rng), rng)
        agrees(space.build(candidate, X, Y).graph)


def test_keeping_everything_gives_the_network_itself() -> None:
    graph = net()
    space = netwright.search_over(graph, {"*.relu": Choice(("keep", "sigmoid")), "a.conv.width": Choice((8, 4)),
                                          "b.conv.kernel": Choice((3, 5)), "c.pointwise.conv.stride": Choice(((1, 1),))})
    kept = {address: space._compiled.slots[i].domain.values[0]  # type: ignore[union-attr]
            for i, address in enumerate(space.addresses)}
    made = space.build(kept, X, Y).graph
    assert made.structure_hash == graph.structure_hash and made.content_hash == graph.content_hash


def test_a_width_is_followed_downstream_and_cuts_the_first_channels_of_the_stored_weights() -> None:
    graph = net()
    space = netwright.search_over(graph, {"a.conv.width": Choice((4, 8)), "c.depthwise.conv.kernel": Choice((1, 3))})
    small = space.build({"a.conv.width": 4, "c.depthwise.conv.kernel": 1}, X, Y).graph
    shapes = {node.name: node.output.shape for node in small.nodes}
    assert shapes["a.conv"] == (1, 4, 12, 12) and shapes["b.conv"] == (1, 12, 12, 12)
    read = {p.tensor: small.store.read(p) for p in small.params}
    stored = {p.tensor: graph.store.read(p) for p in graph.params}
    np.testing.assert_array_equal(read["a.weight"], stored["a.weight"][:4])
    np.testing.assert_array_equal(read["b.weight"], stored["b.weight"][:, :4])
    np.testing.assert_array_equal(read["a.norm.scale"], stored["a.norm.scale"][:4])
    np.testing.assert_array_equal(read["c.depthwise.weight"], stored["c.depthwise.weight"][:, :, 1:2, 1:2])


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.dropout(self.features(x).mean((2, 3))))


def block(depth: int, act: type[nn.Module]) -> nn.Module:
    return nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Conv2d(8, 8, 3, padding=1), act())))


def test_a_torch_module_with_marked_places_is_a_space() -> None:
    module = Plain().eval()
    space = netwright.search_over(module, {
        "features.1": OneOf({"relu": "keep", "gelu": nn.GELU, "none": None, "named": Choice(("SiLU", "Sigmoid"))}),
        "features.2": {"build": block, "depth": Int(1, 3), "act": OneOf({"relu": nn.ReLU, "silu": nn.SiLU})},
        "dropout.p": Float(0.0, 0.5),
        "features.0.padding_mode": Choice(("zeros",)),
    })
    rng, sizes = np.random.default_rng(1), set()
    for _ in range(6):
        candidate = space.sample(rng)
        # a OneOf inside keyword arguments stands for the value behind it
        changed = space.builder.program(space.decode(candidate))  # type: ignore[union-attr]
        assert changed.dropout.p == candidate["dropout.p"] and module.dropout.p == 0.1
        graph = space.build(candidate, X, Y).graph
        agrees(graph)
        x = torch.randn(1, 3, 12, 12)
        np.testing.assert_allclose(graph.run(x.numpy())[0], changed.eval()(x).detach().numpy(), atol=1e-5)
        sizes.add(graph.parameter_count)
    assert len(sizes) > 1
    assert isinstance(module.features[1], nn.ReLU)


def test_a_graph_imported_from_torch_changes_its_widths() -> None:
    graph = netwright.from_torch(Plain().eval(), torch.zeros(1, 3, 12, 12))
    first = next(node.name for node in graph.nodes if node.op.name == "conv")
    space = netwright.search_over(graph, {f"{first}.width": Choice((2, 8, 16))})
    for width in (2, 8, 16):
        made = space.build({f"{first}.width": width}, X, Y).graph
        assert made.nodes[0].output.shape[1] == width
        agrees(made)


def test_changing_space_or_strategy_is_one_line_each() -> None:
    from netwright import search
    from netwright.search import Objective

    def best(space: Space, strategy: str) -> float:
        found = search.get(strategy)(space, (Objective("macs"),), seed=0)
        for _ in range(30):
            (trial,) = found.ask()
            found.tell(trial, {"macs": space.build(trial.candidate, X, Y).graph.macs})
        result = found.best()
        assert result is not None
        return result.costs[0]

    graph = net()
    widths = netwright.search_over(graph, {"*.conv.width": Choice((4, 8, 12))})
    kernels = netwright.search_over(graph, {"[ab].conv.kernel": Choice((1, 3, 5))})
    for space in (widths, kernels):
        for strategy in ("random", "regularised-evolution"):
            assert best(space, strategy) < graph.macs


@pytest.mark.parametrize(("marked", "message"), [
    ({"a.cnv": Choice((1, 2))}, 'has no place "a.cnv"; did you mean'),
    ({"a.conv": Choice(("keep",)), "*.conv": Choice(("keep",))}, "marked twice"),
    ({"a.relu.width": Choice((1, 2))}, "has no place"),
])
def test_places_that_are_not_there_are_named(marked: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        netwright.search_over(net(), marked)


def test_pieces_that_do_not_fit_are_named() -> None:
    space = netwright.search_over(net(), {"classifier.width": Choice((7,)), "a.relu": Choice(("keep", "no_such"))})
    with pytest.raises(ValueError, match=r"the output classifier was .* and became"):
        space.build({"classifier.width": 7, "a.relu": "keep"}, X, Y)
    with pytest.raises(ValueError, match=r'a\.relu: there is no op "no_such"'):
        space.build({"classifier.width": 7, "a.relu": "no_such"}, X, Y)
    with pytest.raises(UserError, match="the task has"):
        space.build({"classifier.width": 7, "a.relu": "keep"}, Type((1, 1, 12, 12)), Y)
    with pytest.raises(UserError, match="takes a Graph or a torch module, not dict"):
        netwright.search_over({}, {})
