"""What lies between a sensor and the network: log-mel features of sound, readings by channel."""

from __future__ import annotations

from netwright.errors import UserError
from netwright.graph import Node
from netwright.graph.ops.front_end.log_mel import QLogMel
from netwright.graph.ops.front_end.normalise import QNormalise

from ..source import Body, Writer, emits, scratch

SHAPE_BYTES = 44  # nw_log_mel_shape
_TABLES = ("window", "roots", "bands", "weights", "logs")


@emits(QLogMel)
def log_mel(writer: Writer, node: Node) -> Body:
    op, (window, roots, *_) = node.op, node.inputs[1:]
    assert isinstance(op, QLogMel) and window is not None and roots is not None
    if node.output.shape[0] != 1:
        raise UserError(f"{node.name}: C is written for one recording at a time, not {node.output.shape[0]}")
    arrays = dict(zip(_TABLES, (writer.array(v) for v in node.inputs[1:]), strict=True))
    names = {table: writer.constant(f"{node.name}_{table}", a, aligned=True) for table, a in arrays.items()}
    _, frames, mels, _ = node.output.shape
    numbers = {"frames": frames, "hop": op.hop, "width": window.type.size, "points": roots.shape[0], "mels": mels}
    fields = ", ".join(f".{k} = {v}" for k, v in {**names, **numbers, "floor": op.floor}.items())
    call = "nw_log_mel(x0, y0, (int32_t *)scratch, &shape);"
    size = sum(a.nbytes for a in arrays.values()) + SHAPE_BYTES
    return Body(f"    static const nw_log_mel_shape shape = {{{fields}}};\n    {call}", ("log_mel.h",), size)


@scratch(QLogMel)
def log_mel_scratch(node: Node) -> int:
    """Bytes of one transform."""
    roots = node.inputs[2]
    assert roots is not None
    return 8 * roots.shape[0]


@emits(QNormalise)
def normalise(writer: Writer, node: Node) -> Body:
    op, y = node.op, node.output
    assert isinstance(op, QNormalise)
    (_, *tables), size = writer.operands(node)
    channels = y.shape[-1]
    call = f"nw_normalise(x0, y0, {y.type.size // channels}, {channels}, {', '.join(tables)}, {op.out.zero});"
    return Body(f"    {call}", ("normalise.h",), size)
