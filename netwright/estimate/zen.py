"""Zen-score (Lin et al. 2021, section 3): how far the features of Gaussian networks move when their input does."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph import Graph, Value
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import BatchNorm

direction = "max"  # as a score: more is better
STEP = 0.01


def estimator(graph: Graph, images: int = 16, repeats: int = 1, seed: int = 0) -> dict[str, float]:
    """{"zen": mean over `repeats` draws of log E|f(x) - f(x + 0.01 e)| + sum over batch norms of the log of the
    deviation that they divide by}; higher is taken as better.

    Weights of convolutions and linear layers, x and e are standard normal; E is over `images` inputs, the distance a
    sum over features; f is what comes before the last pooling over places. Batch norm by the batch's own statistics.
    Raises UserError for a graph of more inputs than one of floats, or without a value that has places (rank 3 or
    more).
    """
    import torch

    from netwright.graph.torch import evaluate, to_torch

    if len(graph.inputs) != 1 or not graph.inputs[0].dtype.startswith("float"):
        raise UserError("zen needs a graph of one input, of floats")
    features = last_features(graph)
    module = to_torch(graph, seed)
    draw = torch.Generator().manual_seed(seed)
    weights = {node.inputs[1] for node in graph.nodes if isinstance(node.op, Conv | Linear)}
    found = []
    for _ in range(repeats):
        values: dict[Value, Any] = {}
        for param in graph.params:
            kept = param.cut(module.tensor(param.tensor), module.tensor).detach()
            drawn = param.value in weights
            values[param.value] = torch.randn(kept.shape, generator=draw) if drawn else kept
        x, e = (torch.randn((images, *graph.inputs[0].shape[1:]), generator=draw) for _ in range(2))
        ends = []
        with torch.no_grad():
            for given in (x, x + STEP * e):
                values[graph.inputs[0]] = given
                evaluate(graph, values, training=True)
                ends.append(values[features])
            moved = float((ends[0] - ends[1]).abs().flatten(1).sum(1, dtype=torch.float64).mean())
            norms = [node for node in graph.nodes if isinstance(node.op, BatchNorm)]
            scales = [float(_variance(values[v])) for node in norms if (v := node.inputs[0]) is not None]
        with np.errstate(divide="ignore"):
            found.append(float(np.log(moved) + 0.5 * np.log(scales).sum()))
    return {"zen": float(np.mean(found))}


def last_features(graph: Graph) -> Value:
    """The last value with places, [N, C, ...] with more than one of them."""
    for node in reversed(graph.nodes):
        shape = node.outputs[0].shape
        if len(shape) > 2 and max(shape[2:]) > 1:
            return node.outputs[0]
    raise UserError("zen needs features with places: this graph has no value of rank 3 or more")


def _variance(x: Any) -> Any:
    """The mean over channels of the variance over images and places."""
    return x.transpose(0, 1).flatten(1).var(1, unbiased=False).mean()
