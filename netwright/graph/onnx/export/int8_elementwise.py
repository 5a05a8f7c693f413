"""Element by element on int8, as reals or exactly."""

from __future__ import annotations

from ...graph import Node
from ...ops.int8.elementwise import QAdd, QFlip, QLookup, QMul, QPrelu, QRelabel, QRequantise, QSub, _QBinary
from .elementwise import cast
from .exporter import Export, exports
from .quantise import finish, to_integers, to_reals

_BINARY = {QAdd: "Add", QSub: "Sub", QMul: "Mul"}


@exports(*_BINARY)
def q_binary(ex: Export, node: Node) -> str:
    """Both operands as reals."""
    op = node.op
    assert isinstance(op, _QBinary)
    y = ex(_BINARY[type(op)], to_reals(ex, ex.x(node), op.x), to_reals(ex, ex.x(node, 1), op.y))  # type: ignore[index]
    return finish(ex, y, op.out, op.low, op.high)


@exports(QRequantise)
def q_requantise(ex: Export, node: Node) -> str:
    """There and back in another scale."""
    op = node.op
    assert isinstance(op, QRequantise)
    assert node.inputs[0] is not None
    real = to_reals(ex, ex.x(node), op.x, node.inputs[0].dtype)
    return finish(ex, real, op.out, op.low, op.high) if op.dtype == "int8" else to_integers(ex, real, op.out, op.dtype)


@exports(QLookup)
def q_lookup(ex: Export, node: Node) -> str:
    """A gather from the table; exact."""
    index = ex("Add", cast(ex, ex.x(node), "int32"), ex.constant(128, "int32"))
    return ex("Gather", ex.x(node, 1), index, axis=0)


@exports(QPrelu)
def q_prelu(ex: Export, node: Node) -> str:
    """PRelu of reals."""
    op = node.op
    assert isinstance(op, QPrelu)
    y = ex("PRelu", to_reals(ex, ex.x(node), op.x), to_reals(ex, ex.x(node, 1), op.y))
    return finish(ex, y, op.out, op.low, op.high)


@exports(QFlip)
def q_flip(ex: Export, node: Node) -> str:
    """128 more or less; exact."""
    step = 128 if node.output.dtype == "uint8" else -128
    return cast(ex, ex("Add", cast(ex, ex.x(node), "int32"), ex.constant(step, "int32")), node.output.dtype)


@exports(QRelabel)
def q_relabel(ex: Export, node: Node) -> str:
    """The integers stay."""
    return ex("Identity", ex.x(node))
