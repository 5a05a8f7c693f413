"""What a rule works with: the operands and attributes of one ONNX node, and a way to apply ops.

An op applied to arrays that are all known is computed at once, so shape arithmetic and constant weights never become
nodes; one that reads a value of the graph becomes a node there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import numpy as np

from netwright.errors import UserError

from ...builder import Builder
from ...graph import Value
from ...op import Composite, Op
from ...ops.activation import Gelu
from ...ops.index import TopK
from ...ops.resize import Resize
from ...ops.shape import Expand, Reshape, Slice, Split, Transpose
from ...ops.unary import Erf
from ...signature import signature
from ...store import Param
from ...types import DTYPES, FLOATS
from .entry import Entry, Known, Result, Sequence

# what one import may do; each bound but the last grows with the file, so that a large model is never refused for it
MOST_CALLS = 20_000  # nodes read, those of inlined functions and unrolled loops counted each time
MOST_BYTES = 2**25  # of arrays made
MOST_WORK = 2**27  # elements read and written by ops that are computed
MOST_MACS = 2**24  # of one op that is computed
MOST_NODES = 50_000  # of the graph
MOST_ELEMENTS = 1 << 36  # of one value
LONGEST_NAME = 500
_VIEWS = (Reshape, Transpose, Slice, Split, Expand)  # ops that NumPy computes without touching the elements
_COSTS = {Erf: 32, Gelu: 32, TopK: 16}  # how many times an addition's cost an element takes


class Located(UserError):
    """An error whose message says already which file and node it is about."""


class Import:
    """One import under way.

    Attributes: `b` (the builder), `file` (its name, for messages), `opsets` (domain -> version in force), `functions`
    (the model's own, by domain and name), `budget` (bytes that arrays made at import may still take), `work` (elements
    that may still be computed), `label` (name of the first result of the node being read).
    """

    def __init__(self, name: str, file: str, opsets: Mapping[str, int], bytes_of_file: int) -> None:
        self.b = Builder(name, largest=MOST_ELEMENTS)
        self.file = file
        self.opsets = dict(opsets)
        self.functions: dict[tuple[str, str], Any] = {}
        self.attributes: Mapping[str, Any] = {}  # of the function whose body is being read
        self.budget = MOST_BYTES + 4 * bytes_of_file
        self.work = MOST_WORK + 16 * bytes_of_file
        self.most_calls = MOST_CALLS + bytes_of_file // 16
        self.label = ""
        self.depth = self.calls = 0
        self.folder: Any = None
        self.born: dict[Value, int] = {}  # value -> which node made it
        self._made: dict[Known, Value] = {}
        self._scalars: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def apply(self, op: Op, *entries: Entry | None) -> Any:
        """The op's result, or a tuple of several: computed where all operands are known, else a node."""
        if all(e is None or isinstance(e, Known) for e in entries):
            folded = self._folded(op, entries)
            if folded is not None:
                return folded
        values = [self.value(e) if e is not None else None for e in entries]
        if len(self.b._nodes) > MOST_NODES:
            raise UserError(f"the network has over {MOST_NODES} nodes once loops and sequences are unrolled")
        made = self.b(op, *values, name=f"{self.label}.{op.name}")
        for value in self.b._nodes[-1].outputs:
            self.born[value] = len(self.b._nodes) - 1
        return made

    def expanded(self, known: Known, op: Op) -> Value:
        """A known array as a node's operand even though the node could be computed: its result would be large."""
        made = self.b(op, self.value(known), name=f"{self.label}.{op.name}")
        self.born[made] = len(self.b._nodes) - 1
        return made

    def afford(self, size: int, what: str) -> None:
        """Take bytes from the budget. Raises UserError where it has too few left."""
        if size > self.budget:
            raise UserError(f"{what} would take {size} bytes at import, {self.budget} are left for it")
        self.budget -= size

    def value(self, entry: Entry) -> Value:
        """An entry as a value of the graph; a known array becomes a parameter, once."""
        if isinstance(entry, Value):
            return entry
        made = self._made.get(entry)
        if made is None:
            made = self._made[entry] = self._param(entry)
        return made

    def _param(self, known: Known) -> Value:
        dtype = known.dtype
        if dtype not in DTYPES:
            there = ", ".join(DTYPES)
            raise UserError(f"{known.name or 'a constant'!r} is {dtype}, which graphs do not have ({there})")
        key = (dtype, known.shape, known.array.tobytes()) if known.array.size <= 16 and not known.name else None
        if key is not None and key in self._scalars:
            return self._scalars[key]
        name = self.b.unique(known.name[:LONGEST_NAME] or f"{self.label}.const")
        value = Value(name, known.type)
        trainable = known.weight and dtype in FLOATS and known.array.size > 1
        self.b._params.append(Param(value, name, (), None, None, trainable))
        array = known.array
        self.b.store[name] = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        if key is not None:
            self._scalars[key] = value
        return value

    def _folded(self, op: Op, entries: tuple[Entry | None, ...]) -> Any:
        known = [e if isinstance(e, Known) else None for e in entries]
        given: list[Any] = [e.type if e is not None else None for e in known]
        types = signature(op, *given).outputs
        size = sum(math.prod(t.shape) * np.dtype(t.dtype).itemsize for t in types)
        macs = op.macs(*given)
        work = 256 + macs  # however small the arrays are
        if not isinstance(op, _VIEWS):
            touched = sum(math.prod(t.shape) for t in (*given, *types) if t is not None)
            work += touched * _COSTS.get(type(op), 8 if isinstance(op, Composite) else 1)
        if size > self.budget or work > self.work or macs > MOST_MACS:
            return None
        if isinstance(op, Resize) and size > 2**20:  # its matrices grow with the square
            return None
        self.budget -= size
        self.work -= work
        with np.errstate(all="ignore"):
            results = op.numpy(*[e.array if e is not None else None for e in known])
        name = next((e.name for e in known if e is not None and e.weight), "")
        weight = any(e is not None and e.weight for e in known)
        made = tuple(
            Known(np.asarray(r), name if t.dtype in FLOATS else "", weight and t.dtype in FLOATS)
            for r, t in zip(results if len(types) > 1 else (results,), types, strict=True)
        )
        return made if len(made) > 1 else made[0]


class Call:
    """One ONNX node as its rule sees it.

    `n(op, *entries)` applies one of our ops; `n.x(i)` is operand i; `n.integer("axis", 0)` an attribute.
    """

    def __init__(
        self, im: Import, domain: str, op_type: str, inputs: list[Entry | None], names: list[str],
        attributes: dict[str, Any], outputs: list[str],
    ) -> None:  # fmt: skip
        self.im = im
        self.domain = domain
        self.op_type = op_type
        self.inputs = inputs
        self.names = names
        self.attributes = attributes
        self.outputs = outputs
        self.opset = im.opsets.get(domain, 0)
        self.scope: Any = {}  # the names that a subgraph of this node may read
        self.proto: Any = None

    def __call__(self, op: Op, *entries: Entry | None) -> Any:
        return self.im.apply(op, *entries)

    def refuse(self, reason: str) -> UserError:
        """An error to raise: what is missing and what to do."""
        return UserError(reason)

    # operands

    def __len__(self) -> int:
        return len(self.inputs)

    def get(self, index: int) -> Entry | None:
        """Operand `index`, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def x(self, index: int = 0) -> Entry:
        """Operand `index`. Raises UserError where it is left out."""
        entry = self.get(index)
        if entry is None:
            raise self.refuse(f"input {index} is missing")
        if isinstance(entry, Sequence):
            raise self.refuse(f"input {index} is a sequence; only sequences taken apart again are supported")
        return entry

    def sequence(self, index: int) -> tuple[Entry, ...]:
        """The tensors of a sequence operand."""
        entry: Any = self.get(index)
        if not isinstance(entry, Sequence):
            raise self.refuse(f"input {index} must be a sequence of tensors")
        return entry.entries

    def operands(self) -> list[Entry]:
        """Every operand, none of which may be left out."""
        return [self.x(i) for i in range(len(self.inputs))]

    def operands_from(self, first: int) -> list[Entry]:
        """Operands from one on, none of which may be left out."""
        return [self.x(i) for i in range(first, len(self.inputs))]

    def array(self, index: int) -> np.ndarray | None:
        """The contents of an operand, None where it is left out. Raises UserError where a node computes them."""
        entry = self.get(index)
        if entry is None:
            return None
        if isinstance(entry, Known):
            return entry.array
        raise self.refuse(
            f"its input {index} ({self.names[index][:80]!r}) is computed at run time and must be known at import: "
            "bind an input of the model by constants={name: array}, or export with fixed shapes"
        )

    def ints(self, index: int) -> tuple[int, ...] | None:
        """A known integer operand, flat."""
        array = self.array(index)
        if array is None:
            return None
        if array.dtype.kind not in "iu" or array.size > 2**20:
            raise self.refuse(f"input {index} must be a list of integers, it is {array.dtype}{list(array.shape)}")
        return tuple(int(i) for i in array.reshape(-1))

    def number(self, index: int, default: Any = None) -> Any:
        """A known scalar operand as a Python number."""
        array = self.array(index)
        if array is None:
            return default
        if array.size != 1:
            raise self.refuse(f"input {index} must be one number, it has shape {list(array.shape)}")
        return array.reshape(-1)[0].item()

    # attributes

    def _attribute(self, name: str, kinds: tuple[type, ...], default: Any) -> Any:
        value = self.attributes.get(name, default)
        if value is default:
            return default
        if not isinstance(value, kinds):
            raise self.refuse(f"attribute {name!r} is of the wrong kind: {str(value)[:40]!r}")
        return value

    @overload
    def integer(self, name: str, default: int) -> int: ...
    @overload
    def integer(self, name: str, default: None = None) -> int | None: ...
    def integer(self, name: str, default: int | None = None) -> int | None:
        """An integer attribute."""
        value = self._attribute(name, (int,), default)
        return None if value is None else int(value)

    def real(self, name: str, default: float) -> float:
        """A float attribute."""
        return float(self._attribute(name, (float, int), default))

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        return str(self._attribute(name, (str,), default))

    def several(self, name: str, kind: type = int) -> tuple[Any, ...] | None:
        """An attribute of several numbers or strings, None where it is not given."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, tuple) or not all(isinstance(v, kind) for v in value):
            raise self.refuse(f"attribute {name!r} must be a list of {kind.__name__}")
        return value

    # making things

    def known(self, array: Any, dtype: str | None = None) -> Known:
        """An array as an operand."""
        return Known(np.asarray(array, dtype))

    def arange(self, count: int) -> np.ndarray:
        """0, 1, ... as int64. Raises UserError for more than an import may hold."""
        self.im.afford(8 * count, f"a list of {count} positions")
        return np.arange(count, dtype=np.int64)

    def scalar(self, number: Any, like: Entry) -> Known:
        """A number of `like`'s dtype that broadcasts against it."""
        return Known(np.asarray(number, like.dtype))

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front. Raises UserError where there is none."""
        if not -rank <= axis < rank:
            raise self.refuse(f"axis {axis} of a tensor with {rank} dimensions")
        return axis % rank


Rule = Callable[[Call], Result]
R = TypeVar("R", bound=Rule)
RULES: dict[tuple[str, str], Rule] = {}


def imports(*op_types: str, domain: str = "") -> Callable[[R], R]:
    """Register a rule for these ONNX operators. A rule returns one entry or array a result, None for one left out."""

    def register(rule: R) -> R:
        RULES.update({(domain, name): rule for name in op_types})
        return rule

    return register
