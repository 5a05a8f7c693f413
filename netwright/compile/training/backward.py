"""How gradients pass through int8 ops: one rule an op, registered with `@passes(OpClass)`.

A rule gets the step that is being built, the node, the clip mask of its result (None: nothing is clipped) and the
gradient of its output; it returns one gradient an input, None where none is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from netwright.errors import UserError
from netwright.graph import Node, Op, Value
from netwright.graph.ops.int8.elementwise import QAdd
from netwright.graph.ops.int8.gradient import QAveragePoolGradient, QClipGradient, QMaxPoolGradient
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.int8.reduce import QMean
from netwright.graph.ops.int8.trained import QMaskedAdd, QMaskedMean
from netwright.graph.ops.shape import Expand, Reshape, Transpose

if TYPE_CHECKING:
    from .step import Step

Backward = Callable[["Step", Node, Value | None, Value], Sequence[Value | None]]
BACKWARD: dict[type[Op], Backward] = {}


def passes(*ops: type[Op]) -> Callable[[Backward], Backward]:
    """Register the gradient rule of these op classes."""

    def register(rule: Backward) -> Backward:
        BACKWARD.update(dict.fromkeys(ops, rule))
        return rule

    return register


def masked(op: Op) -> Op | None:
    """The op that also makes the clip mask of its result; None where nothing is ever clipped."""
    if isinstance(op, QAdd):
        return QMaskedAdd(op.x, op.y, op.out, op.low, op.high)
    if isinstance(op, QMean):
        whole = op.low == -128 and op.high == 127
        if whole and op.x.zero == op.out.zero and op.x.scale <= op.out.scale:
            return None  # a mean lies between the least and the most that there are
        return QMaskedMean(op.axes, op.keepdims, op.x, op.out, op.low, op.high)
    return None


def clip(step: Step, g: Value, mask: Value | None, scale: np.ndarray, name: str) -> Value:
    """g * scale where the mask lets it through."""
    return step.b(QClipGradient(), g, mask, step.constant(scale, f"{name}.slope"), name=f"d_{name}")


@passes(QAdd)
def add(step: Step, node: Node, mask: Value | None, g: Value) -> Sequence[Value | None]:
    op = node.op
    assert isinstance(op, QAdd)
    if any(v is None or v.shape != node.output.shape for v in node.inputs):
        raise UserError(f"{node.name}: no gradient of a sum whose operands are broadcast; write it out")
    parts: list[Value | None] = []
    for value, quant in zip(node.inputs, (op.x, op.y)):
        ratio = np.array([quant.scale / op.out.scale], np.float32)
        parts.append(clip(step, g, mask, ratio, node.name) if step.wanted(value) else None)
    return parts


@passes(QMean)
def mean(step: Step, node: Node, mask: Value | None, g: Value) -> Sequence[Value | None]:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QMean) and x is not None
    rank = len(x.shape)
    kept = tuple(1 if a in {a % rank for a in op.axes} else n for a, n in enumerate(x.shape))
    ratio = np.array([op.x.scale / op.out.scale / op.count(x.shape)], np.float32)
    share = step.b(Reshape(kept), clip(step, g, mask, ratio, node.name))
    return (step.b(Expand(x.shape), share, name=f"d_{node.name}.input"),)


@passes(QAveragePool)
def average_pool(step: Step, node: Node, mask: Value | None, g: Value) -> Sequence[Value | None]:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QAveragePool) and x is not None
    if (op.low, op.high) != (-128, 127):
        raise UserError(f"{node.name}: no gradient of an average pool with a fused activation; keep them apart")
    rule = QAveragePoolGradient(op.stride, op.padding, (1, 1), 1, op.kernel, (x.shape[1], x.shape[2]))
    return (step.b(rule, g, name=f"d_{node.name}"),)


@passes(QMaxPool)
def max_pool(step: Step, node: Node, mask: Value | None, g: Value) -> Sequence[Value | None]:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QMaxPool) and x is not None
    if (op.low, op.high) != (-128, 127):
        raise UserError(f"{node.name}: no gradient of a max pool with a fused activation; keep them apart")
    rule = QMaxPoolGradient(op.stride, op.padding, (1, 1), 1, op.kernel)
    return (step.b(rule, step.made(x), g, name=f"d_{node.name}"),)


@passes(Reshape)
def reshape(step: Step, node: Node, mask: Value | None, g: Value) -> Sequence[Value | None]:
    x = node.inputs[0]
    assert x is not None
    return (step.b(Reshape(x.shape), g),)


@passes(Transpose)
def transpose(step: Step, node: Node, mask: Value | None, g: Value) -> Sequence[Value | None]:
    op = node.op
    assert isinstance(op, Transpose)
    back = tuple(int(i) for i in np.argsort(op.permutation))
    return (step.b(Transpose(back), g, name=f"d_{node.name}"),)
