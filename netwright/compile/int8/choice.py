"""Comparing, choosing, and between reals and whole numbers."""

from __future__ import annotations

from netwright.errors import UserError
from netwright.graph import Node, Quant
from netwright.graph.ops.binary import Maximum, Minimum
from netwright.graph.ops.compare import Equal, Greater, GreaterEqual, Less, LessEqual, Where
from netwright.graph.ops.int8.elementwise import QPrelu, QRelabel, QRequantise
from netwright.graph.ops.quantise import Cast
from netwright.graph.ops.unary import Clip
from netwright.graph.types import FLOATS

from .lowering import ADVICE, Lowering, lowers, quant_of
from .spelling import leak

_ONE = Quant(1.0, 0)


@lowers(Maximum, Minimum)
def extreme(state: Lowering, node: Node) -> None:
    """Of integers in one scale, the larger integer is the larger number."""
    rank, last, out = len(node.output.shape), state.together(node), state.quant(node.output)
    x, y = (state.shared(node, i, rank, last, out) for i in (0, 1))
    made = state.b(node.op, x, y, name=f"{node.name}.integers")
    state.put(node.output, state.b(QRelabel(out), made, name=node.name), last)


@lowers(Equal, Less, LessEqual, Greater, GreaterEqual)
def compare(state: Lowering, node: Node) -> None:
    """Both sides in a scale that holds both."""
    rank, last = len(node.output.shape), state.together(node)
    quant = _common(state, node)
    x, y = (state.shared(node, i, rank, last, quant) for i in (0, 1))
    state.put(node.output, state.b(node.op, x, y, name=node.name), last)


def _common(state: Lowering, node: Node) -> Quant:
    """The finest scale in which the activations that are compared fit; a constant beyond them saturates."""
    made = [state.form(v, state.is_last(v)) for v in node.inputs if v is not None and state.has(v)]
    quants = [v.type.quant for v in made]
    if len(quants) == 1 and quants[0] is not None:
        return quants[0]
    ends = [q.scale * (code - q.zero) for q in quants if q is not None for code in (-128, 127)]
    return quant_of(min(ends), max(ends)) if state.ranges is not None else _ONE


@lowers(Where)
def where(state: Lowering, node: Node) -> None:
    """Either, in the result's scale; PReLU, which comes in as a choice, as itself."""
    condition = node.inputs[0]
    assert condition is not None
    rank, out = len(node.output.shape), state.quant(node.output)
    found = leak(state.graph, node)
    if found is not None and state.is_constant(found[0].inputs[found[1]]):
        last = state.is_last(node.inputs[1])  # type: ignore[arg-type]
        x, alpha = state.x(node, 1, last=last), state.fixed(*found, rank, last)
        q = QPrelu(x.type.quant, alpha.type.quant, out)  # type: ignore[arg-type]
        state.put(node.output, state.b(q, x, alpha, name=node.name), last)
        return
    if not state.has(condition):
        state.whole(node, 0)
    last = state.together(node)
    x, y = (state.shared(node, i, rank, last, out) for i in (1, 2))
    chosen = state.b(node.op, state.operand(condition, rank, last), x, y, name=f"{node.name}.integers")
    state.put(node.output, state.b(QRelabel(out), chosen, name=node.name), last)


@lowers(Cast)
def cast(state: Lowering, node: Node) -> None:
    """Whole numbers and truth values as reals; they are held to what calibration saw."""
    value = node.inputs[0]
    assert value is not None
    if value.dtype in FLOATS:
        if node.output.dtype not in FLOATS:
            raise UserError(f"{node.name}: cast has no int8 form to {node.output.dtype}; {ADVICE}")
        last = state.is_last(value)
        state.put(node.output, state.form(value, last), last)
        return
    last = state.is_last(value)
    x, out = state.form(value, last), state.quant(node.output)
    if x.dtype == "bool":
        wide = state.b(Cast("int8"), x, name=f"{node.name}.integers")
        state.put(node.output, state.b(QRelabel(_ONE), wide, name=node.name), last)
        return
    wide = x if x.dtype == "int32" else state.b(Cast("int32"), x, name=f"{node.name}.integers")
    if state.ranges is not None:
        low, high = state.range(node.output)
        wide = state.b(Clip(float(int(low)), float(int(high))), wide, name=f"{node.name}.held")
    labelled = state.b(QRelabel(_ONE), wide, name=f"{node.name}.labelled")
    state.put(node.output, state.b(QRequantise(_ONE, out), labelled, name=node.name), last)
