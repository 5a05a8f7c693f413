"""Where everything is: buffers, views, states that are updated in place, and products that are one product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..composite import expand_all
from ..graph import Graph, Node, Value
from ..ops.linear import Linear
from ..ops.overwrite import Overwrite
from ..ops.shape import Expand, Reshape, Slice, Split, Transpose
from ..run import checked, start
from ..types import DTYPES, Type
from .kernels import Call, bind, linear, whole

_VIEWS = (Reshape, Transpose, Split, Slice, Expand)
_ALIGNED = 64
Products = Callable[[tuple[str, ...], np.ndarray, np.ndarray], Call | None]
"""Names of stored matrices, x [I], out [O]: the call that puts their product with x, one behind the other, into out."""


class Prepared:
    """Steps a graph as `Runner` does, at the shapes of its types, with all that does not change done beforehand.

    `states` maps a state's name to its array, which is updated in place. With `shares`, states of the same name and
    the weights of joined products are those of that prepared graph. `products` may have better calls for weights times
    one row. Raises ValueError where such a state has
    another type, KeyError for a parameter without contents.
    """

    def __init__(self, graph: Graph, *, shares: Prepared | None = None, products: Products | None = None) -> None:
        self.graph = graph
        self.states: dict[str, np.ndarray] = shares.states if shares is not None else {}
        self._joined: dict[Any, tuple[Any, np.ndarray]] = shares._joined if shares is not None else {}
        for state in graph.states:
            if state.name not in self.states:
                self.states[state.name] = np.array(start(graph, state))
            elif _type(self.states[state.name]) != state.before.type:
                found = _type(self.states[state.name])
                raise ValueError(f"state {state.name!r} is {state.before.type}, the shared one {found}")
        layout = _Layout(expand_all(graph, lambda op: not whole(op)), self.states, self._joined, products)
        self._inputs = [layout.arrays[v] for v in layout.graph.inputs]
        self._outputs = [layout.arrays[v] for v in layout.graph.outputs]
        self._calls = layout.calls
        self._moves = layout.moves()
        kept = self.states.values()
        self._entangled = any(np.may_share_memory(source, a) for _, source in self._moves for a in kept)

    @property
    def working_bytes(self) -> int:
        """Bytes of the states and inputs; weights belong to the store."""
        return sum(a.nbytes for a in (*self.states.values(), *self._inputs))

    def reset(self) -> None:
        """Back to the initial state."""
        for state in self.graph.states:
            self.states[state.name][...] = start(self.graph, state)

    def step(self, *arrays: Any) -> tuple[np.ndarray, ...]:
        """One step; the results are the caller's own. Raises ValueError for a wrong count, shape or dtype."""
        if len(arrays) != len(self._inputs):
            raise ValueError(f"{self.graph.name} takes {len(self._inputs)} inputs, got {len(arrays)}")
        for value, place, array in zip(self.graph.inputs, self._inputs, arrays):
            given = checked(value.name, value.type, array)
            if given.shape != place.shape:
                raise ValueError(f"input {value.name!r} has shape {list(place.shape)}, got {list(given.shape)}")
            place[...] = given
        for call in self._calls:
            call()
        made = tuple(output.copy() for output in self._outputs)
        sources = [source.copy() if self._entangled else source for _, source in self._moves]
        for (place, _), source in zip(self._moves, sources):
            place[...] = source
        return made


def _type(array: np.ndarray) -> Type:
    return Type(array.shape, str(array.dtype))


class _Layout:
    """Walks a graph in order and gives every value its array."""

    def __init__(
        self, graph: Graph, states: dict[str, np.ndarray], joined: dict[Any, tuple[Any, np.ndarray]],
        products: Products | None,
    ) -> None:  # fmt: skip
        self.graph, self.states, self.joined, self.products = graph, states, joined, products
        self.calls: list[Call] = []
        self.arrays: dict[Value, np.ndarray] = {v: np.zeros(v.shape, DTYPES[v.dtype]) for v in graph.inputs}
        self.arrays |= {s.before: states[s.name] for s in graph.states}
        self.arrays |= {p.value: np.ascontiguousarray(graph.store.read(p)) for p in graph.params}
        self.index = {node: i for i, node in enumerate(graph.nodes)}
        self.blocks: dict[Value, np.ndarray] = {}  # root -> its bytes
        self.free: list[np.ndarray] = []
        self.groups = self._linears_of_one_input()
        ended: dict[int, list[Value]] = {}
        for root, at in self._last_reads().items():
            ended.setdefault(at, []).append(root)
        for i, node in enumerate(graph.nodes):
            self._place(node)
            self.free.extend(self.blocks.pop(root) for root in ended.get(i, ()) if root in self.blocks)

    def moves(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """What is copied into states after a step: place and source."""
        pairs = [(self.states[s.name], self.arrays[s.after]) for s in self.graph.states]
        return [(place, source) for place, source in pairs if source is not place]

    def _linears_of_one_input(self) -> dict[Node, list[Node]]:
        """First of several linear layers that read the same value -> all of them."""
        of: dict[Value, list[Node]] = {}
        for node in self.graph.nodes:
            constant = all(v is None or v in self.graph.param_of for v in node.inputs[1:])
            if type(node.op) is Linear and node.inputs[0] is not None and constant:
                of.setdefault(node.inputs[0], []).append(node)
        groups = {}
        for nodes in of.values():
            for biased in (False, True):
                alike = [n for n in nodes if (n.inputs[2:] not in ((), (None,))) == biased]
                if len(alike) > 1:
                    groups[alike[0]] = alike
        return groups

    def _last_reads(self) -> dict[Value, int]:
        """Root -> index of the last node that reads it or anything that looks into it; outputs are read for ever."""
        end = len(self.graph.nodes)
        root: dict[Value, Value] = {}
        last: dict[Value, int] = {}
        together = {n: nodes[0] for nodes in self.groups.values() for n in nodes}
        for i, node in enumerate(self.graph.nodes):
            for v in node.inputs:
                if v is not None:
                    last[root.get(v, v)] = i
            for v in node.outputs:
                source = node.inputs[0] if isinstance(node.op, _VIEWS) else None
                if source is not None:
                    root[v] = root.get(source, source)
                elif node in together:
                    root[v] = together[node].output
                last[root.get(v, v)] = i
        for v in (*self.graph.outputs, *(s.after for s in self.graph.states)):
            last[root.get(v, v)] = end
        return last

    def _buffer(self, root: Value, type: Type) -> np.ndarray:
        """An array out of a block that nothing needs any more, or of a new one."""
        need = max(_ALIGNED, -(-type.bytes // _ALIGNED) * _ALIGNED)
        fitting = [i for i, block in enumerate(self.free) if block.nbytes >= need]
        if fitting:
            block = self.free.pop(min(fitting, key=lambda i: self.free[i].nbytes))
        else:
            block = np.empty(need, np.uint8)
        self.blocks[root] = block
        return block[: type.bytes].view(DTYPES[type.dtype]).reshape(type.shape)

    def _place(self, node: Node) -> None:
        if node.output in self.arrays:
            return  # a linear layer that was computed with its first
        if node in self.groups:
            self._join(self.groups[node])
            return
        given = [self.arrays[v] if v is not None else None for v in node.inputs]
        if isinstance(node.op, _VIEWS):
            made = node.op.numpy(*given)
            made = made if isinstance(made, tuple) else (made,)
            if all(np.may_share_memory(m, given[0]) for m in made):
                self.arrays.update(zip(node.outputs, made, strict=True))
                return
            self.arrays[node.output] = np.empty(node.output.shape, made[0].dtype)
        elif type(node.op) is Overwrite and self._in_place(node):
            self.arrays[node.output] = given[0]  # type: ignore[assignment]
        else:
            for v in node.outputs:
                self.arrays[v] = self._buffer(v, v.type)
        if type(node.op) is Linear and (call := self._product([node], self.arrays[node.output])) is not None:
            self.calls.append(call)
            return
        self.calls.append(bind(node, given, [self.arrays[v] for v in node.outputs]))

    def _in_place(self, node: Node) -> bool:
        """Whether a state may be written over here: it becomes this result, and nothing reads the old one later."""
        (before, *_), after = node.inputs, node.output
        mine = any(s.before is before and s.after is after for s in self.graph.states)
        if not mine or before is None or before in self.graph.outputs:
            return False
        readers = [n for n in self.graph.consumers[before] if n is not node]
        return all(self.index[n] < self.index[node] and not isinstance(n.op, _VIEWS) for n in readers)

    def _join(self, nodes: Sequence[Node]) -> None:
        """One product for several layers; their results are columns of its result."""
        x = self.arrays[nodes[0].inputs[0]]  # type: ignore[index]
        rows = sum(n.output.shape[-1] for n in nodes)
        out = self._buffer(nodes[0].output, Type((*x.shape[:-1], rows), str(x.dtype)))
        column = 0
        for node in nodes:
            width = node.output.shape[-1]
            self.arrays[node.output] = out[..., column : column + width]
            column += width
        if (call := self._product(nodes, out)) is not None:
            self.calls.append(call)
            return
        parameters = [[n.inputs[i] for n in nodes] for i in (1, 2) if len(nodes[0].inputs) > i]
        weight, bias = (*(self._stacked(p) for p in parameters if p[0] is not None), None)[:2]
        assert weight is not None
        self.calls.append(linear(weight, bias, x, out))

    def _product(self, nodes: Sequence[Node], out: np.ndarray) -> Call | None:
        """What the caller's `products` have for these layers of one input: weights as they are stored, no bias."""
        x = self.arrays[nodes[0].inputs[0]]  # type: ignore[index]
        weights = [self.graph.param_of.get(n.inputs[1]) for n in nodes]  # type: ignore[arg-type]
        biased = any(n.inputs[2:] not in ((), (None,)) for n in nodes)
        if self.products is None or biased or x.size != x.shape[-1] or any(w is None or w.views for w in weights):
            return None
        row, result = x.reshape(-1), out.reshape(-1)
        if not (np.may_share_memory(row, x) and np.may_share_memory(result, out)):
            return None
        return self.products(tuple(w.tensor for w in weights if w is not None), row, result)

    def _stacked(self, values: Sequence[Any]) -> np.ndarray:
        """Parameters on top of each other: where they already are so in memory, as they are."""
        arrays = [self.arrays[v] for v in values]
        key = tuple((a.ctypes.data, a.shape) for a in arrays)
        if key not in self.joined:
            view = _adjacent(arrays)
            self.joined[key] = (arrays, view if view is not None else np.concatenate(arrays))
        return self.joined[key][1]


def _adjacent(arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """The one array whose consecutive rows these are, where they look into it."""
    first = arrays[0]
    base, offset = first.base, first.ctypes.data
    if not isinstance(base, np.ndarray) or not base.flags.c_contiguous or base.dtype != first.dtype:
        return None
    for array in arrays:
        if array.base is not base or array.ctypes.data != offset or array.shape[1:] != base.shape[1:]:
            return None
        offset += array.nbytes
    row = (first.ctypes.data - base.ctypes.data) // (first.nbytes // len(first))
    return base[row : row + sum(map(len, arrays))]
