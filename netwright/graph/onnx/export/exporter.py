"""What a rule works with: names of ONNX tensors, new nodes, new initializers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netwright.errors import MissingExtra

from ...composite import expansion
from ...graph import Graph, Node, Value
from ...op import Composite, Op
from ...types import DTYPES


def onnx_module() -> Any:
    """The `onnx` package. Raises MissingExtra where it is not installed."""
    try:
        import onnx
    except ImportError:
        raise MissingExtra("onnx", "onnx") from None
    return onnx


class Export:
    """One export under way. A rule calls it to add nodes: `ex("Relu", ex.x(node))` returns the name of the result.

    Attributes: `opset`, `nodes` (onnx.NodeProto, in order), `initializers` (name -> array), `names` (Value -> the
    ONNX tensor that holds it).
    """

    def __init__(self, graph: Graph, opset: int) -> None:
        self.onnx = onnx_module()
        self.graph = graph
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: dict[str, np.ndarray] = {}
        self.names: dict[Value, str] = {}
        self.constants: dict[Value, np.ndarray] = {}
        self._promised: dict[str, Value] = {}  # names of the model's outputs, kept free for their values
        self._taken: set[str] = set()
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0
        self._scope = self._prefix = ""

    def reserve(self, name: str) -> str:
        """`name`, or a numbered one where it is taken."""
        candidate = name
        while candidate in self._taken or candidate in self._promised:
            self._count += 1
            candidate = f"{name}.{self._count}"
        self._taken.add(candidate)
        return candidate

    def promise(self, name: str, value: Value) -> None:
        """Keep `name` for `value` unless it is taken or promised already."""
        if name not in self._taken:
            self._promised.setdefault(name, value)

    def claim(self, name: str, value: Value) -> bool:
        """End a promise; whether it was made to this value."""
        if self._promised.get(name) is not value:
            return False
        del self._promised[name]
        self._taken.add(name)
        return True

    def x(self, node: Node, index: int = 0) -> str:
        """The ONNX tensor of a node's input; empty where the input is left out."""
        value = node.inputs[index] if index < len(node.inputs) else None
        return self.names[value] if value is not None else ""

    def array(self, node: Node, index: int) -> np.ndarray | None:
        """The contents of a node's input, or None where they are computed."""
        value = node.inputs[index] if index < len(node.inputs) else None
        return self.constants.get(value) if value is not None else None

    def constant(self, array: Any, dtype: str | None = None, hint: str = "const") -> str:
        """An initializer; equal small ones are shared."""
        data = np.ascontiguousarray(np.asarray(array, DTYPES[dtype] if dtype else None))
        data = data.reshape(np.shape(array))
        key = (str(data.dtype), data.shape, data.tobytes())
        if data.size <= 64 and key in self._shared:
            return self._shared[key]
        name = self.reserve(f"{self._scope}.{hint}" if self._scope else hint)
        self.initializers[name] = data
        self._shared[key] = name
        return name

    def ints(self, *numbers: int) -> str:
        """An int64 vector initializer: a shape, axes, starts."""
        return self.constant(np.array(numbers, np.int64), hint="ints")

    def __call__(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one result; returns its name. Attributes that are None are left out."""
        return self.many(op_type, *inputs, outputs=1, **attributes)[0]

    def many(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        """Add a node with several results."""
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        results = [self.reserve(f"{self._scope}.{op_type.lower()}") for _ in range(outputs)]
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items() if v is not None}
        self.nodes.append(self.onnx.helper.make_node(op_type, list(inputs), results, **given))
        return tuple(results)

    def node(self, node: Node) -> None:
        """Export one node by its rule or, for a composite without one, by its expansion."""
        rule = RULES.get(type(node.op))
        before, first, self._scope = self._scope, len(self.nodes), self._prefix + node.name
        results = rule(self, node) if rule is not None else None
        if results is None:
            if not isinstance(node.op, Composite):
                raise ValueError(f"{node.name}: {node.op.name} has no ONNX form in opset {self.opset}")
            results = self._expanded(node)
        self._scope = before
        if isinstance(results, str):
            results = (results,)
        for value, name in zip(node.outputs, results, strict=True):
            self.names[value] = self._renamed(name, value, first)

    def _expanded(self, node: Node) -> tuple[str, ...]:
        """Export the graph that a composite stands for."""
        assert isinstance(node.op, Composite)
        inner = expansion(node.op, tuple(v.type if v is not None else None for v in node.inputs))
        given = [v for v in node.inputs if v is not None]
        for outside, inside in zip(given, inner.inputs, strict=True):
            self.names[inside] = self.names[outside]
            self.constants.pop(inside, None)  # expansions are shared by nodes of equal types
            if outside in self.constants:
                self.constants[inside] = self.constants[outside]
        for param in inner.params:
            array = inner.store.read(param)
            self.names[param.value] = self.constant(array, hint=param.value.name)
            self.constants[param.value] = array
        outer, self._prefix = self._prefix, f"{self._scope}."
        for step in inner.nodes:
            self.node(step)
        self._prefix = outer
        return tuple(self.names[v] for v in inner.outputs)

    def _renamed(self, old: str, value: Value, first: int) -> str:
        """Call a result after its value, where it was made by a node from `first` on and the name is free."""
        wanted = self._prefix + value.name
        if wanted in self._taken or self._promised.get(wanted, value) is not value:
            return old
        if not any(old in node.output for node in self.nodes[first:]):
            return old
        self._taken.add(wanted)
        for node in self.nodes[first:]:
            node.input[:] = [wanted if n == old else n for n in node.input]
            node.output[:] = [wanted if n == old else n for n in node.output]
        return wanted


Rule = Callable[[Export, Node], "str | tuple[str, ...] | None"]
RULES: dict[type[Op], Rule] = {}


def exports(*ops: type[Op]) -> Callable[[Rule], Rule]:
    """Register a rule for these op classes.

    A rule returns the names of its results, or None to have a composite expanded.
    """

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, rule))
        return rule

    return register
