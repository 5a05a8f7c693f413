"""How each int8 value lies in memory: its float value's axes in their own order, or channels last.

Convolutions, pools, resizes and batch norms make and want [N, ..., C]; matrix products, layer norms and whatever works
on the last axis take the order that the float network has. A value is turned only when a reader needs another order.
"""

from __future__ import annotations

from netwright.graph import Builder, Graph, Node, Value
from netwright.graph.op import Op
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.linear import Einsum, Linear, Matmul
from netwright.graph.ops.norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from netwright.graph.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from netwright.graph.ops.resize import Resize
from netwright.graph.ops.shape import Reshape, Transpose
from netwright.graph.types import FLOATS

TO_LAST = {4: (0, 2, 3, 1), 3: (0, 2, 1)}  # [N, C, H, W] -> [N, H, W, C]; [N, C, W] -> [N, W, C]
TO_FIRST = {4: (0, 3, 1, 2), 3: (0, 2, 1)}
SPATIAL = (Conv, ConvTranspose, MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool, Resize, BatchNorm, GroupNorm)
_ROWS = (Linear, Matmul, LayerNorm, RMSNorm)


class Layouts:
    """The int8 forms of each float value: in its own order (False), channels last (True), or both."""

    def __init__(self, b: Builder) -> None:
        self.b = b
        self._forms: dict[Value, dict[bool, Value]] = {}
        self._turns: dict[Value, tuple[Value, tuple[int, ...]]] = {}  # a turned value -> what it was turned from, how
        self._turned: dict[tuple[Value, tuple[int, ...]], Value] = {}

    def has(self, value: Value | None) -> bool:
        """Whether an int8 value stands for this one."""
        return value in self._forms

    def put(self, value: Value, made: Value, last: bool = False) -> None:
        """Record what stands for a float value, and whether that lies channels last."""
        last = last and len(value.shape) in TO_LAST
        forms = self._forms.get(value)
        if forms is None:
            self._forms[value] = {last: made}
        else:
            forms.setdefault(last, made)

    def is_last(self, value: Value) -> bool:
        """Whether the value was made channels last."""
        return next(iter(self._forms[value]))

    def form(self, value: Value, last: bool) -> Value:
        """What stands for a value, in this layout; a rank that has no channels last keeps its order."""
        forms, rank = self._forms[value], len(value.shape)
        last = last and rank in TO_LAST
        if last not in forms:
            made = forms[not last]
            order, name = (TO_LAST, "nhwc") if last else (TO_FIRST, "nchw")
            forms[last] = self.turned(made, order[rank], f"{made.name}.{name}")
        return forms[last]

    def together(self, node: Node) -> bool:
        """Whether the operands of a node with broadcasting are best read channels last: where fewest are turned."""
        rank = len(node.output.shape)
        if rank not in TO_LAST:
            return False
        given = [v for v in node.inputs if v is not None and self.has(v)]
        orders = {self.is_last(v) if len(v.shape) == rank else None for v in given}
        if orders in ({True}, {False}):
            return orders.pop() is True
        turned = {last: sum(v.type.size for v in given if not self._is_free(v, last, rank)) for last in (False, True)}
        if turned[False] == turned[True]:
            return any(self.is_last(v) for v in given)
        return turned[True] < turned[False]

    def _is_free(self, value: Value, last: bool, rank: int) -> bool:
        shape = (1,) * (rank - len(value.shape)) + value.shape
        if keeps_memory(shape, TO_LAST[rank]):
            return True
        return last in self._forms[value] if len(value.shape) == rank else not last

    def operand(self, value: Value, rank: int, last: bool) -> Value:
        """A value to broadcast against one of `rank` dimensions in this layout."""
        if len(value.shape) == rank or not last:
            return self.form(value, last)
        plain = self.form(value, False)
        full = self.b(Reshape((1,) * (rank - len(plain.shape)) + plain.shape), plain, name=f"{plain.name}.full")
        return self.turned(full, TO_LAST[rank], f"{plain.name}.nhwc")

    def turned(self, value: Value, permutation: tuple[int, ...], name: str) -> Value:
        """Axes in another order; turns after one another become one, one that changes nothing none.

        The same turn of the same value is made once.
        """
        source, before = self._turns.get(value, (value, tuple(range(len(value.shape)))))
        whole = tuple(before[i] for i in permutation)
        if whole == tuple(range(len(whole))):
            return source
        if (source, whole) in self._turned:
            return self._turned[source, whole]
        moved = tuple(source.shape[i] for i in whole)
        if keeps_memory(source.shape, whole):
            kept = (0, *moved[1:]) if whole[0] == 0 else moved
            made = self.b(Reshape(kept), source, name=name) if moved != source.shape else source
        else:
            made = self.b(Transpose(whole), source, name=name)
        if made is not source:
            self._turns[made] = (source, whole)
        self._turned[source, whole] = made
        return made


def keeps_memory(shape: tuple[int, ...], permutation: tuple[int, ...]) -> bool:
    """Whether turning the axes moves no element: those that are longer than 1 keep their order."""
    long = [i for i in permutation if shape[i] != 1]
    return long == sorted(long)


def turns(node: Node, permutation: tuple[int, ...] | None) -> bool:
    """Whether a node puts its input's axes in this order, by a transpose or, where only one order exists, a reshape."""
    x = node.inputs[0]
    if permutation is None or x is None or len(x.shape) != len(permutation):
        return False
    if isinstance(node.op, Reshape):
        same = keeps_memory(x.shape, permutation)
        return same and node.output.shape == tuple(x.shape[i] for i in permutation)
    return isinstance(node.op, Transpose) and node.op.permutation == permutation


def input_order(graph: Graph, value: Value) -> tuple[int, ...] | None:
    """How a float input's axes are turned in the int8 form: channels last, or not at all (None).

    An input stays as its user knows it where it is turned channels first before anything else reads it, as in an
    imported channels-last network, and where matrix products or layer norms read its last axis as features.
    """
    rank = len(value.shape)
    if value.dtype not in FLOATS or rank not in TO_LAST:
        return None
    readers = graph.consumers.get(value, ())
    turned = [turns(n, TO_FIRST.get(rank)) for n in readers]
    return None if (turned and all(turned)) or _holds_rows(graph, value) else TO_LAST.get(rank)


def _holds_rows(graph: Graph, value: Value) -> bool:
    """Whether what follows reads the last axis as features: through ops that leave the axes where they are."""
    waiting, seen, found = [value], {value}, False
    while waiting:
        x = waiting.pop()
        for node in graph.consumers.get(x, ()):
            op: Op = node.op
            if isinstance(op, SPATIAL):
                return False
            if isinstance(op, _ROWS):
                found = True
                continue
            if isinstance(op, Reshape):
                layers = any(isinstance(n.op, Linear) for n in graph.consumers.get(node.output, ()))
                found = found or (layers and node.output.shape[-1:] == x.shape[-1:])
                continue
            if isinstance(op, (Transpose, Einsum)):
                continue
            constants = [v for v in node.inputs if v is not None and v in graph.param_of]
            found = found or any(v.shape == x.shape[-1:] != (1,) for v in constants)
            for y in node.outputs:
                if len(y.shape) == len(x.shape) and y not in seen:
                    seen.add(y)
                    waiting.append(y)
    return found
