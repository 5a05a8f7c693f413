"""Gradients of int8 layers equal straight-through autograd of torch, within 1e-4 of the largest element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_nets import INPUT, Net, data, residual
from torch.nn import functional

from netwright.compile.training import Scheme, build, layers
from netwright.graph import Graph, Node, Quant, Type, Value
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.elementwise import QAdd
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.int8.reduce import QMean
from netwright.graph.ops.shape import Reshape, Transpose


def through(real: torch.Tensor, held: np.ndarray, low: int, high: int) -> torch.Tensor:
    """The integers that the network has, with the gradient of `real` where its rounding lies inside the range."""
    inside = (real.detach().round() >= low) & (real.detach().round() <= high)
    value = torch.from_numpy(held.astype(np.float64))
    assert float((real.detach().clamp(low, high) - value).abs().max()) < 1.01
    return value + (real - real.detach()) * inside


def straight_through(graph: Graph, x: np.ndarray, label: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of an int8 graph, and its parameters by `<layer>.w` and `.b`, with gradients by torch."""
    held = graph.runner().trace(x[None])
    values: dict[Value, torch.Tensor] = {graph.inputs[0]: torch.from_numpy(x[None].astype(np.float64))}
    leaves: dict[str, torch.Tensor] = {}
    for node in graph.nodes:
        values[node.output] = torch_node(graph, node, values, held[node.output], leaves)
    logits = values[graph.outputs[0]]
    quant = graph.outputs[0].type.quant
    assert quant is not None
    loss = functional.cross_entropy((logits - quant.zero) * quant.scale, torch.tensor([label]))
    loss.backward()  # type: ignore[no-untyped-call]
    return loss, leaves


def torch_node(
    graph: Graph, node: Node, values: dict[Value, torch.Tensor], held: np.ndarray, leaves: dict[str, torch.Tensor]
) -> torch.Tensor:
    op: Any = node.op
    given = [values[v] for v in node.inputs if v in values]
    if isinstance(op, (QConv, QLinear)):
        arrays = [graph.constant(v) for v in node.inputs[1:]]
        w, scale, bias = (torch.from_numpy(np.asarray(a, np.float64)) for a in arrays)
        leaves[f"{node.name}.w"], leaves[f"{node.name}.b"] = w.requires_grad_(), bias.requires_grad_()
        slope = op.x.scale * scale / op.out.scale
        if isinstance(op, QLinear):
            total = (given[0] - op.x.zero) @ w.T + bias
        else:
            top, left, bottom, right = op.padding
            image = functional.pad((given[0] - op.x.zero).permute(0, 3, 1, 2), (left, right, top, bottom))
            kernel = w.permute(0, 3, 1, 2)
            total = functional.conv2d(image, kernel, bias, op.stride, 0, op.dilation, op.groups).permute(0, 2, 3, 1)
        return through(total * slope + op.out.zero, held, op.low, op.high)
    if isinstance(op, QAdd):
        real = (given[0] - op.x.zero) * op.x.scale + (given[1] - op.y.zero) * op.y.scale
        return through(real / op.out.scale + op.out.zero, held, op.low, op.high)
    if isinstance(op, QMean):
        real = (given[0] - op.x.zero).mean(op.axes, op.keepdims) * op.x.scale / op.out.scale
        return through(real + op.out.zero, held, op.low, op.high)
    if isinstance(op, QAveragePool):
        top, left, bottom, right = op.padding
        image, ones = (functional.pad(t.permute(0, 3, 1, 2), (left, right, top, bottom)) for t in (
            given[0], torch.ones_like(given[0])
        ))  # fmt: skip
        pooled = (functional.avg_pool2d(t, op.kernel, op.stride) for t in (image, ones))
        return through((next(pooled) / next(pooled)).permute(0, 2, 3, 1), held, op.low, op.high)
    if isinstance(op, QMaxPool):
        top, left, bottom, right = op.padding
        image = functional.pad(given[0].permute(0, 3, 1, 2), (left, right, top, bottom), value=-1e9)
        return functional.max_pool2d(image, op.kernel, op.stride).permute(0, 2, 3, 1)
    if isinstance(op, Reshape):
        return given[0].reshape(node.output.shape)
    assert isinstance(op, Transpose)
    return given[0].permute(op.permutation)


def check(graph: Graph, seed: int = 0) -> None:
    """All gradients of weights and biases of one step against torch's."""
    known = layers(graph)
    everything = Scheme(len(known), tuple((layer.index, 1.0) for layer in known))
    step = build(graph, everything, schedule="end")["train_step"]
    x, labels = data(graph, 3, seed)
    for sample, label in zip(x, labels):
        loss, leaves = straight_through(graph, sample, int(label))
        made = {v.name: a for v, a in step.runner().trace(sample[None], label[None]).items()}
        assert made["loss.0"][0] == pytest.approx(float(loss.detach()), rel=1e-5)
        for layer in known:
            for ours, theirs in (("weight", "w"), ("bias", "b")):
                truth = leaves[f"{layer.name}.{theirs}"].grad
                assert truth is not None
                got = made[f"d_{layer.name}.{ours}"].reshape(truth.shape)
                assert np.abs(got - truth.numpy()).max() <= 1e-4 * float(truth.abs().max()), (layer.name, ours)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 1},
        {"kernel": 3, "padding": (1, 1, 1, 1)},
        {"kernel": 3, "stride": (2, 2), "padding": (0, 1, 1, 0)},
        {"kernel": 2, "dilation": (2, 1)},
        {"kernel": 3, "groups": 4, "padding": (1, 1, 1, 1)},
        {"kernel": 3, "groups": 2, "stride": (1, 2)},
        {"kernel": 5, "groups": 4, "stride": (2, 2), "padding": (2, 2, 2, 2)},
    ],
)
def test_convolutions_of_every_geometry(options: dict[str, Any]) -> None:
    net = Net(3)
    x = net.b.input("x", Type((1, 7, 6, 4), "int8", INPUT))
    y = net.conv(net.conv(x, 4, 1, "before", low=-10), 8 if options.get("groups") != 4 else 4, name="layer", **options)
    net.b.output(net.linear(net.b(Reshape((1, y.type.size)), y), 3, "head"))
    check(net.b.graph())


def test_means_over_any_axes_and_transposes() -> None:
    net = Net(5)
    x = net.b.input("x", Type((1, 4, 5, 3), "int8", INPUT))
    y = net.conv(x, 6, 1, "layer")
    assert y.type.quant is not None
    y = net.b(Transpose((0, 3, 1, 2)), y)
    y = net.b(QMean((3,), False, y.type.quant, Quant(0.01, 20)), y, name="columns")
    assert y.type.quant is not None
    y = net.b(QMean((2,), False, y.type.quant, y.type.quant), y, name="rows")
    net.b.output(net.linear(y, 3, "head"))
    check(net.b.graph())


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (2, 2)), ((3, 2), (1, 2))])
def test_max_pools(kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    net = Net(6)
    x = net.b.input("x", Type((1, 6, 5, 3), "int8", INPUT))
    y = net.b(QMaxPool(kernel, stride, (1, 0, 0, 1)), net.conv(x, 6, 3, "layer", low=-10), name="pool")
    net.b.output(net.linear(net.b(Reshape((1, y.type.size)), y), 3, "head"))
    check(net.b.graph())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whole_network_with_every_kind_of_layer(seed: int) -> None:
    check(residual(seed), seed)
