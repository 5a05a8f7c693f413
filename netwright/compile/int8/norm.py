"""Layer, RMS, group and instance norm, with exact statistics."""

from __future__ import annotations

import math

import numpy as np

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.int8.norm import DROPPED, QGroupNorm
from netwright.graph.ops.norm import GroupNorm, LayerNorm, RMSNorm
from netwright.graph.ops.shape import Reshape

from .lowering import Lowering, lowers


@lowers(LayerNorm, RMSNorm)
def rows(state: Lowering, node: Node) -> None:
    """Every row of the last dimensions on its own."""
    op = node.op
    shape = node.output.shape
    features = math.prod(shape[-op.dims :]) if isinstance(op, LayerNorm) else shape[-1]
    x = state.x(node, last=False)
    flat = x if x.shape == (shape[0], features) else state.b(Reshape((-1, features)), x, name=f"{node.name}.rows")
    fused = state.fuse(node)
    q = _normalised(state, node, flat, 1, not isinstance(op, RMSNorm), fused.output, fused.clamp)
    y = state.b(*q, name=node.name)
    if y.shape != shape:
        y = state.b(Reshape((-1, *shape[1:])), y, name=f"{node.name}.shape")
    state.finish(fused, y)


@lowers(GroupNorm)
def groups(state: Lowering, node: Node) -> None:
    """Channels last, where a group's channels lie side by side."""
    op, rank = node.op, len(node.output.shape)
    assert isinstance(op, GroupNorm)
    x = state.x(node, last=True)
    if rank > 4:
        x = state.turned(x, (0, *range(2, rank), 1), f"{node.name}.last")
    fused = state.fuse(node)
    y = state.b(*_normalised(state, node, x, op.groups, True, fused.output, fused.clamp), name=node.name)
    if rank > 4:
        y = state.turned(y, (0, rank - 1, *range(1, rank - 1)), f"{node.name}.first")
    state.finish(fused, y, last=True)


def _normalised(
    state: Lowering,
    node: Node,
    x: Value,
    groups: int,
    centred: bool,
    output: Value,
    clamp: tuple[float, float] | None,
) -> tuple[QGroupNorm, Value, Value, Value]:
    """The op and its operands: the scale on 16 bits, the bias in 1/1024 of its steps."""
    given = [*node.inputs[1:], None, None][:2]
    if not all(v is None or state.is_constant(v) for v in given):
        raise UserError(f"{node.name}: the scale and bias of {node.op.name} must be constant to become int8")
    channels = x.shape[-1]
    b = state.b
    scale = b.param(f"{node.name}.scale", (channels,), dtype="int16", init=None, trainable=False)
    bias = b.param(f"{node.name}.bias", (channels,), dtype="int32", init=None, trainable=False)
    step = 1.0
    arrays = [state.graph.constant(v) for v in given]
    if all(v is None or a is not None for v, a in zip(given, arrays)):
        if any(a is not None and not np.isfinite(a).all() for a in arrays):
            raise UserError(f"{node.name}: its scale or bias hold infinities or numbers that are none (NaN)")
        factor = np.ones(channels) if arrays[0] is None else np.asarray(arrays[0], np.float64).reshape(-1)
        offset = np.zeros(channels) if arrays[1] is None else np.asarray(arrays[1], np.float64).reshape(-1)
        step = float(np.float32(np.abs(factor).max() / 32767)) or 1.0
        b.store[scale.name] = np.clip(np.round(factor / step), -32767, 32767).astype(np.int16)
        b.store[bias.name] = np.clip(np.round(offset / step * (1 << DROPPED)), -(2**30), 2**30).astype(np.int32)
    out = state.quant(output)
    assert x.type.quant is not None
    epsilon = node.op.epsilon  # type: ignore[attr-defined]
    q = QGroupNorm(groups, centred, epsilon, step, x.type.quant, out, **state.limits(clamp, out))
    return q, x, scale, bias
