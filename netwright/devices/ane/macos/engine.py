"""The engine's driver on macOS: the calls of the simulator, as messages to private classes. Not verified on hardware.

The order is that of Orion 2026, section 7:

describe (text bytes, weights) -> model, known by a hexadecimal name -> a folder of that name in the temporary one, with
`model.mil` and the weight files -> compile -> load -> request (surfaces, indices, procedure 0) -> evaluate -> unload ->
delete the folder.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from netwright.errors import UserError

from ..cost import latency_ms
from ..files import TEXT
from ..mil import Program, parse
from ..profile import AneProfile
from ..simulator.machine import OK, inside, put
from ..simulator.surface import Surface
from ..weights import MODEL_PATH
from .objc import Failure, Object, ObjectiveC

LABEL = "engine macos: not verified on hardware"
QUALITY = 21  # the quality-of-service class of every call
DESCRIPTOR, MODEL, REQUEST, SURFACE = (
    "_ANEInMemoryModelDescriptor", "_ANEInMemoryModel", "_ANERequest", "_ANEIOSurfaceObject"
)  # fmt: skip
DESCRIBE = "modelWithMILText:weights:optionsPlist:"
REQUESTED = "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:"

_number = count()


def distinct(text: bytes, weights: Mapping[str, Any], mark: str) -> tuple[bytes, dict[str, Any]]:
    """The program with its weight files in a folder `mark`.

    The engine knows a program by its text and the names of its weight files, and two layers may share both: each
    compile gets a mark of its own. Without weights the program is what it was.
    """
    moved = text.replace(f'"{MODEL_PATH}'.encode(), f'"{MODEL_PATH}{mark}/'.encode()) if weights else text
    return moved, {f"{mark}/{path}": data for path, data in weights.items()}


def weight_dictionary(weights: Mapping[str, bytes | Path]) -> dict[str, dict[str, int | bytes]]:
    """What the descriptor takes: path -> {offset: 0, data: the file}; empty, never null, without weights (R11)."""
    read = {path: data if isinstance(data, bytes) else data.read_bytes() for path, data in weights.items()}
    return {MODEL_PATH + path: {"offset": 0, "data": data} for path, data in read.items()}


def lay_out(folder: Path, text: bytes, weights: Mapping[str, bytes | Path]) -> None:
    """The files that the compiler reads: `model.mil` and the weights at their paths. Raises UserError for a path that
    leaves the folder."""
    for path, data in weights.items():
        put(folder / inside(path), data)
    put(folder / TEXT, text)


def bound(program: Program) -> tuple[list[str], list[str]]:
    """Names of inputs and outputs in the order of their surfaces: alphabetical (R13, R3)."""
    function = program.function()
    return sorted(v.name for v in function.inputs), sorted(function.outputs)


def surface_properties(size: int) -> dict[str, int]:
    """A flat surface of `size` bytes: as wide as it has bytes, one row. Raises ValueError for none."""
    if size < 1:
        raise ValueError(f"a surface of {size} bytes")
    return {
        "IOSurfaceWidth": size, "IOSurfaceHeight": 1, "IOSurfaceBytesPerElement": 1, "IOSurfaceBytesPerRow": size,
        "IOSurfaceAllocSize": size, "IOSurfacePixelFormat": 0,
    }  # fmt: skip


def status(failure: Failure | None) -> int:
    """The status of an evaluation, as the simulator gives it: 0x1d out of `status=0x1d: ...`, else the error's number.

    A failure without either is 1, as 0 is `OK`.
    """
    if failure is None:
        return OK
    found = re.search(r"status\s*=\s*(0x[0-9a-f]+)", failure.text, re.IGNORECASE)
    return (int(found[1], 16) if found else failure.code) or 1


@dataclass
class Handle:
    """A compiled program.

    Attributes:
        name: hexadecimal, of the model; its folder is called so.
        folder: of its text and weight files, which begin with `mark`.
        model: the object, retained.
        latency_ms: modelled, of one evaluation.
        requests: by the sizes of their surfaces: the request, surfaces of inputs and of outputs.
    """

    name: str
    folder: Path
    mark: str
    program: Program
    model: Object
    latency_ms: float
    loaded: bool = False
    requests: dict[tuple[tuple[int, ...], ...], tuple[Object, list[Object], list[Object]]] = field(default_factory=dict)


class Macos:
    """One process with the Mac's engine; the calls are those of `Simulator`. Not verified on hardware.

    Attributes:
        compiles: so far; more than the profile's budget are refused (R5).
        elapsed_ms: modelled by the profile, as the simulator's.
        measured_ms: of all evaluations so far, by the clock.
        log: one line for each thing that went wrong; the first says that none of this is verified.
        exact: no: its arithmetic is its own, near the executor's.
    """

    exact = False

    def __init__(
        self, profile: AneProfile, compiles: int = 0, *, runtime: Any = None, folder: Path | None = None
    ) -> None:
        """`runtime` makes the calls, `folder` stands for the temporary one. Raises UserError where no engine is."""
        self._runtime: Any = runtime if runtime is not None else ObjectiveC()
        self._folder = folder or Path(tempfile.gettempdir())
        self.profile, self.compiles = profile, compiles
        self.elapsed_ms = self.measured_ms = 0.0
        self.log = [LABEL]

    def compile(self, text: Any, weights: Any) -> Handle:
        """Text (bytes) and weights (path below `@model_path` -> bytes or a file) to a program, not loaded yet.

        Raises UserError for a text that is no bytes (R9) or no MIL, weights that are None (R11), a spent budget (R5),
        and a program that the compiler refuses.
        """
        if not isinstance(text, bytes) or weights is None:
            raise UserError("the engine takes text as bytes (R9) and weights as a dictionary, if an empty one (R11)")
        if self.compiles >= self.profile.compile_budget:
            raise UserError(f"R5: {self.compiles} programs are compiled, all that a process survives: start another")
        program = parse(text, TEXT)
        mark = f"p{os.getpid()}_{next(_number)}"
        text, own = distinct(text, weights, mark)
        self.compiles += 1
        send, value = self._runtime.send, self._runtime.value
        with self._runtime.pool():
            described = send(
                self._runtime.find(DESCRIPTOR), DESCRIBE, value(text), value(weight_dictionary(own)), None)
            model = described and send(self._runtime.find(MODEL), "inMemoryModelWithDescriptor:", described)
            identifier = model and send(model, "hexStringIdentifier")
            if not identifier:
                raise UserError("the engine takes no such program: `netwright mil lint` names what may be wrong")
            name = self._runtime.text(identifier)
            if re.fullmatch(r"[0-9A-Za-z_]+", name) is None:
                raise UserError(f"the engine calls the program {name!r}, which is no name of a folder")
            modelled = latency_ms(program.function(), self.profile)
            handle = Handle(name, self._folder / name, mark, program, self._runtime.retain(model), modelled)
            try:
                lay_out(handle.folder, text, own)
                refused = "the compiler refuses the program"
                self._attempt(refused, model, "compileWithQoS:options:error:", QUALITY, value({}))
            except BaseException:
                self._forget(handle)
                raise
        self.elapsed_ms += self.profile.latency.compile_ms
        return handle

    def load(self, handle: Handle) -> None:
        """Makes a compiled program ready to be evaluated. Raises UserError where the engine does not take it."""
        with self._runtime.pool():
            options = self._runtime.value({})
            self._attempt("the program cannot be loaded", handle.model, "loadWithQoS:options:error:", QUALITY, options)
        handle.loaded = True

    def unload(self, handle: Handle) -> None:
        """Takes it back; the compiled program stays."""
        if handle.loaded:
            handle.loaded = False
            with self._runtime.pool():
                self._attempt("the program cannot be unloaded", handle.model, "unloadWithQoS:error:", QUALITY)

    def delete(self, handle: Handle) -> None:
        """Unloads it, lets go of its objects and removes its folder."""
        try:
            self.unload(handle)
        finally:
            self._forget(handle)

    def reload(self, handle: Handle, weights: Mapping[str, bytes | Path]) -> None:
        """Unload, overwrite the weight files, load the same program (section 7, variant b); no compile is counted.

        Whether the new weights are used has to be proved by a probe (R7).
        """
        self.unload(handle)
        for path, data in weights.items():
            put(handle.folder / inside(f"{handle.mark}/{path}"), data)
        self.load(handle)
        self.elapsed_ms += self.profile.latency.reload_ms

    def evaluate(self, handle: Handle, inputs: Sequence[Surface], outputs: Sequence[Surface]) -> int:
        """One call: surface i is the i-th name in alphabetical order (R3, R13). Returns `OK`, or the engine's status.

        Raises UserError for a program that is not loaded, and for another number of surfaces than it has.
        """
        if not handle.loaded:
            raise UserError("the program is not loaded")
        names = bound(handle.program)
        if (len(names[0]), len(names[1])) != (len(inputs), len(outputs)):
            raise UserError(f"the program has {len(names[0])} inputs and {len(names[1])} outputs; "
                            f"given: {len(inputs)} and {len(outputs)} surfaces")
        request, ins, outs = self._request(handle, inputs, outputs)
        for ours, theirs in zip(inputs, ins):
            self._copy(theirs, ours, read=False)
        with self._runtime.pool():
            options = self._runtime.value({})
            start = time.perf_counter()
            failure = self._runtime.attempt(
                handle.model, "evaluateWithQoS:options:request:error:", QUALITY, options, request)
            self.measured_ms += (time.perf_counter() - start) * 1e3
        self.elapsed_ms += handle.latency_ms
        if failure is not None:
            self.log.append(f"evaluation of {handle.name}: {failure.code} {failure.text}".rstrip())
            return status(failure)
        for ours, theirs in zip(outputs, outs):
            self._copy(theirs, ours, read=True)
        return OK

    def _request(
        self, handle: Handle, inputs: Sequence[Surface], outputs: Sequence[Surface]
    ) -> tuple[Object, list[Object], list[Object]]:
        sizes = tuple(tuple(s.size for s in side) for side in (inputs, outputs))
        if sizes not in handle.requests:
            runtime = self._runtime
            ins, outs = ([runtime.surface(surface_properties(size)) for size in side] for side in sizes)
            with runtime.pool():
                arguments: list[Object] = []
                for side in (ins, outs):
                    kind = runtime.find(SURFACE)
                    wrapped = [runtime.send(kind, "objectWithIOSurface:", surface) for surface in side]
                    arguments += [runtime.value(wrapped), runtime.value(list(range(len(side))))]
                made = runtime.send(runtime.find(REQUEST), REQUESTED, *arguments, None, None, runtime.value(0))
                if made is None:
                    for held in (*ins, *outs):
                        runtime.release(held)
                    raise UserError("the engine makes no request of these surfaces")
                handle.requests[sizes] = (runtime.retain(made), ins, outs)
        return handle.requests[sizes]

    def _copy(self, theirs: Object, ours: Surface, read: bool) -> None:
        """Between a surface of the host and one of the engine: lock, copy, unlock."""
        address, own = self._runtime.lock(theirs, read), ours.bytes.ctypes.data
        try:
            target, source = (own, address) if read else (address, own)
            ctypes.memmove(target, source, ours.size)
        finally:
            self._runtime.unlock(theirs, read)

    def _attempt(self, what: str, receiver: Object, selector: str, *arguments: int) -> None:
        failure = self._runtime.attempt(receiver, selector, *arguments)
        if failure is not None:
            said = failure.text or "it says nothing; `netwright mil lint` names what may be wrong"
            raise UserError(f"{what} ({failure.code}): {said}")

    def _forget(self, handle: Handle) -> None:
        for request, ins, outs in handle.requests.values():
            for held in (request, *ins, *outs):
                self._runtime.release(held)
        handle.requests.clear()
        self._runtime.release(handle.model)
        shutil.rmtree(handle.folder, ignore_errors=True)
