"""The NumPy reference: what every compiled program is held against."""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import Graph, State, Value
from .types import DTYPES, Type


class Runner:
    """Steps a graph, keeping its states. `states` maps a state's name to its present array."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._params = {p.value: graph.store.read(p) for p in graph.params}
        self._last: dict[Value, int] = {}
        for index, node in enumerate(graph.nodes):
            for value in (*node.inputs, *node.outputs):
                if value is not None:
                    self._last[value] = index
        self._kept = set(graph.outputs) | {s.after for s in graph.states} | set(self._params)
        self.states: dict[str, np.ndarray] = {}
        self.reset()

    def reset(self) -> None:
        """Back to the initial state."""
        self.states = {s.name: start(self.graph, s) for s in self.graph.states}

    def step(self, *arrays: Any) -> tuple[np.ndarray, ...]:
        """Run one step and advance the states. Raises ValueError for a wrong count, shape or dtype."""
        outputs, _ = self._evaluate(arrays, keep_all=False)
        return outputs

    def trace(self, *arrays: Any) -> dict[Value, np.ndarray]:
        """Run one step and return every value's array: for calibration and for finding a difference."""
        return self._evaluate(arrays, keep_all=True)[1]

    def _evaluate(
        self, arrays: tuple[Any, ...], keep_all: bool
    ) -> tuple[tuple[np.ndarray, ...], dict[Value, np.ndarray]]:
        graph = self.graph
        if len(arrays) != len(graph.inputs):
            names = ", ".join(repr(v) for v in graph.inputs)
            raise ValueError(f"{graph.name} takes {len(graph.inputs)} inputs ({names}), got {len(arrays)}")
        values: dict[Value, np.ndarray] = dict(self._params)
        batch = 1
        for value, array in zip(graph.inputs, arrays, strict=True):
            values[value] = checked(value.name, value.type, array)
            if value.shape[:1] == (1,):
                batch = max(batch, values[value].shape[0])
        for state in graph.states:
            array = self.states[state.name]
            if batch > 1 and array.shape[:1] == (1,):
                array = np.repeat(array, batch, axis=0)
            values[state.before] = array
        last, kept = self._last, self._kept
        for index, node in enumerate(graph.nodes):
            results = node.op.numpy(*[values[v] if v is not None else None for v in node.inputs])
            if len(node.outputs) == 1:
                results = (results,)
            for value, array in zip(node.outputs, results, strict=True):
                values[value] = array
            if not keep_all:
                for read in node.inputs:
                    if read is not None and last[read] == index and read not in kept:
                        values.pop(read, None)
        for state in graph.states:
            self.states[state.name] = values[state.after]
        return tuple(np.asarray(values[v]) for v in graph.outputs), values


def start(graph: Graph, state: State) -> np.ndarray:
    """What a state is before the first step. Raises KeyError where its stored start is missing."""
    if state.tensor is not None:
        return graph.store[state.tensor]
    return np.full(state.before.shape, state.initial, DTYPES[state.before.dtype])


def checked(name: str, type: Type, array: Any) -> np.ndarray:
    """`array` as an input of this type. Raises ValueError for another shape (a batch is allowed) or dtype."""
    array = np.asarray(array)
    if array.dtype != DTYPES[type.dtype]:
        if array.dtype.kind == "f" and type.dtype.startswith("float"):
            array = array.astype(DTYPES[type.dtype])
        else:
            raise ValueError(f"input {name!r} is {type.dtype}, got {array.dtype}")
    same = array.shape == type.shape
    if not same and type.shape[:1] == (1,):
        same = array.ndim == len(type.shape) and array.shape[1:] == type.shape[1:]
    if not same:
        raise ValueError(f"input {name!r} has shape {list(type.shape)}, got {list(array.shape)}")
    return array
