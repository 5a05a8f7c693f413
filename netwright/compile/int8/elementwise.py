"""Sums, products, and functions of one operand as tables."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from netwright.graph import OPS, Node, Op, Quant, Value
from netwright.graph.ops.binary import Add, Mul, Pow, Sub
from netwright.graph.ops.int8.elementwise import QAdd, QLookup, QMul, QRelabel, QRequantise, QSub
from netwright.graph.ops.unary import Clip, Relu, _Unary

from .lowering import Lowering, clamp_of, lowers

# searches make the same ones over and over
_INTEGER = {Add: lru_cache(4096)(QAdd), Sub: lru_cache(4096)(QSub), Mul: lru_cache(4096)(QMul)}


@lowers(Add, Sub, Mul)
def binary(state: Lowering, node: Node) -> None:
    """Operands in their own scales; a constant operand is quantised by its own range."""
    if isinstance(node.op, Mul) and node.inputs[0] is node.inputs[1]:
        _table(state, node, "square", np.square)
    elif not (isinstance(node.op, Mul) and _relabelled(state, node)):
        _of_two(state, node)


def _of_two(state: Lowering, node: Node) -> None:
    rank, last = len(node.output.shape), state.together(node)
    fused = state.fuse(node)
    out = state.quant(fused.output)
    x, y = (_operand(state, node, i, rank, last) for i in (0, 1))
    op = _INTEGER[type(node.op)](x.type.quant, y.type.quant, out, **state.limits(fused.clamp, out))  # type: ignore[arg-type, index]
    state.finish(fused, state.b(op, x, y, name=node.name), last)


def _operand(state: Lowering, node: Node, index: int, rank: int, last: bool) -> Value:
    value = node.inputs[index]
    assert value is not None
    if state.has(value):
        return state.operand(value, rank, last)
    return state.fixed(node, index, rank, last, array=_reached(state, node, index))


def _reached(state: Lowering, node: Node, index: int) -> np.ndarray | None:
    """A constant operand; in a sum, no further than it takes to drive the result out of its range.

    Masks hold minus infinity, or numbers as good as it, which would leave no steps to the others.
    """
    value, other = node.inputs[index], node.inputs[1 - index]
    array = state.graph.constant(value)
    if array is None or state.ranges is None or other is None or isinstance(node.op, Mul):
        return array
    low, high = state.range(node.output)
    least, most = state.range(other)
    if isinstance(node.op, Add):
        return np.clip(array, low - most, high - least)
    return np.clip(array, least - high, most - low) if index == 1 else np.clip(array, low + least, high + most)


def _relabelled(state: Lowering, node: Node) -> bool:
    """A product with one positive number is the same integers in another scale: nothing to compute or to lose."""
    for place in (0, 1):
        value, x = node.inputs[place], node.inputs[1 - place]
        array = state.graph.constant(value)
        if array is None or x is None or not state.has(x) or x.shape != node.output.shape or not array.size:
            continue
        number = float(array.reshape(-1)[0])
        if not (array == number).all() or not 1e-12 < number < 1e12 or _is_clamped(state, node):
            continue
        last = state.is_last(x)
        given = state.form(x, last)
        assert given.type.quant is not None
        scale = float(np.float32(given.type.quant.scale * number)) if state.ranges is not None else 1.0
        state.put(node.output, state.b(QRelabel(Quant(scale, given.type.quant.zero)), given, name=node.name), last)
        return True
    return False


def _is_clamped(state: Lowering, node: Node) -> bool:
    """Whether an activation follows that a product takes in for free."""
    reader = state.only_reader(node.output)
    return reader is not None and clamp_of(reader.op) is not None


def _clamp(state: Lowering, node: Node) -> None:
    """A clamp that no layer took in: a change of scale that saturates."""
    value = node.inputs[0]
    assert value is not None
    last = state.has(value) and state.is_last(value)
    x = state.x(node, last=last)
    out = state.quant(node.output)
    clamp = clamp_of(node.op)
    q = QRequantise(x.type.quant, out, **state.limits(clamp, out))  # type: ignore[arg-type]
    state.put(node.output, state.b(q, x, name=node.name), last)


def _lookup(state: Lowering, node: Node) -> None:
    """All 256 results, computed with the float reference."""
    _table(state, node, node.op.name, node.op.numpy)


@lowers(Pow)
def power(state: Lowering, node: Node) -> None:
    """A constant exponent, or a constant base, makes it a function of one operand."""
    for place in (0, 1):
        array, other = state.graph.constant(node.inputs[place]), node.inputs[1 - place]
        if array is not None and array.size == 1 and other is not None and other.shape == node.output.shape:
            number = array.reshape(-1)[0]
            to_it = partial(np.power, number) if place == 0 else lambda x, n=number: np.power(x, n)
            _table(state, node, "power", to_it, 1 - place)
            return
    raise ValueError("one operand must be a constant number")


def _table(state: Lowering, node: Node, function: str, values: object, index: int = 0) -> None:
    value = node.inputs[index]
    assert value is not None and callable(values)
    last = state.has(value) and state.is_last(value)
    x = state.x(node, index, last=last)
    out, given = state.quant(node.output), x.type.quant
    assert given is not None
    table = state.b.param(f"{node.name}.table", (256,), dtype="int8", init=None, trainable=False)
    if state.ranges is not None:
        reals = (np.arange(-128, 128, dtype=np.float32) - given.zero) * np.float32(given.scale)
        with np.errstate(all="ignore"):
            made = np.nan_to_num(np.asarray(values(reals), np.float64), posinf=1e38, neginf=-1e38)
        state.b.store[table.name] = np.clip(np.round(made / out.scale) + out.zero, -128, 127).astype(np.int8)
    state.put(node.output, state.b(QLookup(out, function), x, table, name=node.name), last)


def _register() -> None:
    clamps: tuple[type[Op], ...] = (Relu, Clip, OPS["relu6"])
    lowers(*clamps)(_clamp)
    unary = [c for c in OPS.values() if issubclass(c, _Unary) and c not in clamps]
    lowers(*unary, OPS["hard_swish"], OPS["silu"], OPS["gelu"])(_lookup)


_register()
__all__ = ["binary"]
