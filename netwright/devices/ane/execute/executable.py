"""A program prepared for execution: names resolved, types checked, constants read once, then run many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError, nearest

from ..mil.program import (
    DTYPES,
    BlobFile,
    Constant,
    Dictionary,
    Function,
    Program,
    Statement,
    TensorType,
    Value,
    Variable,
)
from ..weights import WeightFiles
from . import ops  # noqa: F401  enters every op
from .call import Call, Kernel, Run
from .numerics import Numerics
from .registry import OPS

LIMIT_BYTES = 4 << 30


@dataclass(frozen=True)
class _Step:
    statement: Statement
    run: Run
    operands: tuple[int, ...]
    results: tuple[int, ...]
    last: tuple[int, ...]  # places that nothing reads any more after this step


class Executable:
    """A function of a program with its constants, ready to run.

    Attributes:
        inputs, outputs: names and types, in the order of the program's text.
    """

    def __init__(self, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...], steps: list[_Step],
                 start: list[Any], places: Mapping[str, int]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._steps, self._start, self._places = steps, start, places

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Name -> array of every output, in its own element type. Inputs are converted to theirs.

        Raises UserError for a missing or unknown input, one of another shape, and an index out of range.
        """
        if set(inputs) != {v.name for v in self.inputs}:
            wanted = ", ".join(f"{v.name}: {v.type}" for v in self.inputs)
            raise UserError(f"the program takes ({wanted}), given: {', '.join(map(str, inputs)) or 'nothing'}")
        values = self._start.copy()
        with np.errstate(all="ignore"):
            for variable in self.inputs:
                values[self._places[variable.name]] = _entered(variable, inputs[variable.name])
            for step in self._steps:
                self._run_step(step, values)
            return {v.name: _left(values[self._places[v.name]], v.type) for v in self.outputs}

    def _run_step(self, step: _Step, values: list[Any]) -> None:
        try:
            made = step.run(*[values[i] for i in step.operands])
        except (ValueError, IndexError, MemoryError, OverflowError) as error:
            raise UserError(f"{step.statement.name} = {step.statement.op}(...): {error}") from None
        if len(step.results) == 1:
            values[step.results[0]] = made
        else:
            for place, result in zip(step.results, made):
                values[place] = result
        for place in step.last:
            values[place] = None


def _entered(variable: Variable, given: Any) -> np.ndarray:
    array, type = np.asarray(given), variable.type
    if array.shape != type.shape or array.dtype.kind not in "fiub":
        raise UserError(f"input {variable.name} is {type}, given {array.dtype} {list(array.shape)}")
    return _held(array.astype(np.float16) if type.dtype == "fp16" else array, type)


def _held(array: np.ndarray, type: TensorType) -> np.ndarray:
    """As values are held while running: fp16 and fp32 as float32."""
    dtype = DTYPES[type.dtype]
    return np.ascontiguousarray(array, np.float32 if type.dtype == "fp16" else dtype).reshape(type.shape)


def _left(array: np.ndarray, type: TensorType) -> np.ndarray:
    """As values are given out: in their own element type, and no view of what is inside."""
    return np.array(array, DTYPES[type.dtype], order="C").reshape(type.shape)


def prepare(
    program: Program, folder: str | Path = ".", numerics: Numerics | None = None, function: str = "main"
) -> Executable:
    """The function of a program, ready to run; `folder` is where `@model_path` points.

    Raises UserError, naming the statement, for an undefined name, one defined twice, an op or an argument that is not
    known, a declared type that is not what the arguments make, and a weight file that is damaged.
    """
    try:
        chosen = program.function(function)
    except KeyError:
        raise UserError(f"no function is called {function!r}"
                        f"{nearest(function, (f.name for f in program.functions))}") from None
    return _Preparation(chosen, Path(folder), numerics or Numerics()).executable()


def result_types(
    statement: Statement, types: Mapping[str, TensorType], constants: Mapping[str, Constant] | None = None
) -> tuple[TensorType, ...]:
    """The types of a statement's results, whatever it declares itself.

    `types` are those of the values it names, `constants` what is known of them. Raises UserError as `prepare` does.
    """
    known = {name: _constant(value) for name, value in (constants or {}).items()}
    return _kernel(Call(statement, types, known, _constant, Numerics())).types


def _kernel(call: Call) -> Kernel:
    op = call.statement.op
    if op not in OPS:
        raise UserError(f"{call.statement.name} = {op}(...): this op is not known{nearest(op, OPS)}")
    try:
        return OPS[op](call)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        call.fail(f"an argument is not of the kind that the op takes ({error})")


def _constant(value: Value) -> np.ndarray:
    """A constant of the text as it is held."""
    if not isinstance(value, Constant):
        raise UserError("expected a constant of the text")
    return value.numpy() if DTYPES[value.type.dtype] is None else _held(value.numpy(), value.type)


class _Constants(dict[str, Any]):
    """Constants by name. One out of a weight file stays where it is until somebody wants it as values are held."""

    def __init__(self, read: Callable[[Value], np.ndarray]) -> None:
        super().__init__()
        self._hold = read

    def __getitem__(self, name: str) -> np.ndarray:
        value = super().__getitem__(name)
        if isinstance(value, BlobFile):
            self[name] = value = self._hold(value)
        return value  # type: ignore[no-any-return]

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def file(self, name: str) -> BlobFile | None:
        """Where the constant is, if nobody wanted it as values are held yet."""
        value = super().get(name)
        return value if isinstance(value, BlobFile) else None


class _Preparation:
    """Walks the statements once, in order."""

    def __init__(self, function: Function, folder: Path, numerics: Numerics) -> None:
        self._function, self._files, self._numerics = function, WeightFiles(folder), numerics
        self._types: dict[str, TensorType] = {}
        self._known = _Constants(self._read)  # constants, and what follows from constants alone
        self._places: dict[str, int] = {}
        self._start: list[Any] = []

    def executable(self) -> Executable:
        for variable in self._function.inputs:
            if DTYPES[variable.type.dtype] is None:
                raise UserError(f"input {variable.name}: strings are no inputs")
            self._define(variable)
        steps = [step for statement in self._function.statements if (step := self._step(statement)) is not None]
        for name in self._function.outputs:
            if name not in self._types:
                raise UserError(f"the output {name!r} is no value of the function {self._function.name}")
        outputs = tuple(Variable(name, self._types[name]) for name in self._function.outputs)
        used = {i for step in steps for i in step.operands} | {self._places[v.name] for v in outputs}
        for name in self._known:
            if self._places[name] in used:
                self._start[self._places[name]] = self._known[name]
        steps = self._with_last_uses(steps, {self._places[v.name] for v in outputs})
        return Executable(self._function.inputs, outputs, steps, self._start, self._places)

    def _define(self, variable: Variable) -> int:
        if variable.name in self._types:
            raise UserError(f"{variable.name!r} is defined twice")
        if variable.type.bytes > LIMIT_BYTES:
            raise UserError(f"{variable.name}: {variable.type} has {variable.type.bytes} bytes, "
                            f"more than the {LIMIT_BYTES} that a value may have")
        self._types[variable.name] = variable.type
        self._places[variable.name] = len(self._start)
        self._start.append(None)
        return self._places[variable.name]

    def _step(self, statement: Statement) -> _Step | None:
        if statement.op == "const":
            self._const(statement)
            return None
        call = Call(statement, self._types, self._known, self._read, self._numerics, self._halves)
        kernel = _kernel(call)
        declared = tuple(v.type for v in statement.results)
        if kernel.types != declared:
            made, said = (", ".join(map(str, types)) for types in (kernel.types, declared))
            call.fail(f"its arguments make {made}, the program says {said}")
        run = self._rounding(kernel)
        constants = [self._known.get(o) if isinstance(o, str) else self._read(o) for o in call.operands]
        results = tuple(self._define(v) for v in statement.results)
        if all(c is not None for c in constants):
            self._fold(statement, run, constants)
            return None
        operands = tuple(self._place(o) for o in call.operands)
        return _Step(statement, run, operands, results, ())

    def _const(self, statement: Statement) -> None:
        value = statement.attribute("val") or next((a for n, a in statement.args if n == "val"), None)
        if not isinstance(value, (Constant, BlobFile)) or len(statement.results) != 1:
            raise UserError(f"{statement.name} = const(...): expected one result and val=, a value")
        if value.type != statement.results[0].type:
            raise UserError(f"{statement.name} = const(...): val is {value.type}, the program says "
                            f"{statement.results[0].type}")
        self._define(statement.results[0])
        if isinstance(value, BlobFile):
            self._files.read(value)  # damage is said here, and by this name
            self._known[statement.name] = value
        else:
            self._known[statement.name] = self._read(value)

    def _halves(self, argument: Any) -> np.ndarray | None:
        """A constant fp16 argument as its weight file has it."""
        blob = self._known.file(argument) if isinstance(argument, str) else argument
        if not isinstance(blob, BlobFile) or blob.type.dtype != "fp16" or self._numerics.flush_subnormals:
            return None
        return self._files.read(blob)

    def _fold(self, statement: Statement, run: Run, constants: list[Any]) -> None:
        with np.errstate(all="ignore"):
            try:
                made = run(*constants)
            except (ValueError, IndexError, MemoryError, OverflowError) as error:
                raise UserError(f"{statement.name} = {statement.op}(...): {error}") from None
        self._known.update(zip((v.name for v in statement.results), (made,) if len(statement.results) == 1 else made))

    def _place(self, operand: str | Value) -> int:
        if isinstance(operand, str):
            return self._places[operand]
        self._start.append(self._read(operand))
        return len(self._start) - 1

    def _read(self, value: Value) -> np.ndarray:
        """A constant as it is held; float32 for fp16."""
        if isinstance(value, Dictionary):
            raise UserError("a dictionary is no operand")
        held = _held(self._files.read(value), value.type) if isinstance(value, BlobFile) else _constant(value)
        flush = self._numerics.flush_subnormals and value.type.dtype == "fp16"
        return self._numerics.rounded(held.copy()) if flush else held

    def _rounding(self, kernel: Kernel) -> Run:
        run, rounded = kernel.run, self._numerics.rounded
        if kernel.exact or all(t.dtype != "fp16" for t in kernel.types):
            return run
        if len(kernel.types) == 1:
            return lambda *arrays: rounded(run(*arrays))
        return lambda *arrays: tuple(rounded(made) for made in run(*arrays))

    def _with_last_uses(self, steps: list[_Step], kept: set[int]) -> list[_Step]:
        """Values are let go after their last use, so that a run holds no more than it must."""
        kept = kept | {i for i, value in enumerate(self._start) if value is not None}
        done: list[_Step] = []
        for step in reversed(steps):
            last = tuple(i for i in dict.fromkeys((*step.operands, *step.results)) if i not in kept)
            kept |= set(last)
            done.append(_Step(step.statement, step.run, step.operands, step.results, last))
        return done[::-1]
