"""Training-free scores against formulas written out on the same network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from netwright import estimate, spaces
from netwright.errors import UserError
from netwright.estimate.training_free import LOSS, NAMES, compute
from netwright.graph import Graph, Type
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.unary import Relu
from netwright.graph.torch import TorchGraph, to_torch

CELLS = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
    "|none~0|+|nor_conv_1x1~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_1x1~2|",
)


def network(text: str) -> Graph:
    from netwright.spaces.zoo.nb201 import from_string

    builder = spaces.get("nb201", channels=4, cells=1).builder
    assert builder is not None
    return builder(from_string(text), Type((1, 3, 8, 8)), Type((1, 10))).graph


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, 8, 8, generator=draw), torch.randint(10, (6,), generator=draw)


def run(graph: Graph, x: torch.Tensor) -> tuple[TorchGraph, dict[Any, torch.Tensor], torch.Tensor]:
    """The network in training mode, all its values, each node evaluated in its turn, and its output."""
    from netwright.graph.torch import evaluate

    module = to_torch(graph, 0).train()
    values: dict[Any, Any] = {graph.inputs[0]: x}
    values |= {param.value: module.tensor(param.tensor) for param in graph.params}
    evaluate(graph, values, training=True)
    for node in graph.nodes:
        if values[node.output].requires_grad:
            values[node.output].retain_grad()
    return module, values, values[graph.outputs[0]]


def layers(graph: Graph) -> list[Any]:
    return [node for node in graph.nodes if isinstance(node.op, Conv | Linear)]


def of_the_loss(term: Callable[[Any, Any, Any, Any], Any]) -> Callable[[Graph], float]:
    """The sum over layers of term(weight, its gradient, output, its gradient)."""

    def score(graph: Graph) -> float:
        x, labels = batch()
        _, values, output = run(graph, x)
        torch.nn.functional.cross_entropy(output, labels).backward()
        found = 0.0
        for node in layers(graph):
            w, a = values[node.inputs[1]], values[node.output]
            found += float(term(w.detach(), w.grad, a.detach(), a.grad))
        return found

    return score


def channels(w: Any, dw: Any, a: Any, da: Any) -> Any:
    total = 0.0
    for channel in range(w.shape[0]):
        per_image = [float((a[n, channel] * da[n, channel]).sum()) for n in range(len(a))]
        total += float(np.mean(np.square(per_image))) / 2 * w[channel].numel()
    return total


def codes(graph: Graph) -> float:
    x, _ = batch()
    _, values, _ = run(graph, x)
    kernel = np.zeros((6, 6))
    for node in graph.nodes:
        if isinstance(node.op, Relu):
            on = (values[node.inputs[0]].detach().numpy() > 0).reshape(6, -1)
            kernel += [[(on[i] == on[j]).sum() for j in range(6)] for i in range(6)]
    return math.log(np.linalg.det(kernel / 1000)) + 6 * math.log(1000)


def jacobians(graph: Graph) -> float:
    x, _ = batch()
    x.requires_grad_()
    _, _, output = run(graph, x)
    output.backward(torch.ones_like(output))
    assert x.grad is not None
    v = np.linalg.eigvals(np.corrcoef(x.grad.reshape(6, -1).double().numpy())).real + 1e-5
    return float(-np.sum(np.log(v) + 1 / v))


def classes_alike(graph: Graph) -> float:
    x, labels = batch()
    x.requires_grad_()
    _, _, output = run(graph, x)
    output.sum().backward()
    assert x.grad is not None
    rows = x.grad.reshape(6, -1).double().numpy()
    groups = [np.atleast_2d(np.corrcoef(rows[labels.numpy() == c])) for c in np.unique(labels.numpy())]
    return float(sum(abs(np.log(np.abs(group) + 1e-5).sum()) for group in groups))


def flow_after_pruning(graph: Graph) -> float:
    """The Hessian's product with the gradient by a difference of gradients."""
    from netwright.graph.torch import evaluate

    x, labels = batch()
    module = to_torch(graph, 0).double()
    names = [node.inputs[1] for node in layers(graph)]

    def gradients(step: float, along: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        values: dict[Any, Any] = {graph.inputs[0]: x.double()}
        values |= {param.value: module.tensor(param.tensor).detach().clone() for param in graph.params}
        for name, direction in zip(names, along, strict=False):
            values[name] = values[name] + step * direction
        weights = [values[name].requires_grad_() for name in names]
        evaluate(graph, values, training=True)
        loss = torch.nn.functional.cross_entropy(values[graph.outputs[0]], labels)
        return weights, list(torch.autograd.grad(loss, weights))

    weights, g = gradients(0.0, [])
    (_, ahead), (_, behind) = gradients(1e-8, g), gradients(-1e-8, g)  # shorter than to the next kink
    return -float(sum((w.detach() * (a - b) / 2e-8).sum() for w, a, b in zip(weights, ahead, behind, strict=True)))


def moved_features(graph: Graph) -> float:
    """Both passes written out, with the same draws: weights in the order of the graph's parameters, then x, then e."""
    from netwright.graph.ops.norm import BatchNorm
    from netwright.graph.torch import evaluate

    module, draw = to_torch(graph, 0), torch.Generator().manual_seed(0)
    kernels = {node.inputs[1] for node in layers(graph)}
    weights = {}
    for param in graph.params:
        tensor = module.tensor(param.tensor).detach()
        weights[param.value] = torch.randn(tensor.shape, generator=draw) if param.value in kernels else tensor
    x, e = torch.randn(16, 3, 8, 8, generator=draw), torch.randn(16, 3, 8, 8, generator=draw)
    features, deviations = [], []
    for image in (x, x + 0.01 * e):
        values: dict[Any, Any] = {graph.inputs[0]: image, **weights}
        evaluate(graph, values, training=True)
        features.append(next(values[node.output] for node in reversed(graph.nodes)
                             if len(node.output.shape) == 4 and node.output.shape[2] > 1))
        deviations = [values[node.inputs[0]].var((0, 2, 3), correction=0).mean().sqrt() for node in graph.nodes
                      if isinstance(node.op, BatchNorm)]
    apart = (features[0] - features[1]).abs().sum((1, 2, 3)).mean()
    return float(apart.log() + torch.stack(deviations).log().sum())


FORMULAS: dict[str, Callable[[Graph], float]] = {
    "snip": of_the_loss(lambda w, dw, a, da: (w * dw).abs().sum()),
    "plain": of_the_loss(lambda w, dw, a, da: (w * dw).sum()),
    "grad_norm": of_the_loss(lambda w, dw, a, da: dw.square().sum().sqrt()),
    "l2_norm": of_the_loss(lambda w, dw, a, da: w.square().sum().sqrt()),
    "fisher": of_the_loss(channels),
    "nwot": codes,
    "jacov": jacobians,
    "epe_nas": classes_alike,
    "grasp": flow_after_pruning,
    "zen": moved_features,
    "synflow": lambda graph: estimate.get("synflow")(graph)["synflow"],
}


@pytest.mark.parametrize("text", CELLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_score_alone_and_among_all_is_its_formula(name: str, text: str) -> None:
    graph, (x, labels) = network(text), batch()
    expected = pytest.approx(FORMULAS[name](graph), rel=1e-3, abs=1e-5)
    assert compute(graph, x, labels, (name,)) == {name: expected}
    assert compute(graph, x.numpy(), labels.numpy(), NAMES)[name] == expected
    if name not in ("synflow", "zen"):
        assert estimate.get(name)(graph, x=x, labels=labels) == {name: expected}


def test_scores_repeat_and_follow_the_seed() -> None:
    graph, (x, labels) = network(CELLS[0]), batch()
    assert compute(graph, x, labels) == compute(graph, x, labels)
    first, other = compute(graph, x, labels, NAMES), compute(graph, x, labels, NAMES, seed=1)
    assert all(first[name] != other[name] for name in NAMES)
    assert np.isfinite(list(first.values())).all()


def test_scores_that_need_data_are_not_offered_to_rate_by_the_graph_alone() -> None:
    assert not {"snip", "grad-norm", "jacov", "nwot", "plain", "fisher", "grasp", "epe-nas"} & set(estimate.scores())
    assert compute(network(CELLS[0]), names=("l2_norm",))["l2_norm"] > 0


def test_what_is_missing_is_named() -> None:
    graph, (x, labels) = network(CELLS[0]), batch()
    with pytest.raises(UserError, match=r"no training-free score is called .snipe"):
        compute(graph, x, labels, ("snipe",))
    with pytest.raises(UserError, match="nwot needs a batch"):
        compute(graph, names=("nwot",))
    with pytest.raises(UserError, match=r"not a batch of shape \[6, 3, 4, 8\]"):
        compute(graph, x[:, :, :4], labels)
    for wrong in (None, labels[:2]):
        with pytest.raises(UserError, match="snip needs as many labels"):
            compute(graph, x, wrong, LOSS)


def test_zen_is_unmoved_by_the_scale_of_a_batch_normed_layer_and_counts_its_deviation() -> None:
    """A layer of twice the deviation adds log 2 where batch norm takes it out again."""
    from netwright.estimate.zen import last_features
    from netwright.graph import Builder
    from netwright.graph.ops.binary import Mul
    from netwright.spaces import blocks, cells

    def made(scale: float) -> Graph:
        b, v = blocks.start("net", Type((1, 3, 8, 8)))
        v = b(Mul(), v, b.constant(np.full((1,) * 4, scale, np.float32), "scale"))
        v = cells.conv_norm(b, v, 4, 3)
        return cells.finish(b, b(cells.RELU, v), 10)

    one, two = (estimate.get("zen")(made(scale), images=64)["zen"] for scale in (1.0, 2.0))
    assert two - one == pytest.approx(math.log(2), abs=1e-3)
    assert last_features(made(1.0)).shape == (1, 4, 8, 8)
    flat = Builder("flat")
    flat.output(flat(Linear(), flat.input("x", Type((1, 4))), flat.param("w", (2, 4)), flat.param("b", (2,))))
    vector = flat.graph()
    with pytest.raises(UserError, match="features with places"):
        estimate.get("zen")(vector)
    assert np.isfinite(compute(vector, torch.randn(5, 4), torch.arange(5) % 2)["snip"])
