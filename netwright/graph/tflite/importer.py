"""One import under way: which value stands for which tensor of the file, and the rules that make them.

Quantised networks keep the file's layout, channels last, and its integers; a uint8 tensor is held as the int8 tensor
of the same reals, whose zero point is 128 lower. Float networks are channels first here: a rank-4 tensor may exist in
either order, and is turned only where an operator needs the other one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from netwright.errors import UserError

from ..builder import Builder
from ..graph import Value
from ..ops.int8.elementwise import QFlip
from ..ops.shape import Reshape, Transpose
from ..types import DTYPES, Quant, Type
from .model import LARGEST, Operator, Subgraph, Tensor, printable
from .schema import ACTIVATIONS, TENSOR_TYPES

Rule = Callable[["Import", Operator], None]
Fold = Callable[["Import", Operator, "list[np.ndarray | None]"], "np.ndarray | None"]
RULES: dict[str, Rule] = {}
FOLDS: dict[str, Fold] = {}
CLAMPS: dict[str, tuple[float | None, float | None]] = {
    "none": (None, None),
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
    "relu_0_to_1": (0.0, 1.0),
}  # what integer kernels take in
MOST_BYTES = 1 << 26  # of arrays made at import, however small the file
MOST_NODES = 50_000
_WITHOUT_OUTPUTS = ("ASSIGN_VARIABLE", "CALL_ONCE")
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def imports(*codes: str) -> Callable[[Rule], Rule]:
    """Register the rule of these operators: it reads the operator's inputs and puts its outputs."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(codes, rule))
        return rule

    return register


def folds(*codes: str) -> Callable[[Fold], Fold]:
    """Register how these operators are computed at import; None where they cannot be."""

    def register(fold: Fold) -> Fold:
        FOLDS.update(dict.fromkeys(codes, fold))
        return fold

    return register


class Import:
    """State of one import. `known` holds the contents of tensors that are known now; `b` builds the graph."""

    def __init__(self, source: str, subgraphs: tuple[Subgraph, ...], b: Builder, bytes_of_file: int) -> None:
        self.source = source
        self.budget = MOST_BYTES + 8 * bytes_of_file  # that arrays made here may still take
        self.subgraphs = subgraphs
        self.subgraph = subgraphs[0]
        self.b = b
        self.known: dict[int, np.ndarray] = {t.index: t.data for t in self.subgraph.tensors if t.data is not None}
        self.states: dict[str, Value] = {}  # a resource's name -> its state
        self.variables: dict[str, Value] = {}  # a resource's name -> what it holds at this point of the step
        self.handles: dict[int, str] = {}  # a handle's tensor -> the resource's name
        self.initial: dict[str, np.ndarray] = {}  # what CALL_ONCE wrote
        self._made: dict[int, Value] = {}
        self._first: dict[int, Value] = {}

    # --- the file's side

    def tensor(self, op: Operator, place: int) -> Tensor:
        """An operator's input. Raises UserError where it is left out."""
        found = self.optional(op, place)
        if found is None:
            self.refuse(op, f"input {place} is missing")
        return found

    def optional(self, op: Operator, place: int) -> Tensor | None:
        """An operator's input, or None where it is left out."""
        index = op.inputs[place] if place < len(op.inputs) else -1
        return self.subgraph.tensors[index] if index >= 0 else None

    def result(self, op: Operator, place: int = 0) -> Tensor:
        """An operator's output."""
        if place >= len(op.outputs):
            self.refuse(op, f"output {place} is missing")
        return self.subgraph.tensors[op.outputs[place]]

    def array(self, op: Operator, place: int) -> np.ndarray:
        """The contents of an input. Raises UserError where they are computed only when the network runs."""
        tensor = self.tensor(op, place)
        if tensor.index not in self.known:
            self.refuse(op, f"input {place} ({label(tensor)}) must be a constant")
        return self.known[tensor.index]

    def ints(self, op: Operator, place: int, count: int | None = None) -> tuple[int, ...]:
        """The contents of an input as `count` integers. Raises UserError where they are none."""
        array = self.array(op, place)
        if array.dtype.kind not in "iu" or (count is not None and array.size != count):
            wanted = "integers" if count is None else "one integer" if count == 1 else f"{count} integers"
            self.refuse(op, f"input {place} is {array.dtype}{list(array.shape)}, not {wanted}")
        return tuple(array.reshape(-1).tolist())

    def refuse(self, op: Operator, why: str) -> NoReturn:
        """Say what cannot be taken, in one line."""
        where = label(self.subgraph.tensors[op.outputs[0]]) if op.outputs else f"operator {op.place}"
        raise UserError(f"{self.source}: {op.code} ({where}): {why}")

    def afford(self, op: Operator | None, size: int) -> None:
        """Take bytes from the budget. A file may use its constants many times over, each time as new numbers."""
        if size > self.budget:
            where = f"{op.code} ({op.place}): " if op is not None else ""
            raise UserError(f"{self.source}: {where}what is computed from its constants takes too much memory")
        self.budget -= size

    # --- quantisation

    def integer(self, tensor: Tensor) -> bool:
        """Whether a tensor is a quantised activation of 8 bits."""
        return tensor.dtype in ("int8", "uint8") and tensor.quantised

    def quant(self, op: Operator, tensor: Tensor) -> Quant:
        """The per-tensor quantisation of the int8 (int16, int32) value that stands for a tensor."""
        if tensor.dtype not in DTYPES or DTYPES[tensor.dtype].kind not in "iu":
            self.refuse(op, f"{label(tensor)} is {tensor.dtype}, which is not quantised")
        scale, zero = quantisation(tensor)
        return Quant(scale, zero - 128 if tensor.dtype == "uint8" else zero)

    def need_int8(self, op: Operator, *tensors: Tensor) -> None:
        """Refuse what the 8-bit kernels do not take, such as int16 activations."""
        for tensor in tensors:
            if not self.integer(tensor):
                self.refuse(op, f"{label(tensor)} is {tensor.dtype}: only int8 and uint8 activations, or all float32")

    def clamp(self, op: Operator, out: Quant) -> dict[str, int]:
        """`low` and `high` of the fused activation on integers (TFLite `CalculateActivationRangeQuantized`)."""
        kind = self.activation(op)
        if kind not in CLAMPS:
            self.refuse(op, f"a fused {kind} has no integer form")
        low, high = clamped(out, *CLAMPS[kind])
        return {"low": low, "high": high}

    def activation(self, op: Operator) -> str:
        """The name of the fused activation."""
        code = int(op.options.get("activation", 0))
        if not 0 <= code < len(ACTIVATIONS):
            self.refuse(op, f"unknown fused activation {code}")
        return ACTIVATIONS[code]

    def wanted(self, op: Operator, option: str, default: str) -> str:
        """The element type that an option names; `default` where it names none."""
        code = int(op.options[option])
        if not 0 <= code < len(TENSOR_TYPES) or (code and TENSOR_TYPES[code] not in DTYPES):
            self.refuse(op, f"results of element type {code} are not supported")
        return TENSOR_TYPES[code] if code else default

    # --- our side

    def value(self, op: Operator, place: int) -> Value:
        """The value of an input in the file's own layout."""
        return self._value(op, self.tensor(op, place))

    def _value(self, op: Operator, tensor: Tensor) -> Value:
        index = tensor.index
        if index in self._made:
            return self._made[index]
        if index in self._first:
            made = self._made[index] = self._turn(self._first[index], TO_LAST, f"{label(tensor)}.nhwc")
            return made
        if index in self.known:
            made = self._made[index] = self._constant(op, tensor)
            return made
        self.refuse(op, f"{label(tensor)} is read before anything makes it")

    def first(self, op: Operator, place: int) -> Value:
        """The value of a rank-4 float input, channels first."""
        tensor = self.tensor(op, place)
        if tensor.index not in self._first:
            made = self._turn(self._value(op, tensor), TO_FIRST, f"{label(tensor)}.nchw")
            self._first[tensor.index] = made
        return self._first[tensor.index]

    def is_first(self, op: Operator, place: int) -> bool:
        """Whether an input exists channels first only."""
        tensor = self.tensor(op, place)
        return tensor.index in self._first and tensor.index not in self._made

    def put(self, op: Operator, value: Value, place: int = 0) -> None:
        """Record the result of an operator, in the file's layout."""
        self._made[self.result(op, place).index] = value

    def put_first(self, op: Operator, value: Value, place: int = 0) -> None:
        """Record a rank-4 float result that is channels first."""
        self._first[self.result(op, place).index] = value

    def name(self, op: Operator, place: int = 0) -> str:
        """What the node of an operator is called."""
        return label(self.result(op, place))

    def weight(self, tensor: Tensor, array: np.ndarray) -> Value:
        """A tensor of the file, perhaps turned, as a parameter."""
        return self.parameter(label(tensor), array)

    def parameter(self, name: str, array: np.ndarray) -> Value:
        """A parameter with contents; floats are trainable."""
        data = np.ascontiguousarray(array)
        self.afford(None, data.nbytes)
        made = self.b.param(name, data.shape, dtype=str(data.dtype), init=None, trainable=data.dtype.kind == "f")
        self.b.store[made.name] = data
        return made

    def _constant(self, op: Operator, tensor: Tensor) -> Value:
        array = self.known[tensor.index]
        self.afford(op, array.nbytes)
        if not self.integer(tensor):
            return self.b.constant(array.astype(array.dtype.newbyteorder("=")), label(tensor))
        if tensor.dtype == "uint8":
            array = (array ^ np.uint8(0x80)).view(np.int8)
        return self.b.constant(array, label(tensor), quant=self.quant(op, tensor))

    def _turn(self, value: Value, permutation: tuple[int, ...], name: str) -> Value:
        shape = tuple(value.shape[i] for i in permutation)
        if [n for n in shape if n != 1] == [n for n in value.shape if n != 1]:
            return self.b(Reshape((0, *shape[1:])), value, name=name) if shape != value.shape else value
        return self.b(Transpose(permutation), value, name=name)

    # --- the ends

    def take_input(self, tensor: Tensor, type: Type) -> None:
        """Make a graph input; a uint8 one is turned to int8 at once."""
        made = self.b.input(label(tensor), type)
        if type.dtype == "uint8" and type.quant is not None:
            made = self.b(QFlip(), made, name=f"{label(tensor)}.int8")
        self._made[tensor.index] = made

    def give_output(self, tensor: Tensor) -> None:
        """Declare a graph output in the file's layout and element type."""
        end = Operator(-1, "output", (tensor.index,), (tensor.index,), (), {})
        made = self._value(end, tensor)
        if tensor.dtype == "uint8" and made.dtype == "int8":
            made = self.b(QFlip(), made, name=f"{label(tensor)}.uint8")
        self.b.output(made)

    # --- one operator

    def run(self, op: Operator) -> None:
        """Compute an operator now where its inputs are known, else build it."""
        if not op.outputs and op.code not in _WITHOUT_OUTPUTS:
            self.refuse(op, "it has no outputs")
        fold = FOLDS.get(op.code) if op.inputs else None
        if fold is not None and len(op.outputs) == 1:
            arrays = [self.known.get(i) if i >= 0 else None for i in op.inputs]
            if op.code == "SHAPE" or all(a is not None for a, i in zip(arrays, op.inputs) if i >= 0):
                made = fold(self, op, arrays)
                if made is not None:
                    if made.base is None:
                        self.afford(op, made.nbytes)
                    self.known[op.outputs[0]] = np.asarray(made)
                    return
        rule = RULES.get(op.code)
        if rule is None:
            self.refuse(op, "this operator is not supported")
        rule(self, op)
        if len(self.b._nodes) > MOST_NODES:
            self.refuse(op, f"the network has over {MOST_NODES:,} nodes once sequences are unrolled")

    def shape_of(self, index: int) -> tuple[int, ...]:
        """The shape of a tensor as far as the graph knows it better than the file, in the file's layout."""
        if index in self._made:
            return self._made[index].shape
        if index in self._first:
            return tuple(self._first[index].shape[i] for i in TO_LAST)
        return self.known[index].shape if index in self.known else self.subgraph.tensors[index].shape


def clamped(out: Quant, low: float | None, high: float | None) -> tuple[int, int]:
    """Bounds in reals (None: none) as the int8 that stand for them."""

    def steps(real: float) -> int:
        with np.errstate(over="ignore"):
            size = np.clip(np.float32(real) / np.float32(out.scale), -512, 512)  # further away it saturates anyhow
        return out.zero + int(np.floor(np.abs(size) + np.float32(0.5)) * np.sign(size))

    return (
        max(-128, min(127, steps(low))) if low is not None else -128,
        max(-128, min(127, steps(high))) if high is not None else 127,
    )


def label(tensor: Tensor) -> str:
    """A tensor's name, cut where converters join several, fit to be printed."""
    return printable(tensor.name.split(";")[0][:80]) or f"tensor_{tensor.index}"


def fits(shape: Any) -> bool:
    """Whether an array of this shape may be made at import."""
    size = 1
    for n in shape:
        if n < 0:
            return False
        size *= int(n)
    return size <= LARGEST >> 6


def bound(tensor: Tensor, source: str, shapes: Mapping[str, Any]) -> tuple[int, ...]:
    """An input's shape: given, or the file's with an open leading dimension bound to 1."""
    given = shapes.get(tensor.name)
    if given is not None:
        given = (given,) if isinstance(given, int | np.integer) else tuple(given)
        if min(given, default=1) < 1 or len(given) != len(tensor.shape) or any(
            int(g) != d for i, (g, d) in enumerate(zip(given, tensor.shape)) if i not in tensor.unknown
        ):
            raise UserError(f"{source}: input {tensor.name!r} is {list(tensor.shape)}, {list(given)} was given")
        return tuple(int(g) for g in given)
    open_axes = [i for i in tensor.unknown if i]
    if open_axes:
        known = ["?" if i in open_axes else str(d) for i, d in enumerate(tensor.shape)]
        raise UserError(
            f"{source}: input {tensor.name!r} leaves the size of axis {open_axes[0]} open; bind it by giving the whole "
            f"shape: --shape '{tensor.name}={','.join(known)}'"
        )
    return tensor.shape


def input_type(tensor: Tensor, shape: tuple[int, ...]) -> Type:
    """The type of a graph input as the file has it. Raises ValueError for numbers that are no quantisation."""
    if math.prod(shape) > LARGEST:
        raise ValueError(f"input {tensor.name!r} of shape {list(shape)} has over {LARGEST:,} elements")
    if tensor.dtype in ("int8", "uint8", "int16") and tensor.quantised and tensor.scales is not None:
        return Type(shape, tensor.dtype, quantisation(tensor))
    return Type(shape, tensor.dtype)


def quantisation(tensor: Tensor) -> Quant:
    """The one scale and zero point of a tensor, as the file has them. Raises ValueError where they are none."""
    if tensor.scales is None or len(tensor.scales) != 1:
        raise ValueError(f"{label(tensor)} has {0 if tensor.scales is None else len(tensor.scales)} scales, not one")
    zero = int(tensor.zeros[0]) if tensor.zeros is not None and len(tensor.zeros) else 0
    scale = float(tensor.scales[0])
    if not (0 < scale < float("inf")):
        raise ValueError(f"{label(tensor)} has scale {scale}")
    info = np.iinfo(tensor.dtype)
    if not info.min <= zero <= info.max:
        raise ValueError(f"{label(tensor)} has zero point {zero}")
    return Quant(scale, zero)
