"""Attention blocks of a graph, and what one batch does at their linear maps (Serianni and Kalita 2023).

A linear map belongs to an attention block where its weight's name says so: "layer0.attention.query.weight" is the map
"query" of one. So the spaces `flexibert` and `vit` name theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Literal

import torch

from netwright.errors import UserError
from netwright.graph import Graph, Node, Value
from netwright.graph.ops.linear import Linear
from netwright.graph.torch import to_torch

HEADS = ("query", "key", "value", "weighted", "input")  # make what heads see
WITHIN = (*HEADS, "point")  # and the values of a dynamic convolution

Against = Literal["random", "ones"]


def maps(graph: Graph, names: Collection[str] | None = None) -> dict[Node, str]:
    """Linear nodes of attention blocks, all or those so called, and their weights' tensors. UserError for none."""
    found = {}
    for node in graph.nodes:
        weight = node.inputs[1] if isinstance(node.op, Linear) else None
        if weight is not None and weight in graph.param_of:
            tensor = graph.param_of[weight].tensor
            _, block, name = tensor.partition("attention.")
            if block and (names is None or name.split(".")[0] in names):
                found[node] = tensor
    if not found:
        called = f" called {', '.join(names)}" if names is not None else ""
        raise UserError(f"{graph.name} has no attention block with linear maps{called}: it is for transformers whose "
                        'weights are named as in "layer0.attention.query.weight"')  # fmt: skip
    return found


def batch_of(graph: Graph, x: Any) -> torch.Tensor:
    """x [N, ...] as the graph's only input takes it. UserError for another shape, or a graph of more inputs."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.states:
        raise UserError(f"{graph.name}: scores of attention blocks need one input, one output and no memory")
    kind = graph.inputs[0].type
    given = torch.as_tensor(x)
    if given.dim() != len(kind.shape) or tuple(given.shape[1:]) != kind.shape[1:]:
        raise UserError(f"{graph.name} takes {kind}, not a batch of shape {list(given.shape)}")
    return given.long() if kind.dtype.startswith("int") else given.float()


def passing(graph: Graph, x: torch.Tensor, seed: int) -> Iterator[tuple[Node, torch.Tensor]]:
    """Each node with its first output for the batch x, weights drawn from `seed`; what no later one reads is let go."""
    module = to_torch(graph, seed).to(x.device).eval()
    values: dict[Value, Any] = {graph.inputs[0]: x}
    last = {v: at for at, node in enumerate(graph.nodes) for v in node.inputs if v is not None}
    with torch.no_grad():
        for param in graph.params:
            values[param.value] = param.cut(module.tensor(param.tensor), module.tensor)
        for at, node in enumerate(graph.nodes):
            op: Any = node.op
            made = op.torch(*[values[v] if v is not None else None for v in node.inputs])
            values.update(zip(node.outputs, (made,) if len(node.outputs) == 1 else made, strict=True))
            yield node, values[node.outputs[0]]
            for value in {*node.inputs, *node.outputs}:
                if value is not None and last.get(value, at) == at:
                    del values[value]


def gradients(graph: Graph, x: Any, tensors: Collection[str], labels: Any, seed: int,
              against: Against) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(weight, gradient) of each of the stored tensors, for the batch x.

    With `labels` [N] of the mean cross-entropy of logits, else of the sum of outputs times numbers: "random" ones,
    normal and drawn from `seed`, or "ones". The sum of outputs itself, as published, is the same for any weights where
    the network ends in a layer norm whose scale is 1: what comes out then is rounding.
    """
    if against not in ("random", "ones"):
        raise UserError(f'gradients are against "random" or "ones", not {against!r}')
    batch = batch_of(graph, x)
    module = to_torch(graph, seed).to(batch.device).eval()
    module.requires_grad_(False)
    weights = [module.tensor(name) for name in dict.fromkeys(tensors)]
    for weight in weights:
        weight.requires_grad_(True)
    output = module(batch)
    if labels is not None:
        if len(labels) != len(batch) or output.dim() != 2:
            raise UserError(f"labels are one class number a sample ({len(batch)}) of a graph that gives logits [1, K]")
        loss = torch.nn.functional.cross_entropy(output, torch.as_tensor(labels, device=batch.device).long())
    elif against == "ones":
        loss = output.sum()
    else:
        drawn = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed))
        loss = (output * drawn.to(batch.device)).sum()
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [(w.detach(), torch.zeros_like(w) if g is None else g) for w, g in zip(weights, found, strict=True)]


def scored(name: str, terms: list[torch.Tensor]) -> dict[str, float]:
    """{name: sum of terms, name_normalized: their mean}."""
    total = float(torch.stack([term.double() for term in terms]).sum())
    return {name: total, f"{name}_normalized": total / len(terms)}
