"""The walk over the float graph, the choice of scales, and what is known of each value on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Op, Quant, Type, Value, expand_all
from netwright.graph.op import Composite
from netwright.graph.ops.activation import Relu6
from netwright.graph.ops.int8.elementwise import QRequantise
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.ops.quantise import Cast
from netwright.graph.ops.shape import Expand
from netwright.graph.ops.unary import Clip, Relu
from netwright.graph.types import FLOATS, UNIT_QUANT

from .. import batchnorm, constants, dead
from .layout import TO_LAST, Layouts, input_order
from .spelling import spelled, spells

Range = tuple[float, float]
Rule = Callable[["Lowering", Node], None]
RULES: dict[type[Op], Rule] = {}
ADVICE = "express it with other ops, or compile the float network"


def lowers(*ops: type[Op]) -> Callable[[Rule], Rule]:
    """Register a rule for these op classes."""

    def register(rule: Rule) -> Rule:
        for op in ops:
            RULES[op] = rule
        return rule

    return register


def lowerable(op: Op) -> bool:
    """Whether an int8 form of this op may exist; a composite's may be that of its parts."""
    return type(op) in RULES or spells(op) or isinstance(op, Composite)


def expanded(graph: Graph) -> Graph:
    """Composites that have no rule of their own taken apart, ops that are others in disguise spelled as those."""
    return spelled(expand_all(graph, lambda op: type(op) not in RULES))


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


class Lowering(Layouts):
    """State of one lowering: `b` builds the int8 graph; see `Layouts` for how its values lie."""

    def __init__(self, graph: Graph, ranges: Mapping[str, Range] | None) -> None:
        super().__init__(Builder(graph.name))
        self.graph = graph
        self.ranges = ranges
        self.taken: set[Node] = set()  # activations that a layer took in
        self.flattened: dict[Value, Value] = {}  # float vectors that a linear layer reads -> the image they were
        self.unflattened: set[Value] = set()  # float vectors that lie as the image that they become does
        self.unknown: set[Value] = set()  # worked out from weights that have no contents yet
        self._kept = {*graph.outputs, *(s.after for s in graph.states)}

    def is_constant(self, value: Value | None) -> bool:
        """Whether a value is a weight, or follows from weights alone."""
        return value in self.graph.param_of or value in self.unknown

    def x(self, node: Node, index: int = 0, *, last: bool) -> Value:
        """The int8 value of a node's input in this layout; a constant is quantised by its own range."""
        value = node.inputs[index]
        assert value is not None
        if not self.has(value):
            return self.fixed(node, index, len(value.shape), last)
        return self.form(value, last)

    def fixed(
        self, node: Node, index: int, rank: int, last: bool, quant: Quant | None = None, array: np.ndarray | None = None
    ) -> Value:
        """A constant operand as int8 of `rank` dimensions in this layout, in `quant` or by its own range.

        `array` stands in for its contents.
        """
        value = node.inputs[index]
        assert value is not None
        if not self.is_constant(value):
            raise UserError(f"{node.name}: nothing made {value.name!r} before {node.op.name} reads it")
        if array is None:
            array = self.graph.constant(value)
        if array is not None and self.ranges is None:
            array = np.nan_to_num(array)  # only the structure counts
        shape = (1,) * (rank - len(value.shape)) + value.shape
        moved = last and rank in TO_LAST
        kept = tuple(shape[i] for i in TO_LAST[rank]) if moved else shape
        if array is not None and (not array.size or np.isnan(array).any() or (quant is None and np.isinf(array).any())):
            raise UserError(f"{node.name}: its constant {value.name!r} is empty, or holds infinities or NaN")
        if array is not None and quant is None:
            quant = quant_of(float(array.min()), float(array.max()))
        quant = quant or Quant(1.0, 0)
        typed = self.b.param(f"{node.name}.constant", kept, dtype="int8", init=None, trainable=False, quant=quant)
        if array is not None:
            full = np.asarray(array, np.float64).reshape(shape)
            full = full.transpose(TO_LAST[rank]) if moved else full
            self.b.store[typed.name] = np.clip(np.round(full / quant.scale) + quant.zero, -128, 127).astype(np.int8)
        return typed

    def shared(self, node: Node, index: int, rank: int, last: bool, quant: Quant) -> Value:
        """An operand of a node in the quantisation that it shares with the others."""
        value = node.inputs[index]
        assert value is not None
        if not self.has(value):
            return self.fixed(node, index, rank, last, quant)
        return self.requantised(self.operand(value, rank, last), quant)

    def whole(self, node: Node, index: int) -> Value:
        """An input of whole numbers or truth values, in its own order and dtype."""
        value = node.inputs[index]
        assert value is not None
        if not self.has(value):
            array = self.graph.constant(value)
            if array is None:
                self.put(value, self.b.param(value.name, value.shape, dtype=value.dtype, init=None, trainable=False))
            else:
                self.put(value, self.b.constant(array, value.name, value.dtype))
        made = self.form(value, False)
        return made if made.dtype == value.dtype else self.b(Cast(value.dtype), made, name=f"{made.name}.wide")

    def quant(self, value: Value) -> Quant:
        """The quantisation chosen for a float value."""
        return UNIT_QUANT if self.ranges is None else quant_of(*self.range(value))

    def range(self, value: Value) -> Range:
        """The range that calibration found for a float value. Raises UserError where it found none."""
        assert self.ranges is not None
        if value.name not in self.ranges:
            raise UserError(f"{value.name}: no range was observed for it; calibrate with data that reaches it")
        return self.ranges[value.name]

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
        """`low` and `high` of an int8 op for a clamp in reals; none where only structure counts, since the range that
        calibration finds behind a clamp ends where the clamp does."""
        return _limits(clamp, out) if clamp is not None and self.ranges is not None else {}

    def finish(self, fused: Fused, value: Value, last: bool = False) -> None:
        """Record the result of a layer under the value that its activation made."""
        self.put(fused.output, value, last)

    def requantised(self, value: Value, quant: Quant) -> Value:
        """An int8 value in another quantisation."""
        if value.type.quant == quant:
            return value
        assert value.type.quant is not None
        return self.b(QRequantise(value.type.quant, quant), value, name=f"{value.name}.requantised")

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


@lru_cache(maxsize=4096)
def _limits(clamp: Range, out: Quant) -> dict[str, int]:
    low = max(-128, round(clamp[0] / out.scale) + out.zero) if clamp[0] > -float("inf") else -128
    high = min(127, round(clamp[1] / out.scale) + out.zero) if clamp[1] < float("inf") else 127
    return {"low": min(low, 127), "high": max(min(low, 127), high)}


def _need_finite(name: str, what: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise UserError(f"{name}: its {what} hold infinities or numbers that are none (NaN)")


def lower(graph: Graph, ranges: Mapping[str, Range] | None = None) -> Graph:
    """The int8 form of a float graph; see the package's manual."""
    return dead.eliminate(_lowered(graph, ranges).b.graph())


@dataclass(frozen=True)
class Placed:
    """Where an int8 graph holds a float value: the int8 value's name, and the order of its axes (None: as they are)."""

    name: str
    order: tuple[int, ...] | None


def places(graph: Graph) -> dict[str, Placed]:
    """float value's name -> what stands for it in any int8 form of this (prepared) graph."""
    state = _lowered(graph, None)
    values = (v for v in state.graph.values() if state.has(v) and v not in state.unflattened)
    return {v.name: Placed(*_place(state, v)) for v in values}


def _lowered(graph: Graph, ranges: Mapping[str, Range] | None) -> Lowering:
    folded = _folded(graph)
    graph = expanded(folded)
    if graph is not folded:
        graph = _folded(graph)
    if ranges is not None:
        graph = batchnorm.fold(dead.eliminate(graph))
    state = Lowering(graph, ranges)
    for value in graph.inputs:
        state.put(value, state.b.input(value.name, _type(state, value)), input_order(graph, value) is not None)
    for held in graph.states:
        type = _type(state, held.before)
        initial = held.initial
        if type.quant is not None:
            initial = float(np.clip(round(initial / type.quant.scale) + type.quant.zero, -128, 127))
        last = input_order(graph, held.before) is not None
        state.put(held.before, state.b.state(held.name, type, initial), last)
    for node in graph.nodes:
        if node not in state.taken:
            _lower_node(state, node)
    for held in graph.states:
        if not state.has(held.after):
            raise UserError(f"{held.name}: a state that becomes a constant has no int8 form; leave it out")
        before = state.form(held.before, state.is_last(held.before))
        after = state.form(held.after, state.is_last(held.before))
        if before.type.quant is not None:
            after = state.requantised(after, before.type.quant)
        state.b.update(before, after)
    for index, value in enumerate(graph.outputs):
        state.b.output(_given(state, value, index))
    return state


def _folded(graph: Graph) -> Graph:
    """What follows from weights alone, worked out."""
    from_weights = (n.inputs and all(v is None or v in graph.param_of for v in n.inputs) for n in graph.nodes)
    return constants.fold(graph, trainable=True) if any(from_weights) else graph


def _type(state: Lowering, value: Value) -> Type:
    """How an input or state is held: reals as int8 in the layout of their readers, all else as it is."""
    if value.dtype not in FLOATS:
        return value.type
    order = input_order(state.graph, value)
    shape = tuple(value.shape[i] for i in order) if order else value.shape
    return Type(shape, "int8", state.quant(value))


def _given(state: Lowering, value: Value, index: int) -> Value:
    """An output as it was made; a constant one becomes a copy that lives in the arena."""
    if state.has(value):
        return state.form(value, state.is_last(value))
    node = Node(Expand(value.shape), (value,), (Value(f"output.{index}", value.type),))
    floating = value.dtype in FLOATS
    made = state.fixed(node, 0, len(value.shape), False) if floating else state.whole(node, 0)
    return state.b(node.op, made, name=f"{value.name}.copy")


def _place(state: Lowering, value: Value) -> tuple[str, tuple[int, ...] | None]:
    last = state.is_last(value)
    return state.form(value, last).name, TO_LAST[len(value.shape)] if last else None


def _lower_node(state: Lowering, node: Node) -> None:
    """Apply the rule of a node. Raises UserError naming it where there is none, or its operands are beyond it."""
    if node.inputs and not state.has(node.inputs[0]) and all(v is None or state.is_constant(v) for v in node.inputs):
        state.unknown.update(node.outputs)
        return
    if node.outputs[0].type.dtype not in FLOATS and not any(
        v is not None and v.dtype in FLOATS for v in (*node.inputs, *node.outputs)
    ):
        _copied(state, node)
        return
    rule = RULES.get(type(node.op))
    if rule is None:
        raise UserError(f"{node.name}: {node.op.name} has no int8 form; {ADVICE}")
    try:
        rule(state, node)
    except ValueError as error:
        reason = str(error).partition(" [inputs:")[0]
        raise UserError(f"{node.name}: no int8 form of {node.op.name}: {reason}; {ADVICE}") from None


def _copied(state: Lowering, node: Node) -> None:
    """What computes on whole numbers or truth values stays as it is."""
    given = [state.whole(node, i) if v is not None else None for i, v in enumerate(node.inputs)]
    made = state.b(node.op, *given, name=node.name)
    for value, result in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True):
        state.put(value, result)
