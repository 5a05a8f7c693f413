"""The network: values, nodes, parameters, states. Immutable once built; a pass returns a new Graph."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .op import Op
from .signature import Signature, by_signature, signature
from .store import Param, Store
from .types import Type

if TYPE_CHECKING:
    from .run import Runner


class Value:
    """One tensor of the network. Compared by identity; `name` is unique within its graph."""

    __slots__ = ("name", "type")

    def __init__(self, name: str, type: Type) -> None:
        self.name = name
        self.type = type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    def __repr__(self) -> str:
        return f"{self.name}: {self.type}"


class Node:
    """One application of an op. An input is None where an optional input is left out."""

    __slots__ = ("_signature", "inputs", "op", "outputs")

    def __init__(
        self, op: Op, inputs: tuple[Value | None, ...], outputs: tuple[Value, ...], known: Signature | None = None
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.outputs = outputs
        self._signature = known

    @property
    def signature(self) -> Signature:
        """What all nodes with this op and these input types have in common."""
        if self._signature is None:
            self._signature = signature(self.op, *[v.type if v is not None else None for v in self.inputs])
        return self._signature

    @property
    def name(self) -> str:
        """A node is called after its first output."""
        return self.outputs[0].name

    @property
    def output(self) -> Value:
        return self.outputs[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of this node."""
        return _macs(self)

    def __repr__(self) -> str:
        outs = ", ".join(v.name for v in self.outputs)
        ins = ", ".join(v.name if v is not None else "_" for v in self.inputs)
        return f"{outs} = {self.op}({ins})"


@dataclass(frozen=True)
class State:
    """Memory between steps: `before` is read, `after` is what it becomes.

    It starts as the stored `tensor`, or, where that is None, as `initial` everywhere.
    """

    before: Value
    after: Value
    initial: float = 0.0
    tensor: str | None = None

    @property
    def name(self) -> str:
        return self.before.name


@dataclass(frozen=True, eq=False)
class Graph:
    """Inputs, outputs, parameters, states, and nodes in topological order; `store` holds the tensors."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    params: tuple[Param, ...] = ()
    states: tuple[State, ...] = ()
    store: Store = field(default_factory=Store)

    @cached_property
    def structure_hash(self) -> str:
        """Hash of everything but names and tensor contents: equal for networks that compute alike given weights."""
        numbers: dict[Value, int] = {}
        lines: list[str] = []
        for value in self.inputs:
            numbers[value] = len(numbers)
            lines.append(str(value.type))
        for state in self.states:
            numbers[state.before] = len(numbers)
            lines.append(f"s{state.before.type}{state.initial if state.tensor is None else 'stored'}")
        tensors: dict[str, int] = {}
        for param in self.params:
            numbers[param.value] = len(numbers)
            shared = tensors.setdefault(param.tensor, len(tensors))
            lines.append(f"p{param.value.type}{shared}{param.views or ''}")
        for node in self.nodes:
            lines.append(f"{_spelled(node)}{[numbers[v] if v is not None else -1 for v in node.inputs]}")
            for value in node.outputs:
                numbers[value] = len(numbers)
        lines.append(f"{[numbers[v] for v in self.outputs]}{[numbers[s.after] for s in self.states]}")
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()

    @cached_property
    def content_hash(self) -> str:
        """Structure plus the bytes of every parameter and stored start. Raises KeyError where a tensor is missing."""
        digest = hashlib.sha256(self.structure_hash.encode())  # processors have instructions for it
        starts = [self.store[s.tensor] for s in self.states if s.tensor is not None]
        for array in (*(self.store.read(p) for p in self.params), *starts):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:32]

    @cached_property
    def producers(self) -> dict[Value, Node]:
        """Value -> the node that makes it (inputs, params and states are absent)."""
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def consumers(self) -> dict[Value, list[Node]]:
        """Value -> the nodes that read it, in order."""
        table: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                if value is not None:
                    table.setdefault(value, []).append(node)
        return table

    @cached_property
    def param_of(self) -> dict[Value, Param]:
        """Value -> its parameter."""
        return {param.value: param for param in self.params}

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one step."""
        return sum(node.macs for node in self.nodes)

    @cached_property
    def parameter_count(self) -> int:
        """Elements of distinct trainable tensors as this graph sees them."""
        return sum({p.tensor: p.value.type.size for p in self.params if p.trainable}.values())

    def values(self) -> Iterator[Value]:
        """Every value: inputs, states, parameters, then node outputs in order."""
        yield from self.inputs
        yield from (s.before for s in self.states)
        yield from (p.value for p in self.params)
        for node in self.nodes:
            yield from node.outputs

    def constant(self, value: Value | None) -> np.ndarray | None:
        """The stored array behind a value, or None when it is not a parameter with contents."""
        param = self.param_of.get(value) if value is not None else None
        return self.store.read(param) if param is not None and self.store.has(param) else None

    def run(self, *arrays: Any) -> tuple[np.ndarray, ...]:
        """One step from the initial state with the NumPy reference.

        Arrays are in the inputs' own layout and dtype; where an input's leading dimension is 1, any batch may be
        given. Returns one array an output. Raises ValueError for a wrong count, shape or dtype.
        """
        return self.runner().step(*arrays)

    def runner(self) -> Runner:
        """A stepper that keeps the states between calls."""
        from .run import Runner

        return Runner(self)

    def rebatch(self, batch: int) -> Graph:
        """The same network for another leading dimension of its inputs and states."""
        from .builder import rebuild

        return rebuild(self, batch=batch)

    def with_store(self, store: Store) -> Graph:
        """The same structure looking into another store."""
        return replace(self, store=store)

    def __str__(self) -> str:
        from .text import to_text

        return to_text(self)


@by_signature
def _macs(node: Node) -> int:
    return node.op.macs(*[v.type if v is not None else None for v in node.inputs])  # type: ignore[arg-type]


@by_signature
def _spelled(node: Node) -> str:
    return str(node.op)


def topological(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Nodes sorted so that each follows its producers; stable otherwise. Raises ValueError on a cycle."""
    remaining = list(nodes)
    made_by = {v: n for n in remaining for v in n.outputs}
    done: set[Node] = set()
    order: list[Node] = []
    for root in remaining:
        stack: list[tuple[Node, bool]] = [(root, False)]
        open_nodes: set[Node] = set()
        while stack:
            node, expanded = stack.pop()
            if node in done:
                continue
            if expanded:
                done.add(node)
                order.append(node)
                continue
            if node in open_nodes:
                raise ValueError(f"cycle through {node.name!r}; a loop in time needs a state")
            open_nodes.add(node)
            stack.append((node, True))
            stack.extend(
                (made_by[v], False) for v in reversed(node.inputs) if v in made_by and made_by[v] not in done
            )
    return tuple(order)
