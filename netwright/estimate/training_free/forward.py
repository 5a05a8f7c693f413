"""One pass of a batch through a graph's fresh network, and the gradients that scores are made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from netwright.graph import Graph, Value
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.unary import Relu
from netwright.graph.torch import to_torch


class Forward:
    """The network in training mode on the batch x [N, ...], its weights drawn from `seed`.

    codes        gather `agreement` from the ReLUs
    inputs       gradients of the inputs will be asked for
    weights      gradients of the loss will be asked for
    activations  keep the outputs of convolutions and linear layers

    Nodes that repeat an operation on the same values, such as the ReLUs of edges that leave one node of a cell, are
    evaluated once. Only weights of convolutions and linear layers get gradients.
    """

    def __init__(self, graph: Graph, x: torch.Tensor, seed: int, codes: bool = False, inputs: bool = False,
                 weights: bool = False, activations: bool = False) -> None:
        module: Any = to_torch(graph, seed)
        self.module = module.to(x.device).train()
        self.graph, self.codes, self.keep = graph, codes, activations
        if x.dim() == 4:
            # convolutions of few channels are several times as fast so
            x = x.contiguous(memory_format=torch.channels_last)
            self.module.to(memory_format=torch.channels_last)
        self.x = x.detach().clone().requires_grad_() if inputs else x
        self.grows = inputs or weights
        self.layers = [node for node in graph.nodes if isinstance(node.op, (Conv, Linear))]
        kernels = [kernel for node in self.layers if (kernel := node.inputs[1]) is not None]
        self.fans = [math.prod(kernel.shape[1:]) for kernel in kernels]  # weights of a channel
        origin = {param.value: param.tensor for param in graph.params}
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        names = dict.fromkeys(origin[kernel] for kernel in kernels if kernel in origin)
        self.weights = [self.module.tensor(name) for name in names]
        for weight in self.weights:
            weight.requires_grad_(weights)
        self.activations: list[torch.Tensor] = []
        self.agreement = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
        self.output = x

    def forward(self) -> None:
        """Fills `output` [N, K], and `agreement` [N, N] and `activations` where they are wanted."""
        same, last = sharing(self.graph)
        held: dict[Value, torch.Tensor] = {}
        with torch.set_grad_enabled(self.grows):
            values: dict[Value, Any] = {self.graph.inputs[0]: self.x}
            for param in self.graph.params:
                values[param.value] = param.cut(self.module.tensor(param.tensor), self.module.tensor)
            agreed: dict[Value, torch.Tensor] = {}
            kept = {same[node.output] for node in self.layers} if self.keep else set()
            for at, node in enumerate(self.graph.nodes):
                op: Any = node.op
                first = same[node.outputs[0]] is node.outputs[0]
                if first:
                    given: list[Any] = [values[same[v]] if v is not None else None for v in node.inputs]
                    result = (op.torch_training if op.training_differs else op.torch)(*given)
                    values.update(zip(node.outputs, (result,) if len(node.outputs) == 1 else result, strict=True))
                    if node.outputs[0] in kept:
                        held[node.outputs[0]] = result
                    if self.codes and isinstance(op, Relu):
                        agreed[node.output] = agreeing(given[0])
                    del given, result
                if self.codes and isinstance(op, Relu):
                    self.agreement += agreed[same[node.output]]
                for value in last.get(at, ()):
                    del values[value]
            self.activations = [held[same[node.output]] for node in self.layers] if self.keep else []
            self.output = values[same[self.graph.outputs[0]]]

    def jacobian(self, keep: bool = False) -> torch.Tensor:
        """[N, inputs]: the gradient of the sum of all outputs by each image; `keep` for another backward pass."""
        (found,) = torch.autograd.grad(self.output.sum(), self.x, retain_graph=keep)
        return found.flatten(1)

    def loss_gradients(
        self, labels: torch.Tensor, twice: bool = False
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Gradients of the mean cross-entropy by the weights, and by the activations that were kept; zero where the
        loss does not depend on one. `twice`: they will be differentiated again."""
        loss = torch.nn.functional.cross_entropy(self.output, labels)
        full = _gradients(loss, [*self.weights, *self.activations], twice)
        return full[: len(self.weights)], full[len(self.weights) :]

    def curved(self, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        """The loss's Hessian times its gradient, by weight; `gradients` are what `loss_gradients(..., twice=True)`
        gave."""
        product = torch.stack([(g.detach() * g).sum() for g in gradients]).sum()
        if not product.requires_grad:
            return [torch.zeros_like(weight) for weight in self.weights]
        return _gradients(product, self.weights)


def _gradients(of: torch.Tensor, aims: list[torch.Tensor], twice: bool = False) -> list[torch.Tensor]:
    found = torch.autograd.grad(of, aims, allow_unused=True, create_graph=twice)
    return [torch.zeros_like(aim) if g is None else g for aim, g in zip(aims, found, strict=True)]


def sharing(graph: Graph) -> tuple[dict[Value, Value], dict[int, list[Value]]]:
    """Each value's first equal one, and which of those no later node than the key reads.

    Two nodes of one operation on equal values give equal values.
    """
    same: dict[Value, Value] = {v: v for v in (*graph.inputs, *(param.value for param in graph.params))}
    seen: dict[Any, tuple[Value, ...]] = {}
    ends: dict[Value, int] = {}
    for at, node in enumerate(graph.nodes):
        given = tuple(same[v] if v is not None else None for v in node.inputs)
        first = seen.setdefault((node.op, given), node.outputs)
        same.update(zip(node.outputs, first, strict=True))
        ends.update({v: at for v in (*given, *first) if v is not None})
    for output in graph.outputs:
        ends.pop(same[output], None)
    last: dict[int, list[Value]] = {}
    for value, at in ends.items():
        last.setdefault(at, []).append(value)
    return same, last


def agreeing(x: torch.Tensor) -> torch.Tensor:
    """[N, N] float64: for each pair of images, how many units are both above zero or both not.

    On a processor the codes are bits and what differs is counted; elsewhere, with signs s in {-1, 1}, it is
    (units + s s') / 2, one product of matrices, exact in float32 up to 2^24 units.
    """
    flat = x.detach().movedim(1, -1).flatten(1)  # channels last, as it lies
    if flat.device.type != "cpu":
        signs = (flat > 0).to(torch.float32).mul_(2).sub_(1)
        return ((signs @ signs.T).double() + flat.shape[1]) / 2
    bits = np.packbits(flat.numpy() > 0, axis=1)
    codes = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)
    found = np.empty((len(codes),) * 2)
    for row, code in enumerate(codes):
        apart = np.bitwise_count(code ^ codes[row:]).sum(1, dtype=np.int64)
        found[row, row:] = found[row:, row] = flat.shape[1] - apart
    return torch.from_numpy(found)
