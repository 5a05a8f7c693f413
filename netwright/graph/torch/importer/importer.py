"""What a rule works with: values for fx nodes, constants, dtype promotion, refusals that say where."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import torch

from netwright.errors import UserError

from ...builder import Builder
from ...graph import Value
from ...ops.binary import Add
from ...ops.quantise import Cast
from ...ops.shape import Reshape
from ...types import DTYPES, Type
from .naming import name_of, where

Rule = Callable[["Import", Any], Any]
RULES: dict[str, Rule] = {}


def imports(*ops: str) -> Callable[[Rule], Rule]:
    """Register a rule for these aten ops, all overloads: `imports("conv1d", "conv2d")`."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, rule))
        return rule

    return register


def aten_name(target: Any) -> str:
    """`aten.conv2d.default` -> `conv2d`; other namespaces keep theirs."""
    packet = getattr(target, "overloadpacket", None)
    return str(packet if packet is not None else getattr(target, "__name__", target)).removeprefix("aten.")


class Import:
    """One import under way.

    Attributes: `b` (the Builder), `values` (fx node -> Value, constant tensor, number, or a tuple of them), `op` (the
    aten name being imported), `results` (torch's own result types of it).
    """

    def __init__(self, name: str) -> None:
        self.b = Builder(name)
        self.values: dict[Any, Any] = {}
        self.doubled: dict[str, tuple[int, ...]] = {}  # fx node -> its shape for a batch of 2, where that was traced
        self.names: dict[int, str] = {}  # id of a constant tensor -> its qualified name in the module
        self.op = ""
        self.results: tuple[Type, ...] = ()
        self._current: Any = None
        self._merged: dict[tuple[Value, Value], Value] = {}
        self._made: dict[int, tuple[torch.Tensor, Value]] = {}  # constants that are values already

    # --- what rules read -------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """dtype of the op's first result."""
        return self.results[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the op's first result."""
        return self.results[0].shape

    def value(self, x: Any, dtype: str | None = None) -> Value:
        """A tensor or number as a value, cast to `dtype` where that is given."""
        if isinstance(x, torch.Tensor):
            value = self._constant(x if dtype is None else x.to(getattr(torch, dtype)))
        elif isinstance(x, Value):
            value = x
        else:
            assert dtype is not None
            value = self.b.constant(np.asarray(x, DTYPES[dtype]), _printed(x))
        return value if dtype is None or value.dtype == dtype else self.b(Cast(dtype), value)

    def optional(self, x: Any) -> Value | None:
        """`value`, or None where the argument was left out."""
        return None if x is None else self.value(x)

    def operands(self, *given: Any) -> list[Value]:
        """Tensors and numbers as values of the dtype that torch promotes them to."""
        kinds = [_stand_in(x) for x in given]
        dtype = torch.result_type(kinds[0], kinds[1])
        for kind in kinds[2:]:
            dtype = torch.promote_types(dtype, torch.result_type(kind, torch.empty(1, dtype=dtype, device="meta")))
        return [self.value(x, str(dtype).removeprefix("torch.")) for x in given]

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """`x` in another shape; what holds the batch is left open, so that other batches run: see `doubled`."""
        wanted = tuple(shape)
        if x.shape == wanted:
            return x
        grown = self.doubled.get(self._current.name, ()) if wanted == self.shape else ()
        grows = [i for i, (n, twice) in enumerate(zip(wanted, grown)) if n != twice]
        if len(grows) == 1:
            wanted = tuple(-1 if i == grows[0] else n for i, n in enumerate(wanted))
        elif wanted and x.shape[:1] == wanted[:1] and wanted[0]:
            wanted = (0, *wanted[1:])
        return self.b(Reshape(wanted), x)

    def known(self, x: Any, what: str) -> torch.Tensor:
        """A constant tensor. Raises UserError where it is computed from the inputs."""
        if not isinstance(x, torch.Tensor):
            self.refuse(f"{what} is computed from the inputs", "make it a constant or a buffer")
        return x

    def readers(self) -> list[Any]:
        """The fx nodes that pick one of this op's results: `args[1]` says which."""
        return [u for u in self._current.users if u.target is operator.getitem]

    def refuse(self, reason: str, advice: str) -> NoReturn:
        """Raise a UserError that names the op and its place in the module."""
        place = f"aten.{self.op}{where(self._current)}" if self._current is not None else self.b.name
        raise UserError(f"{place}: {reason}; {advice}")

    # --- placing parameters ----------------------------------------------------------------------------------------

    def parameter(self, name: str, tensor: torch.Tensor, *, trainable: bool) -> Value:
        """A parameter called `name` with a copy of the tensor's contents."""
        self.dtype_name(tensor.dtype)
        prefix, self.b._prefix = self.b._prefix, ""  # qualified names are complete already
        try:
            array = tensor.detach().cpu().numpy().copy()
            value = self.b.param(name, array.shape, dtype=str(array.dtype), init=None, trainable=trainable)
        finally:
            self.b._prefix = prefix
        self.b.store[value.name] = array
        return value

    def merged(self, first: Value, second: Value) -> Value:
        """One parameter that is the sum of two, under the first's name with `bias_ih` read as `bias`; else an Add."""
        known = self._merged.get((first, second))
        if known is None:
            params = {p.value: p for p in self.b._params}
            if first in params and second in params:
                left, right = (torch.from_numpy(self.b.store.read(params[v])) for v in (first, second))
                name = first.name.replace("bias_ih", "bias") if "bias_ih" in first.name else f"{first.name}.sum"
                known = self.parameter(name, left + right, trainable=params[first].trainable)
            else:
                known = self.b(Add(), first, second)
            self._merged[first, second] = known
        return known

    def _constant(self, tensor: torch.Tensor) -> Value:
        known = self._made.get(id(tensor))
        if known is not None:
            return known[1]
        self.dtype_name(tensor.dtype)
        name = self.names.get(id(tensor))
        if name is not None:
            value = self.parameter(name, tensor, trainable=False)
        else:
            value = self.b.constant(tensor.detach().cpu().numpy(), "const")
        self._made[id(tensor)] = (tensor, value)  # holding the tensor keeps its id taken
        return value

    # --- one node --------------------------------------------------------------------------------------------------

    def node(self, node: Any) -> None:
        """Import one call. Raises UserError for an op that has no rule or that its rule refuses."""
        if node.target is operator.getitem:
            self.values[node] = self.values[node.args[0]][node.args[1]]
            return
        self._current, self.op = node, aten_name(node.target)
        arguments, fixed = self._bound(node)
        if fixed and self._evaluated(node):
            return
        self.results = self._result_types(node)
        rule = RULES.get(self.op)
        if rule is None:
            self.refuse("netwright has no rule for it", "write this part with other ops, or add a rule with `imports`")
        name, before = name_of(node), len(self.b._nodes)
        try:
            with self.b.scope(name):
                made = rule(self, arguments)
        except ValueError as error:
            reason = str(error).split(" [inputs")[0]
            self.refuse(reason, "write this part with other shapes or ops")
        except AttributeError as error:
            if error.obj is not arguments:
                raise
            self.refuse(f"no rule for its overload {node.target}", "write this part with other ops")
        self.values[node] = made
        self._check(made)
        fresh = {id(v) for n in self.b._nodes[before:] for v in n.outputs}
        for value in made if isinstance(made, tuple) else (made,):
            if isinstance(value, Value) and id(value) in fresh:
                value.name = self.b.unique(name)

    def _bound(self, node: Any) -> tuple[Any, bool]:
        """Arguments by schema name, and whether none of them is computed from inputs or trained."""
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            self.refuse("not a tensor op", "leave Python calls out of forward, or make their result a constant")
        given = dict(zip([s.name for s in schema.arguments], node.args)) | node.kwargs
        fixed = True

        def looked_up(x: Any) -> Any:
            nonlocal fixed
            if isinstance(x, torch.fx.Node):
                found = self.values[x]
                fixed = fixed and not isinstance(found, Value)
                return found
            if isinstance(x, (list, tuple)):
                return [looked_up(y) for y in x]
            if isinstance(x, torch.SymInt):
                self.refuse("its size depends on data", "give every tensor a size that follows from the inputs' shapes")
            return x

        filled = {s.name: looked_up(given.get(s.name, s.default_value)) for s in schema.arguments}
        return SimpleNamespace(**filled), fixed

    def _evaluated(self, node: Any) -> bool:
        """Have torch compute a node of constants. Raises UserError for random numbers."""
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            self.refuse("random numbers in forward", "pass the noise as an input")
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
        with torch.no_grad():
            result = node.target(*args, **kwargs)
        self.values[node] = result
        return True

    def _result_types(self, node: Any) -> tuple[Type, ...]:
        meta = node.meta.get("val")
        metas = meta if isinstance(meta, (list, tuple)) else (meta,)
        return tuple(self._type(m) for m in metas)

    def _type(self, meta: Any) -> Type:
        if not isinstance(meta, torch.Tensor):
            if isinstance(meta, (torch.SymInt, torch.SymFloat, torch.SymBool)):
                self.refuse("a number is read out of a tensor", "keep it a tensor: shapes may not depend on data")
            return Type((), "bool")
        if any(not isinstance(n, int) for n in meta.shape):
            self.refuse("its shape depends on data", "give every tensor a size that follows from the inputs' shapes")
        return Type(tuple(meta.shape), self.dtype_name(meta.dtype))

    def dtype_name(self, dtype: torch.dtype) -> str:
        """Our name of a torch dtype. Raises UserError for one that graphs do not have."""
        name = str(dtype).removeprefix("torch.")
        if name not in DTYPES:
            self.refuse(f"tensors of {name}", f"use one of {', '.join(DTYPES)}")
        return name

    def _check(self, made: Any) -> None:
        """Every result has the type that torch says; anything else is a mistake in a rule."""
        values = made if isinstance(made, tuple) else (made,)
        for value, type in zip(values, self.results):
            if isinstance(value, Value) and value.type != type:
                self.refuse(f"imports as {value.type} where torch has {type}", "please report this")


def _stand_in(x: Any) -> Any:
    """Something that `torch.result_type` reads like x."""
    if isinstance(x, Value):
        return torch.empty(x.shape, dtype=getattr(torch, x.dtype), device="meta")
    return x.to("meta") if isinstance(x, torch.Tensor) else x


def _printed(x: Any) -> str:
    return f"c{x:g}".replace("-", "m").replace("+", "") if isinstance(x, (int, float)) else "const"
