"""The walk over the float graph, the choice of scales, and what is known of each value on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Op, Quant, Type, Value, expand_all
from netwright.graph.ops.activation import Relu6
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.ops.shape import Reshape, Transpose
from netwright.graph.ops.unary import Clip, Relu

from .. import batchnorm, dead

Range = tuple[float, float]
Rule = Callable[["Lowering", Node], Value]
RULES: dict[type[Op], Rule] = {}
TO_LAST = {4: (0, 2, 3, 1), 3: (0, 2, 1)}  # [N, C, H, W] -> [N, H, W, C]; [N, C, W] -> [N, W, C]
TO_FIRST = {4: (0, 3, 1, 2), 3: (0, 2, 1)}


def lowers(*ops: type[Op]) -> Callable[[Rule], Rule]:
    """Register a rule for these op classes."""

    def register(rule: Rule) -> Rule:
        for op in ops:
            RULES[op] = rule
        return rule

    return register


def lowerable(op: Op) -> bool:
    """Whether an int8 form of this op exists; a composite's may be that of its parts."""
    return type(op) in RULES


def expanded(graph: Graph) -> Graph:
    """Composites that have no rule of their own, taken apart."""
    return expand_all(graph, lambda op: type(op) not in RULES)


def clamp_of(op: Op) -> Range | None:
    """The clamp that an activation is, if it is one that integer layers take in for free."""
    if isinstance(op, Relu):
        return (0.0, float("inf"))
    if isinstance(op, Relu6):
        return (0.0, 6.0)
    return (op.low, op.high) if isinstance(op, Clip) else None


def quant_of(low: float, high: float) -> Quant:
    """int8 scale and zero point for reals in [low, high], widened to hold zero (Jacob et al. 2018, section 3)."""
    low, high = min(low, 0.0), max(high, 0.0)
    with np.errstate(over="ignore"):
        scale = float(np.float32((high - low) / 255)) or 1.0  # numbers too small for a scale are as good as zero
    if not math.isfinite(scale):
        raise UserError(f"numbers from {low} to {high} have no int8 scale: they must be finite float32 numbers")
    return Quant(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


@dataclass(frozen=True)
class Fused:
    """A layer with the activation it takes in: where its result goes, and the clamp."""

    output: Value
    clamp: Range | None


class Lowering:
    """State of one lowering: `b` builds the int8 graph; `made` maps a float value to its int8 value.

    A rank-4 or rank-3 float value [N, C, ...] is represented channels last.
    """

    def __init__(self, graph: Graph, ranges: Mapping[str, Range] | None) -> None:
        self.graph = graph
        self.ranges = ranges
        self.b = Builder(graph.name)
        self.made: dict[Value, Value] = {}
        self.taken: set[Node] = set()  # activations that a layer took in
        self.flattened: dict[Value, Value] = {}  # float vectors that a linear layer reads -> the image they were
        self._turns: dict[Value, tuple[Value, tuple[int, ...]]] = {}  # a turned value -> what it was turned from, how
        self._kept = {*graph.outputs, *(s.after for s in graph.states)}

    def x(self, node: Node, index: int = 0) -> Value:
        """The int8 value of a node's input."""
        value = node.inputs[index]
        assert value is not None
        if value not in self.made:
            raise UserError(f"{node.name}: {node.op.name} of the constant {value.name!r} has no int8 form")
        return self.made[value]

    def quant(self, value: Value) -> Quant:
        """The quantisation chosen for a float value."""
        if self.ranges is None:
            return Quant(1.0, 0)
        if value.name not in self.ranges:
            raise UserError(f"{value.name}: no range was observed for it; calibrate with data that reaches it")
        return quant_of(*self.ranges[value.name])

    def fuse(self, node: Node) -> Fused:
        """Take in a clamp that alone reads this node's output, and, where only structure counts, a batch norm."""
        output = node.output
        reader = self.only_reader(output)
        if reader is not None and self.ranges is None and isinstance(reader.op, BatchNorm):
            self.taken.add(reader)
            output = reader.output
            reader = self.only_reader(output)
        clamp = clamp_of(reader.op) if reader is not None else None
        if reader is None or clamp is None:
            return Fused(output, None)
        self.taken.add(reader)
        return Fused(reader.output, clamp)

    def only_reader(self, value: Value) -> Node | None:
        """The one node that reads a value, if it is no output or state."""
        readers = self.graph.consumers.get(value, ())
        return readers[0] if len(readers) == 1 and value not in self._kept else None

    def limits(self, clamp: Range | None, out: Quant) -> dict[str, int]:
        """`low` and `high` of an int8 op for a clamp in reals."""
        if clamp is None:
            return {}
        low = max(-128, round(clamp[0] / out.scale) + out.zero) if clamp[0] > -float("inf") else -128
        high = min(127, round(clamp[1] / out.scale) + out.zero) if clamp[1] < float("inf") else 127
        return {"low": low, "high": max(low, high)}

    def finish(self, fused: Fused, value: Value) -> Value:
        """Record the result of a layer under the value that its activation made."""
        self.made[fused.output] = value
        return value

    def first(self, value: Value, rank: int) -> Value:
        """A channels-last int8 value turned channels first, free where only one order exists."""
        permutation = TO_FIRST.get(rank)
        return self.turned(value, permutation, f"{value.name}.nchw") if permutation is not None else value

    def last(self, value: Value, rank: int) -> Value:
        """A channels-first int8 value turned channels last."""
        permutation = TO_LAST.get(rank)
        return self.turned(value, permutation, f"{value.name}.nhwc") if permutation is not None else value

    def turned(self, value: Value, permutation: tuple[int, ...], name: str) -> Value:
        """Axes in another order; turns after one another become one, and one that changes nothing none."""
        source, before = self._turns.get(value, (value, tuple(range(len(value.shape)))))
        whole = tuple(before[i] for i in permutation)
        if whole == tuple(range(len(whole))):
            return source
        moved = tuple(source.shape[i] for i in whole)
        if [n for n in moved if n != 1] == [n for n in source.shape if n != 1]:
            kept = (0, *moved[1:]) if whole[0] == 0 else moved
            made = self.b(Reshape(kept), source, name=name) if moved != source.shape else source
        else:
            made = self.b(Transpose(whole), source, name=name)
        if made is not source:
            self._turns[made] = (source, whole)
        return made

    def weights(self, name: str, array: np.ndarray | None, shape: tuple[int, ...]) -> tuple[Value, Value]:
        """int8 weights and their scales [O], symmetric, one scale for each index of axis 0."""
        w = self.b.param(f"{name}.weight", shape, dtype="int8", init=None, trainable=False)
        s = self.b.param(f"{name}.scale", shape[:1], init=None, trainable=False)
        if array is not None:
            _need_finite(name, "weights", array)
            largest = np.abs(array.reshape(len(array), -1)).max(axis=1, initial=0)
            scale = (largest / 127).astype(np.float32)
            scale[scale == 0] = 1  # zeros, or too small for a scale
            steps = np.round(array / scale.reshape(-1, *[1] * (array.ndim - 1)))
            self.b.store[w.name] = np.clip(steps, -127, 127).astype(np.int8)
            self.b.store[s.name] = scale
        return w, s

    def bias(self, name: str, array: np.ndarray | None, x: Quant, scale: Value) -> Value:
        """int32 bias [O] of scale x.scale * w_scale; absent means zero."""
        value = self.b.param(f"{name}.bias", scale.shape, dtype="int32", init=None, trainable=False)
        if scale.name in self.b.store:
            steps = np.asarray(self.b.store[scale.name], np.float64) * x.scale
            if array is not None:
                _need_finite(name, "bias", array)
            wide = np.zeros(scale.shape) if array is None else np.asarray(array, np.float64) / steps
            self.b.store[value.name] = np.clip(np.round(wide), -(2**31), 2**31 - 1).astype(np.int32)
        return value


def _need_finite(name: str, what: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise UserError(f"{name}: its {what} hold infinities or numbers that are none (NaN)")


def lower(graph: Graph, ranges: Mapping[str, Range] | None = None) -> Graph:
    """The int8 form of a float graph; see the package's manual."""
    graph = expanded(graph)
    if ranges is not None:
        graph = batchnorm.fold(dead.eliminate(graph))
    state = Lowering(graph, ranges)
    for value in graph.inputs:
        rank = len(value.shape)
        permutation = input_order(graph, value)
        shape = tuple(value.shape[i] for i in permutation) if permutation else value.shape
        given = state.b.input(value.name, Type(shape, "int8", state.quant(value)))
        state.made[value] = given if permutation or rank not in TO_LAST else state.last(given, rank)
    for held in graph.states:
        permutation = TO_LAST.get(len(held.before.shape))
        shape = tuple(held.before.shape[i] for i in permutation) if permutation else held.before.shape
        quant = state.quant(held.before)
        initial = float(np.clip(round(held.initial / quant.scale) + quant.zero, -128, 127))
        state.made[held.before] = state.b.state(held.name, Type(shape, "int8", quant), initial)
    for node in graph.nodes:
        if node in state.taken:
            continue
        rule = RULES.get(type(node.op))
        if rule is None:
            raise UserError(f"{node.name}: {node.op.name} has no int8 form")
        try:
            value = rule(state, node)
        except ValueError as error:  # of a type rule: it says what does not go together
            raise UserError(f"{node.name}: no int8 form of {node.op.name}: {error}") from None
        state.made.setdefault(node.output, value)
    for value in (*graph.outputs, *(held.after for held in graph.states)):
        if value not in state.made:
            raise UserError(f"{value.name}: a constant that is an output or a state has no int8 form")
    for held in graph.states:
        state.b.update(state.made[held.before], requantised(state, state.made[held.after], state.quant(held.before)))
    for value in graph.outputs:
        maker = graph.producers.get(value)
        rank = len(value.shape)
        own = maker is not None and turns(maker, TO_LAST.get(rank))
        state.b.output(state.first(state.made[value], rank) if own else state.made[value])
    return dead.eliminate(state.b.graph())


def input_order(graph: Graph, value: Value) -> tuple[int, ...] | None:
    """How a float input's axes are turned in the int8 form: channels last, or not at all (None).

    An input that is turned channels first before anything else reads it, as in an imported channels-last network, is
    what its user calls it already and stays so.
    """
    rank = len(value.shape)
    readers = graph.consumers.get(value, ())
    turned = [turns(n, TO_FIRST.get(rank)) for n in readers]
    return None if turned and all(turned) else TO_LAST.get(rank)


def turns(node: Node, permutation: tuple[int, ...] | None) -> bool:
    """Whether a node puts its input's axes in this order, by a transpose or, where only one order exists, a reshape."""
    x = node.inputs[0]
    if permutation is None or x is None or len(x.shape) != len(permutation):
        return False
    if isinstance(node.op, Reshape):
        same = [n for n in x.shape if n != 1] == [x.shape[i] for i in permutation if x.shape[i] != 1]
        return same and node.output.shape == tuple(x.shape[i] for i in permutation)
    return isinstance(node.op, Transpose) and node.op.permutation == permutation


def requantised(state: Lowering, value: Value, quant: Quant) -> Value:
    """`value` in another quantisation."""
    from netwright.graph.ops.int8.elementwise import QRequantise

    if value.type.quant == quant:
        return value
    assert value.type.quant is not None
    return state.b(QRequantise(value.type.quant, quant), value, name=f"{value.name}.requantised")
