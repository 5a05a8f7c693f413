"""Arc tangent and remainders."""

from __future__ import annotations

from ...graph import Node
from ...ops.arithmetic import Atan, Mod
from .exporter import Export, exports


@exports(Atan)
def atan(ex: Export, node: Node) -> str:
    """The same op."""
    return ex("Atan", ex.x(node))


@exports(Mod)
def mod(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, Mod)
    return ex("Mod", ex.x(node), ex.x(node, 1), fmod=int(node.op.fmod))
