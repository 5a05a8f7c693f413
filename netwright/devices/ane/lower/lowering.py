"""A Graph to a MIL function, node by node; what each op becomes is in the files beside this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from netwright.compile import batchnorm, constants
from netwright.errors import UserError
from netwright.graph import Composite, Graph, Node, Value, expand_all, live
from netwright.graph.types import FLOATS

from ..mil import Function, Program, TensorType, Variable
from ..profile import AneProfile
from .layout import Held, framed, permutation, permuted, places, significant
from .port import Port
from .registry import LOWER
from .writer import Read, Weight, Writer

OPSET = "ios18"


@dataclass(frozen=True)
class Applied:
    """A rule that would have been broken, and what was done instead."""

    rule: str
    where: str
    fix: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.fix}"


@dataclass(frozen=True)
class Lowered:
    """A program, its weights (read when they are written), its ports in the Graph's order, and what was mended."""

    program: Program
    weights: tuple[Weight, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    applied: tuple[Applied, ...]


def simplified(graph: Graph, profile: AneProfile) -> Graph:
    """Known values computed, batch norm folded, composites without a form of their own spelled out.

    Raises UserError naming the first node that has no form on the engine.
    """
    spelled = expand_all(graph, lambda op: isinstance(op, Composite) and op.name not in LOWER)
    result: Graph = live(batchnorm.fold(constants.fold(spelled)))
    for node in result.nodes:
        if node.op.name not in LOWER:
            raise UserError(f"{node.name}: {node.op.name} has no form on the Neural Engine")
    for state in result.states:
        raise UserError(f"{state.name}: the Neural Engine keeps no state; make it an input and an output")
    for value in (*result.inputs, *result.outputs):
        if value.dtype not in FLOATS:
            raise UserError(f"{value.name} is {value.dtype}; the Neural Engine takes and gives floats: "
                            "leave look-ups and choices to the processor")
    return result


class Lowering:
    """The program under way: which variable holds which value, in which layout."""

    def __init__(self, graph: Graph, profile: AneProfile, io: str = "fp32") -> None:
        self.graph, self.profile, self.io = graph, profile, io
        self.write = Writer(profile.weights == "separate")
        self.applied: dict[Applied, None] = {}
        self._held: dict[Value, Held] = {}
        self._views: dict[tuple[str, tuple[int, ...], tuple[int, ...]], str] = {}

    def note(self, rule: str, where: str, fix: str) -> None:
        """Records what was done to keep a rule."""
        self.applied[Applied(rule, where, fix)] = None

    def fail(self, node: Node, message: str) -> UserError:
        """The error that names the node."""
        return UserError(f"{node.name}: {node.op.name}: {message}")

    def bind(self, value: Value, name: str, order: Iterable[int], shape: tuple[int, ...] | None = None) -> None:
        """Says where a value of the Graph is from now on."""
        self._held[value] = Held(name, tuple(order), shape or self.write.types[name].shape)

    def held(self, value: Value) -> Held:
        """Where a value is; a parameter is put into a weight file in the Graph's own order first."""
        if value not in self._held:
            order = tuple(range(len(value.shape)))
            shape = framed(value.shape)
            self._held[value] = Held(self.parameter(value, order, shape), order, shape)
        return self._held[value]

    def is_parameter(self, value: Value | None) -> bool:
        """Whether the value is a parameter or constant of the Graph."""
        return value in self.graph.param_of

    def array(self, value: Value) -> np.ndarray | None:
        """The contents of a parameter, where they are known."""
        return self.graph.constant(value)

    def reader(self, value: Value) -> Read:
        """How to get a parameter's contents when the weights are written."""
        param, store = self.graph.param_of[value], self.graph.store
        return lambda: store.read(param)

    def parameter(self, value: Value, order: tuple[int, ...], shape: tuple[int, ...]) -> str:
        """A parameter as a variable: a number in the text, anything else transposed and written to a weight file."""
        array = self.array(value) if value.type.size == 1 else None
        if array is not None:
            return self.write.scalar(float(array.reshape(())))
        read = self.reader(value)
        padded = len(order) - len(value.shape)
        sizes = (*(1,) * padded, *value.shape)
        return self.write.weight(
            value.name, shape, lambda: read().reshape(sizes).transpose(order),
            (value, significant(sizes, order)),
        )

    def want(self, value: Value, order: Iterable[int], shape: tuple[int, ...] | None = None) -> str:
        """A variable that has the value in this order and MIL shape; a transpose or reshape is made where needed."""
        order = tuple(order)
        shape = shape or framed(permuted(value.shape, order))
        if self.is_parameter(value) and value not in self._held:
            return self.parameter(value, order, shape)
        return self._moved(self.held(value), value.shape, order, shape)

    def _moved(self, held: Held, sizes: tuple[int, ...], order: tuple[int, ...], shape: tuple[int, ...]) -> str:
        wanted = significant(sizes, order)
        if significant(sizes, held.order) == wanted:
            return self.reshape(held.name, shape)
        apart = shape if [n for n in shape if n != 1] == [sizes[a] for a in wanted] else framed(permuted(sizes, order))
        key = (held.name, wanted, shape)
        if key not in self._views:
            name, rank = held.name, len(apart)
            if len(held.shape) != rank:
                rank = max(rank, sum(n != 1 for n in held.shape))
                name = self.reshape(name, _padded(held.shape, rank))
            source = Held(name, held.order, self.write.types[name].shape)
            into = _padded(apart, rank)
            perm = permutation(source, sizes, order, into)
            turned = self.write.op("transpose", f"{held.name}_t", x=name, perm=perm)
            self._views[key] = self.reshape(turned, shape)
        return self._views[key]

    def reshape(self, name: str, shape: tuple[int, ...]) -> str:
        """The variable in another MIL shape of the same bytes."""
        if self.write.types[name].shape in (shape, ()):
            return name
        key = (name, (), shape)
        if key not in self._views:
            self._views[key] = self.write.op("reshape", f"{name}_r", x=name, shape=list(shape))
        return self._views[key]

    def axis(self, value: Value, axis: int) -> int | None:
        """The variable's axis that is the Graph's `axis`; None where that has one element."""
        return places(self.held(value), value.shape).get(axis % len(value.shape))

    def channels(self, value: Value) -> tuple[str, tuple[int, ...]]:
        """A value [..., C] as a variable [1, C, 1, rest], and its order."""
        rank = len(value.shape)
        order = (rank - 1, *range(rank - 1))
        return self.want(value, order, (1, value.shape[-1], 1, prod(value.shape[:-1]))), order

    def run(self) -> Lowered:
        """The whole Graph. Raises UserError naming what has no form on the engine."""
        inputs = self._inputs()
        for node in self.graph.nodes:
            try:
                LOWER[node.op.name](self, node)
            except ValueError as error:
                raise self.fail(node, str(error)) from None
        outputs = self._outputs()
        for text in self.write.clamped:
            self.note("R20", f"constant {text}", "clamped to +-65504")
        function = Function(
            "main", OPSET, tuple(Variable(p.variable, p.type) for p in sorted(inputs, key=lambda p: p.variable)),
            tuple(self.write.statements), tuple(p.variable for p in outputs),
        )
        return Lowered(Program((function,)), tuple(self.write.weights), inputs, outputs, tuple(self.applied))

    def _inputs(self) -> tuple[Port, ...]:
        ports = []
        for value, name in zip(self.graph.inputs, self._names(self.graph.inputs, "x", "R13"), strict=True):
            order = self._entry_order(value)
            type = TensorType(self.io, _end_shape(value.shape, order))
            self.write.declare(name, type)
            ports.append(Port(value.name, name, value.type, order, type))
        for value, port in zip(self.graph.inputs, ports):
            inner = port.variable
            if self.io != "fp16":
                inner = self.write.op("cast", f"{inner}_16", x=inner, dtype="fp16")
            self.bind(value, inner, port.order)
        return tuple(ports)

    def _outputs(self) -> tuple[Port, ...]:
        ports = []
        for value, name in zip(self.graph.outputs, self._result_names, strict=True):
            held = self.held(value)
            shape = _end_shape(value.shape, held.order)
            inner = self.reshape(held.name, shape)
            made = self._ended(inner, name)
            ports.append(Port(value.name, made, value.type, held.order, self.write.types[made]))
        return tuple(ports)

    def _ended(self, inner: str, name: str) -> str:
        self.write._taken.discard(name)
        if self.io != "fp16":
            return self.write.op("cast", name, x=inner, dtype=self.io)
        return self.write.op("identity", name, x=inner)

    def _names(self, values: tuple[Value, ...], prefix: str, rule: str) -> list[str]:
        """Names whose alphabetical order is the order of the values (R3, R13)."""
        plain = [self.write.unique(v.name) for v in values]
        if sorted(plain) == plain:
            return plain
        self.note(rule, ", ".join(plain), f"called {prefix}0_..., so that alphabetical order is the declared order")
        width = len(str(len(plain) - 1))
        return [self.write.unique(f"{prefix}{i:0{width}}_{name}") for i, name in enumerate(plain)]

    def _entry_order(self, value: Value) -> tuple[int, ...]:
        """Channels first: as the Graph has it where convolutions or pools read it, last axis first elsewhere."""
        rank = len(value.shape)
        natural = tuple(range(rank))
        if not 2 <= rank <= 3:
            return natural
        seen: set[Value] = set()
        waiting = [value]
        while waiting:
            for node in self.graph.consumers.get(waiting.pop(), ()):
                if node.op.name in _SPATIAL:
                    return natural
                for made in node.outputs:
                    if made.shape == value.shape and made not in seen:
                        seen.add(made)
                        waiting.append(made)
        return (rank - 1, *range(rank - 1))

    def reserve_outputs(self) -> None:
        """Takes the names of the outputs before anything else can have them."""
        self._result_names = self._names(self.graph.outputs, "y", "R3")


_SPATIAL = {"conv", "conv_transpose", "max_pool", "average_pool", "batch_norm", "global_average_pool"}


def _end_shape(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """The MIL shape of an input or output; an image keeps its own, also where it has one channel."""
    sizes = permuted(shape, order)
    return sizes if len(sizes) == 4 and order == (0, 1, 2, 3) else framed(sizes)


def _padded(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The shape with ones in front, or without some of its ones, to have this rank."""
    if len(shape) <= rank:
        return (*(1,) * (rank - len(shape)), *shape)
    sizes = list(shape)
    while len(sizes) > rank:
        sizes.remove(1)
    return tuple(sizes)


def lower(graph: Graph, profile: AneProfile, io: str = "fp32") -> Lowered:
    """The program of a Graph, under a profile. Raises UserError naming the node that has no form on the engine.

    Inputs and outputs are declared `io` (fp32, with a cast just inside, or fp16); everything inside is fp16.
    """
    lowering = Lowering(simplified(graph, profile), profile, io)
    lowering.reserve_outputs()
    return lowering.run()


__all__: list[Any] = ["Applied", "Lowered", "Lowering", "Port", "lower", "simplified"]
