"""Sums, products, and functions of one operand as tables."""

from __future__ import annotations

import numpy as np

from netwright.errors import UserError
from netwright.graph import OPS, Node, Op, Quant, Value
from netwright.graph.ops.binary import Add, Mul, Sub
from netwright.graph.ops.int8.elementwise import QAdd, QLookup, QMul, QRequantise, QSub
from netwright.graph.ops.unary import Clip, Relu, _Unary

from .lowering import Lowering, Range, clamp_of, lowers

_INTEGER = {Add: QAdd, Sub: QSub, Mul: QMul}


@lowers(Add, Sub, Mul)
def binary(state: Lowering, node: Node) -> Value:
    """Operands in their own scales; a constant operand is quantised by its own range."""
    x, y = _operand(state, node, 0), _operand(state, node, 1)
    if len(x.shape) != len(y.shape):
        raise UserError(
            f"{node.name}: int8 {node.op.name} of ranks {len(x.shape)} and {len(y.shape)}: reshape one first"
        )
    fused = state.fuse(node)
    out = state.quant(fused.output)
    op = _INTEGER[type(node.op)](x.type.quant, y.type.quant, out, **state.limits(fused.clamp, out))  # type: ignore[arg-type, index]
    return state.finish(fused, state.b(op, x, y, name=node.name))


def _operand(state: Lowering, node: Node, index: int) -> Value:
    value = node.inputs[index]
    assert value is not None
    if value in state.made:
        return state.made[value]
    array = state.graph.constant(value)
    rank = len(node.output.shape)
    shape = (1,) * (rank - len(value.shape)) + value.shape
    if rank in (3, 4):  # constants follow their partners to channels last
        shape = (shape[0], *shape[2:], shape[1])
    quant = Quant(1.0, 0)
    if array is not None:
        from .lowering import quant_of

        if not array.size or not np.isfinite(array).all():
            raise UserError(f"{node.name}: its constant {value.name!r} is empty, or holds infinities or NaN")
        quant = quant_of(float(array.min()), float(array.max()))
    typed = state.b.param(
        f"{node.name}.constant", shape, dtype="int8", init=None, trainable=False, quant=quant
    )
    if array is not None:
        full = array.reshape((1,) * (rank - array.ndim) + array.shape)
        full = np.moveaxis(full, 1, -1) if rank in (3, 4) else full
        state.b.store[typed.name] = np.clip(np.round(full / quant.scale) + quant.zero, -128, 127).astype(np.int8)
    return typed


def _clamp(state: Lowering, node: Node) -> Value:
    """A clamp that no layer took in: a change of scale that saturates."""
    x = state.x(node)
    out = state.quant(node.output)
    clamp = clamp_of(node.op)
    return state.b(QRequantise(x.type.quant, out, **state.limits(clamp, out)), x, name=node.name)  # type: ignore[arg-type]


def _lookup(state: Lowering, node: Node) -> Value:
    """All 256 results, computed with the float reference."""
    x = state.x(node)
    out, given = state.quant(node.output), x.type.quant
    assert given is not None
    table = state.b.param(f"{node.name}.table", (256,), dtype="int8", init=None, trainable=False)
    if state.ranges is not None:
        reals = (np.arange(-128, 128, dtype=np.float32) - given.zero) * np.float32(given.scale)
        with np.errstate(all="ignore"):
            values = np.nan_to_num(np.asarray(node.op.numpy(reals), np.float64))
        state.b.store[table.name] = np.clip(np.round(values / out.scale) + out.zero, -128, 127).astype(np.int8)
    return state.b(QLookup(out, node.op.name), x, table, name=node.name)


def _register() -> None:
    clamps: tuple[type[Op], ...] = (Relu, Clip, OPS["relu6"])
    lowers(*clamps)(_clamp)
    unary = [c for c in OPS.values() if issubclass(c, _Unary) and c not in clamps]
    lowers(*unary, OPS["hard_swish"], OPS["silu"], OPS["gelu"])(_lookup)


_register()
__all__ = ["Range", "binary"]
