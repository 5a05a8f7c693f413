"""`to_torch`: a graph as a trainable torch module, evaluated node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ..graph import Graph, Value
from ..store import Param, Store


def from_numpy(array: np.ndarray) -> torch.Tensor:
    """A tensor that owns a copy of the array."""
    return torch.from_numpy(np.array(array, copy=True))


def evaluate(graph: Graph, values: dict[Value, Any], training: bool = False) -> None:
    """Fill `values` with every node's outputs."""
    for node in graph.nodes:
        op = node.op
        run = op.torch_training if training and op.training_differs else op.torch  # type: ignore[attr-defined]
        result = run(*[values[v] if v is not None else None for v in node.inputs])
        if len(node.outputs) == 1:
            values[node.outputs[0]] = result
        else:
            values.update(zip(node.outputs, result, strict=True))


class TorchGraph(nn.Module):
    """A graph's step with torch tensors. Trainable stored tensors are parameters, the others buffers.

    `forward(*inputs)` returns one tensor or a tuple. States start afresh at each call unless they are passed and asked
    for: `module.step(inputs, states) -> outputs, states`. `module.to_store()` gives the weights back.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.tensors = nn.ParameterDict()
        self._names: dict[str, str] = {}
        referenced = {p.tensor: p for p in graph.params}
        for name in {v for p in graph.params for view in p.views for v in vars(view).values() if isinstance(v, str)}:
            referenced.setdefault(name, Param(Value(name, graph.params[0].value.type), name, trainable=False))
        for index, (name, param) in enumerate(referenced.items()):
            tensor = from_numpy(graph.store[name])
            key = f"t{index}"
            self._names[name] = key
            floating = tensor.is_floating_point()
            if param.trainable and floating:
                self.tensors[key] = nn.Parameter(tensor)
            else:
                self.register_buffer(f"buffer_{key}", tensor)

    def tensor(self, name: str) -> torch.Tensor:
        """The live tensor stored under `name`."""
        key = self._names[name]
        return self.tensors[key] if key in self.tensors else getattr(self, f"buffer_{key}")

    def step(
        self, inputs: tuple[Any, ...], states: dict[str, torch.Tensor] | None = None
    ) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
        """One step: outputs and the next states."""
        graph = self.graph
        values: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
        for param in graph.params:
            values[param.value] = param.cut(self.tensor(param.tensor), self.tensor)
        batch = inputs[0].shape[0] if inputs and inputs[0].dim() else 1
        for state in graph.states:
            if states is not None and state.name in states:
                values[state.before] = states[state.name]
            elif state.tensor is not None:
                values[state.before] = torch.from_numpy(np.array(graph.store[state.tensor])).to(inputs[0].device)
            else:
                shape = state.before.shape
                shape = (batch, *shape[1:]) if shape[:1] == (1,) else shape
                dtype = getattr(torch, state.before.dtype)
                values[state.before] = torch.full(shape, state.initial, dtype=dtype, device=inputs[0].device)
        evaluate(graph, values, self.training)
        return tuple(values[v] for v in graph.outputs), {s.name: values[s.after] for s in graph.states}

    def forward(self, *inputs: Any) -> Any:
        outputs, _ = self.step(inputs)
        return outputs if len(outputs) > 1 else outputs[0]

    def to_store(self) -> Store:
        """The graph's store with the present weights."""
        store = self.graph.store.copy()
        for name in self._names:
            store[name] = self.tensor(name).detach().cpu().numpy().copy()
        return store


def to_torch(graph: Graph, seed: int = 0) -> TorchGraph:
    """A trainable module; tensors that the store lacks are initialised from `seed`."""
    return TorchGraph(graph.with_store(graph.store.initialise(graph, seed)))
