"""Making graphs: a builder checks types as it goes and names every value once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, overload

import numpy as np

from .graph import Graph, Node, State, Value
from .op import Composite, Op
from .signature import signature
from .store import Init, Param, Store, View
from .types import Quant, Type

_TYPES: dict[tuple[Any, ...], Type] = {}  # of parameters: searches make the same ones over and over
_TYPES_LIMIT = 100_000
MOST_DIMENSIONS = 32  # of a result, where a builder is bounded


class Scope:
    """Names made inside begin with those of the scopes around them."""

    __slots__ = ("_before", "_builder", "_name")

    def __init__(self, builder: Builder, name: str) -> None:
        self._builder = builder
        self._name = name

    def __enter__(self) -> None:
        self._before = self._builder._prefix
        self._builder._prefix = f"{self._before}{self._name}."

    def __exit__(self, *error: object) -> None:
        self._builder._prefix = self._before


class Builder:
    """Builds one Graph.

        b = Builder("net")
        x = b.input("x", Type((1, 3, 32, 32)))
        w = b.param("conv.weight", (16, 3, 3, 3))
        b.output(b(Conv(padding=(1, 1, 1, 1)), x, w, name="conv"))
        graph = b.graph()
    """

    def __init__(self, name: str = "net", store: Store | None = None, largest: int | None = None) -> None:
        self.name = name
        self.largest = largest  # elements of one result; importers bound what a file may ask for
        self.store = store if store is not None else Store()
        self._inputs: list[Value] = []
        self._outputs: list[Value] = []
        self._params: list[Param] = []
        self._states: dict[Value, tuple[Value | None, float, str | None]] = {}
        self._nodes: list[Node] = []
        self._taken: dict[str, int] = {}
        self._prefix = ""
        self._shared: dict[str, Value] = {}

    def unique(self, name: str) -> str:
        """`name` with the scope's prefix, and numbered where it is taken."""
        name = self._prefix + name
        taken = self._taken
        if name not in taken:
            taken[name] = 1
            return name
        return self._numbered(name)

    def _numbered(self, name: str) -> str:
        taken = self._taken
        count = taken[name]
        while (candidate := f"{name}_{count}") in taken:
            count += 1
        taken[name] = count + 1
        taken[candidate] = 1
        return candidate

    def scope(self, name: str) -> Scope:
        """Prefix every name made inside with `name.`."""
        return Scope(self, name)

    def input(self, name: str, type: Type) -> Value:
        """A new graph input."""
        value = Value(self.unique(name), type)
        self._inputs.append(value)
        return value

    def param(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        dtype: str = "float32",
        init: Init | None = Init(),
        tensor: str | None = None,
        views: tuple[View, ...] = (),
        full: tuple[int, ...] | None = None,
        trainable: bool = True,
        quant: Quant | None = None,
    ) -> Value:
        """A parameter of this shape. `tensor`, `views` and `full` make it a cut out of a larger stored tensor."""
        name = self._prefix + name
        if name in self._taken:
            name = self._numbered(name)
        else:
            self._taken[name] = 1
        key = (shape, dtype, quant)
        type = _TYPES.get(key)
        if type is None:
            if len(_TYPES) > _TYPES_LIMIT:
                _TYPES.clear()
            type = _TYPES[key] = Type(shape, dtype, quant)
        value = Value(name, type)
        full_type = Type(full, dtype) if full is not None else None
        self._params.append(Param(value, tensor or name, views, full_type, init, trainable))
        return value

    def constant(
        self, array: Any, name: str = "const", dtype: str | None = None, quant: Quant | None = None
    ) -> Value:
        """A parameter with contents that training leaves alone; a small one met before is used again."""
        data = np.asarray(array, dtype=dtype)
        if dtype is None and data.dtype == np.float64:
            data = data.astype(np.float32)
        key = f"{data.dtype}{data.shape}{quant}{data.tobytes()!r}" if data.size <= 16 else ""
        if key and key in self._shared:
            return self._shared[key]
        prefix, self._prefix = self._prefix, "" if key else self._prefix
        try:
            tensor = self._free_tensor(self._prefix + name, data)
            value = self.param(
                name, data.shape, dtype=str(data.dtype), init=None, trainable=False, tensor=tensor, quant=quant
            )
        finally:
            self._prefix = prefix
        self.store[self._params[-1].tensor] = data
        if key:
            self._shared[key] = value
        return value

    def _free_tensor(self, name: str, data: np.ndarray) -> str:
        """A name that the store, which other graphs may share, does not hold with other contents."""
        tensor, count = name, 0
        while tensor in self.store and not _identical(self.store[tensor], data):
            count += 1
            tensor = f"{name}_{count}"
        return tensor

    def state(self, name: str, type: Type, initial: float = 0.0, tensor: str | None = None) -> Value:
        """Memory between steps, read here; give its next value to `update`. `tensor` names its stored start."""
        value = Value(self.unique(name), type)
        self._states[value] = (None, initial, tensor)
        return value

    def update(self, state: Value, after: Value) -> None:
        """What `state` becomes after this step. Raises ValueError on another type."""
        if state not in self._states:
            raise ValueError(f"{state.name!r} is not a state of this graph")
        if after.type != state.type:
            raise ValueError(f"state {state.name!r} is {state.type}, its update {after.type}")
        self._states[state] = (after, *self._states[state][1:])

    @overload
    def __call__(self, op: Op, *inputs: Value | None, name: str | None = None) -> Value: ...
    @overload
    def __call__(self, op: Op, *inputs: Any, name: str | None = None) -> Any: ...

    def __call__(self, op: Op, *inputs: Any, name: str | None = None) -> Any:
        """Apply `op`. Returns its value, or a tuple for several outputs. Raises ValueError on wrong types."""
        try:
            known = signature(op, *[v and v.type for v in inputs])
        except ValueError as error:
            shown = ", ".join(repr(v) for v in inputs)
            raise ValueError(f"{self._prefix}{name or op.name}: {error} [inputs: {shown}]") from None
        types = known.outputs
        if self.largest is not None:
            self._bound(types)
        base = name or op.name
        if len(types) == 1:
            value = Value(self.unique(base), types[0])
            self._nodes.append(Node(op, inputs, (value,), known))
            return value
        outputs = tuple(Value(self.unique(f"{base}.{i}"), t) for i, t in enumerate(types))
        self._nodes.append(Node(op, inputs, outputs, known))
        return outputs

    def _bound(self, types: tuple[Type, ...]) -> None:
        for type in types:
            if len(type.shape) > MOST_DIMENSIONS:
                raise ValueError(f"its result has {len(type.shape)} dimensions, more than {MOST_DIMENSIONS}")
            if self.largest is not None and type.size > self.largest:
                raise ValueError(f"its result of shape {list(type.shape)} has over {self.largest:,} elements")

    def output(self, *values: Value) -> None:
        """Declare the next graph outputs."""
        self._outputs.extend(values)

    def graph(self) -> Graph:
        """The finished graph. Raises ValueError for a state that was never updated."""
        states = []
        for before, (after, initial, tensor) in self._states.items():
            if after is None:
                raise ValueError(f"state {before.name!r} is never updated")
            states.append(State(before, after, initial, tensor))
        return Graph(
            self.name,
            tuple(self._inputs),
            tuple(self._outputs),
            tuple(self._nodes),
            tuple(self._params),
            tuple(states),
            self.store,
        )


def _identical(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


Rule = Callable[[Builder, Node, tuple[Value | None, ...]], Value | tuple[Value, ...] | None]


def rebuild(
    graph: Graph, rule: Rule | None = None, *, batch: int | None = None, only: set[Node] | None = None
) -> Graph:
    """Copy a graph node by node; the way every pass is written.

    `rule(b, node, inputs)` may build something else in place of a node and return its values, or return None to
    have the node copied. Parameters keep their tensors. `batch` replaces the leading dimension of inputs and states;
    `only` drops all other nodes. Parameters that nothing reads any more are dropped.
    """
    b, new = opened(graph, batch=batch)
    for node in graph.nodes:
        if only is not None and node not in only:
            continue
        inputs = tuple(new[v] if v is not None else None for v in node.inputs)
        made = rule(b, node, inputs) if rule is not None else None
        if made is None:
            made = copy_node(b, node, inputs).outputs
        for old, value in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True):
            new[old] = value
    return without_unread_params(closed(graph, b, new))


def opened(
    graph: Graph, *, name: str | None = None, batch: int | None = None
) -> tuple[Builder, dict[Value, Value]]:
    """A builder that has the graph's inputs, states and parameters but no nodes yet, and where each of them went."""
    b = Builder(name or graph.name, graph.store.copy())
    new: dict[Value, Value] = {}

    def resized(type: Type) -> Type:
        return type.with_shape((batch, *type.shape[1:])) if batch is not None and type.shape else type

    for value in graph.inputs:
        new[value] = b.input(value.name, resized(value.type))
    for state in graph.states:
        new[state.before] = b.state(state.name, resized(state.before.type), state.initial, state.tensor)
    for param in graph.params:
        new[param.value] = value = Value(b.unique(param.value.name), param.value.type)
        b._params.append(Param(value, param.tensor, param.views, param.full, param.init, param.trainable))
    return b, new


def copy_node(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Node:
    """The same op on values of `b`; results keep their names where they are free."""
    known = signature(node.op, *[v.type if v is not None else None for v in inputs])
    outputs = tuple(Value(b.unique(v.name), t) for v, t in zip(node.outputs, known.outputs, strict=True))
    b._nodes.append(Node(node.op, inputs, outputs, known))
    return b._nodes[-1]


def copied(b: Builder, new: Mapping[Value, Value], node: Node) -> dict[Value, Value]:
    """A node of a graph that was `opened`, on what stands for its inputs; returns what stands for its outputs."""
    made = copy_node(b, node, tuple(new[v] if v is not None else None for v in node.inputs))
    return dict(zip(node.outputs, made.outputs, strict=True))


def closed(
    graph: Graph, b: Builder, new: Mapping[Value, Value], ends: Mapping[Value, Value] | None = None
) -> Graph:
    """The graph that was `opened`, with the states' next values and the outputs that stand for its own.

    `ends` are what stands there for some of them and nowhere else.
    """
    last = {**new, **ends} if ends else new
    for state in graph.states:
        b.update(new[state.before], last[state.after])
    b.output(*(last[v] for v in graph.outputs))
    return b.graph()


def without_unread_params(graph: Graph) -> Graph:
    """Drop parameters that nothing reads."""
    read = {v for node in graph.nodes for v in node.inputs} | set(graph.outputs) | {s.after for s in graph.states}
    kept = tuple(p for p in graph.params if p.value in read)
    return graph if len(kept) == len(graph.params) else replace(graph, params=kept)


def live(graph: Graph) -> Graph:
    """Drop nodes that neither an output nor a state needs, and parameters that nothing reads."""
    needed: set[Value | None] = {*graph.outputs, *(s.after for s in graph.states)}
    kept: set[Node] = set()
    for node in reversed(graph.nodes):
        if any(v in needed for v in node.outputs):
            kept.add(node)
            needed.update(node.inputs)
    return rebuild(graph, only=kept) if len(kept) < len(graph.nodes) else without_unread_params(graph)


def inline(b: Builder, graph: Graph, *inputs: Value | None) -> tuple[Value, ...]:
    """Copy `graph`'s nodes into `b` with its inputs bound to values of `b`; returns the outputs there.

    Constants come along; the graph may have no states.
    """
    new: dict[Value, Value | None] = dict(zip(graph.inputs, inputs, strict=True))
    for param in graph.params:
        new[param.value] = b.constant(graph.store.read(param), param.value.name, param.value.dtype)
    for node in graph.nodes:
        made = copy_node(b, node, tuple(new[v] if v is not None else None for v in node.inputs))
        new.update(zip(node.outputs, made.outputs, strict=True))
    return tuple(v for v in (new[o] for o in graph.outputs) if v is not None)


def prefixed(graph: Graph, front: Graph) -> Graph:
    """`graph` with its first input computed by `front`, which has one input and one output and holds its constants.

    Raises ValueError where that output is of another type.
    """
    b, new = opened(graph)
    (given,) = front.inputs
    b._inputs[0] = Value(b.unique(given.name), given.type)
    (made,) = inline(b, front, b._inputs[0])
    if made.type != graph.inputs[0].type:
        raise ValueError(f"{graph.name} takes {graph.inputs[0].type}, its front end makes {made.type}")
    new[graph.inputs[0]] = made
    for node in graph.nodes:
        new.update(copied(b, new, node))
    return closed(graph, b, new)


__all__ = ["Builder", "Composite", "inline", "live", "prefixed", "rebuild"]
