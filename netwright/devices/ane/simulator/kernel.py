"""The host that keeps every rule: one program, allocated, bound, run and updated as the engine wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from netwright.errors import UserError

from ..engines import Engine
from ..execute import prepare
from ..files import TEXT
from ..lower import Lowered, Port, Weight
from ..mil import BlobFile, Program, Variable, parse, to_text
from ..passes.uniform import allocation
from ..weights import FP16_MAX, MODEL_PATH, Written, to_bytes
from ..weights import write as write_weights
from .machine import OK, put
from .surface import Surface

TOLERANCE = 0.01  # of the largest output: how far an engine that is not exact may be from the executor


def weight_files(weights: Sequence[Weight]) -> dict[str, bytes]:
    """Path below `@model_path` -> contents, of the constants of a lowered program."""
    return {path: contents(several)[0] for path, several in by_file(weights).items()}


def contents(several: Sequence[Weight]) -> tuple[bytes, Written]:
    """What is in the file that these constants share, and what was clamped on the way."""
    data, made = to_bytes([w.read() for w in several])
    assert made.offsets == tuple(w.blob.offset for w in several)
    return data, made


def by_file(weights: Sequence[Weight]) -> dict[str, list[Weight]]:
    """Path below `@model_path` -> the constants in that file, in its order."""
    files: dict[str, list[Weight]] = {}
    for weight in weights:
        files.setdefault(weight.blob.path.removeprefix(MODEL_PATH), []).append(weight)
    return files


def written(weights: Sequence[Weight], folder: Path) -> list[str]:
    """Writes the weight files into a folder; their paths below it. Raises UserError when they cannot be written."""
    files = by_file(weights)
    for path, several in files.items():
        made = write_weights(folder / path, [w.read() for w in several])
        assert made.offsets == tuple(w.blob.offset for w in several)
    return list(files)


def named_files(program: Program) -> list[str]:
    """Paths below `@model_path` of the weight files that a program refers to. Raises UserError for one elsewhere."""
    found: dict[str, None] = {}
    for function in program.functions:
        for statement in function.statements:
            for _, value in statement.attributes:
                if isinstance(value, BlobFile):
                    inside = PurePosixPath(value.path.removeprefix(MODEL_PATH))
                    if not value.path.startswith(MODEL_PATH) or inside.is_absolute() or ".." in inside.parts:
                        raise UserError(f"{value.path!r} is no weight file of a program")
                    found[str(inside)] = None
    return list(found)


class Kernel:
    """A program on an engine, simulated or not, with the ports that say how a Graph's arrays go in and out.

    Attributes:
        updates: what each `update` came to: `reload`, or `recompile` where the probe saw the old weights.
        latency_ms_modelled: of the last call.
        clamped: elements beyond +-65504 that were clamped on the way in or out so far, and `nans`, which became 0;
            the simulator's log has a line for every call that had some (R20).
    """

    def __init__(
        self, simulator: Engine, text: bytes, weights: Mapping[str, bytes | Path], inputs: Sequence[Port],
        outputs: Sequence[Port],
    ) -> None:
        self.simulator, self.inputs, self.outputs = simulator, tuple(inputs), tuple(outputs)
        self.updates: list[str] = []
        self.clamped = self.nans = 0
        self.latency_ms_modelled = 0.0
        self.program = parse(text, TEXT)
        self._text = text
        self._handle = self._compiled(weights)
        function = self.program.function()
        types = function.types()
        self._inputs = sorted(function.inputs, key=lambda v: v.name)  # R13
        self._outputs = sorted(function.outputs)  # R3
        self._check_ports({v.name for v in function.inputs}, set(function.outputs))
        size_in = allocation(self._inputs)  # R12, R4
        size_out = allocation(Variable(o, types[o]) for o in self._outputs)  # R2, R4
        self._in = {v.name: Surface(size_in) for v in self._inputs}
        self._out = {name: Surface(size_out) for name in self._outputs}
        self._seen = b""  # the probe's outputs with the weights that are loaded

    @classmethod
    def of(cls, simulator: Engine, lowered: Lowered) -> Kernel:
        """The kernel of a program that was just lowered."""
        text = to_text(lowered.program).encode()
        return cls(simulator, text, weight_files(lowered.weights), lowered.inputs, lowered.outputs)

    @classmethod
    def read(cls, simulator: Engine, folder: Path, inputs: Sequence[Port], outputs: Sequence[Port]) -> Kernel:
        """The kernel of the text and weight files in a folder. Raises UserError, naming the file."""
        try:
            text = (folder / TEXT).read_bytes()
        except OSError as error:
            raise UserError(f"{folder / TEXT}: {error.strerror or error}") from None
        paths = named_files(parse(text, str(folder / TEXT)))
        missing = next((folder / p for p in paths if not (folder / p).is_file()), None)
        if missing is not None:
            raise UserError(f"{missing}: no such weight file")
        return cls(simulator, text, {p: folder / p for p in paths}, inputs, outputs)

    def run(self, *arrays: Any) -> tuple[np.ndarray, ...]:
        """The Graph's inputs, in its order and layout, to its outputs, as float32 [graph shape].

        Raises UserError for another number or shape of inputs, and for a status that is not OK.
        """
        if len(arrays) != len(self.inputs):
            raise UserError(f"the program takes {len(self.inputs)} inputs, given: {len(arrays)}")
        for port, array in zip(self.inputs, arrays):
            given = np.asarray(array)
            if given.shape != port.graph.shape:
                raise UserError(f"input {port.name} is {list(port.graph.shape)}, given {list(given.shape)}")
            guarded = self._guarded(port.name, np.asarray(given, np.float32))
            self._in[port.variable].write(port.inwards(guarded), port.type.dtype)  # packed: R14
        before = self.simulator.elapsed_ms
        status = self.simulator.evaluate(
            self._handle, [self._in[v.name] for v in self._inputs], [self._out[n] for n in self._outputs])
        self.latency_ms_modelled = self.simulator.elapsed_ms - before
        if status != OK:
            raise UserError(f"the engine refuses the surfaces (status 0x{status:x}): {self.simulator.log[-1:]}")
        return tuple(
            self._guarded(port.name, port.outwards(self._out[port.variable].read(port.type)).astype(np.float32))
            for port in self.outputs
        )

    def update(self, weights: Mapping[str, bytes | Path], prove: bool = True) -> str:
        """New weight files: reload, prove by a probe that they are used, else compile again. Without `prove`, reload.

        The probe is one fixed input of random numbers. Outputs that changed prove that the old weights are gone; where
        none did, the outputs have to be those of a program made anew with the new weights: to the bit on an engine that
        is exact, within 1 % elsewhere. Returns `reload` or `recompile`. Raises UserError where the compile budget is
        spent.
        """
        before = (self._seen or self._probe()) if prove else b""
        self.simulator.reload(self._handle, weights)
        self._seen = self._probe() if prove else b""
        done = "reload"
        if prove and self._seen == before and not self._proved(weights):
            self.simulator.log.append("the probe saw the old weights after a reload: compiled again")
            self.simulator.delete(self._handle)
            self._handle = self._compiled(weights)
            self._seen = self._probe()
            done = "recompile"
            if not self._proved(weights):
                raise UserError("the new weights are not used, even after compiling again")
        self.updates.append(done)
        return done

    def update_from(self, lowered: Lowered) -> str:
        """The same with the weights of a program lowered anew. Raises UserError where it is another program."""
        if to_text(lowered.program).encode() != self._text:
            raise UserError("another program: only weights can be updated")
        return self.update(weight_files(lowered.weights))

    def close(self) -> None:
        """Unloads the program and removes what it has on disk."""
        self.simulator.delete(self._handle)

    def _guarded(self, name: str, array: np.ndarray) -> np.ndarray:
        """What fp16 can hold (section 9): clamped to +-65504, NaN as 0, both counted; mostly the array itself."""
        with np.errstate(invalid="ignore"):
            if np.abs(array).max(initial=0) <= FP16_MAX:  # false where there is a NaN
                return array
        nans = int(np.isnan(array).sum())
        beyond = int((np.abs(array) > FP16_MAX).sum())
        self.clamped, self.nans = self.clamped + beyond, self.nans + nans
        self.simulator.log.append(f"R20: {name}: {beyond} values clamped to +-65504, {nans} NaN set to 0")
        return np.clip(np.nan_to_num(array, nan=0.0, posinf=FP16_MAX, neginf=-FP16_MAX), -FP16_MAX, FP16_MAX)

    def _check_ports(self, inputs: set[str], outputs: set[str]) -> None:
        if {p.variable for p in self.inputs} != inputs or not {p.variable for p in self.outputs} <= outputs:
            raise UserError("the program has other inputs and outputs than its manifest says")

    def _compiled(self, weights: Mapping[str, bytes | Path]) -> Any:
        handle = self.simulator.compile(self._text, weights)
        self.simulator.load(handle)
        return handle

    def _random(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(p.graph.shape).astype(np.float32) for p in self.inputs]

    def _probe(self) -> bytes:
        return b"".join(y.tobytes() for y in self.run(*self._random()))

    def _proved(self, weights: Mapping[str, bytes | Path]) -> bool:
        arrays = self._random()
        with TemporaryDirectory(prefix="netwright-ane-") as place:
            for path, data in weights.items():
                put(Path(place) / path, data)
            ready = prepare(self.program, place, self.simulator.profile.numerics)
            made = ready.run({p.variable: p.inwards(a) for p, a in zip(self.inputs, arrays)})
        arrays = [port.outwards(made[port.variable]).astype(np.float32) for port in self.outputs]
        wanted = b"".join(array.tobytes() for array in arrays)
        if self.simulator.exact:
            return wanted == self._seen
        want, seen = (np.frombuffer(data, np.float32) for data in (wanted, self._seen))
        return bool(np.abs(seen - want).max(initial=0) <= TOLERANCE * max(1.0, np.abs(want).max(initial=0)))


__all__ = ["Kernel", "named_files", "weight_files", "written"]
