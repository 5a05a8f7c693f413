"""The host that keeps every rule: one program, allocated, bound, run and updated as the engine wants it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from netwright.errors import UserError

from ..execute import prepare
from ..lower import Lowered, Weight
from ..mil import Variable, to_text
from ..passes.uniform import allocation
from ..weights import MODEL_PATH
from ..weights import write as write_weights
from .machine import OK, Handle, Simulator
from .surface import Surface


def weight_files(weights: Sequence[Weight]) -> dict[str, bytes]:
    """Path below `@model_path` -> contents, of the constants of a lowered program."""
    with TemporaryDirectory(prefix="netwright-ane-") as place:
        return {path: (Path(place) / path).read_bytes() for path in written(weights, Path(place))}


def written(weights: Sequence[Weight], folder: Path) -> list[str]:
    """Writes the weight files into a folder; their paths below it. Raises UserError when they cannot be written."""
    files: dict[str, list[Weight]] = {}
    for weight in weights:
        files.setdefault(weight.blob.path.removeprefix(MODEL_PATH), []).append(weight)
    for path, several in files.items():
        made = write_weights(folder / path, [w.read() for w in several])
        assert made.offsets == tuple(w.blob.offset for w in several)
    return list(files)


class Kernel:
    """A lowered program on a simulator.

    Attributes:
        updates: what each `update` came to: `reload`, or `recompile` where the probe saw the old weights.
        latency_ms_modelled: of the last call.
    """

    def __init__(self, simulator: Simulator, lowered: Lowered) -> None:
        self.simulator, self.lowered = simulator, lowered
        self.updates: list[str] = []
        self.latency_ms_modelled = 0.0
        self._text = to_text(lowered.program).encode()
        self._handle = self._compiled(weight_files(lowered.weights))
        function = lowered.program.function()
        types = function.types()
        self._inputs = sorted(function.inputs, key=lambda v: v.name)  # R13
        self._outputs = sorted(function.outputs)  # R3
        size_in = allocation(self._inputs)  # R12, R4
        size_out = allocation(Variable(o, types[o]) for o in self._outputs)  # R2, R4
        self._in = {v.name: Surface(size_in) for v in self._inputs}
        self._out = {name: Surface(size_out) for name in self._outputs}

    def run(self, *arrays: Any) -> tuple[np.ndarray, ...]:
        """The Graph's inputs, in its order and layout, to its outputs, as float32 [graph shape].

        Raises UserError for another number or shape of inputs, and for a status that is not OK.
        """
        ports = self.lowered.inputs
        if len(arrays) != len(ports):
            raise UserError(f"the program takes {len(ports)} inputs, given: {len(arrays)}")
        for port, array in zip(ports, arrays):
            given = np.asarray(array)
            if given.shape != port.graph.shape:
                raise UserError(f"input {port.name} is {list(port.graph.shape)}, given {list(given.shape)}")
            self._in[port.variable].write(port.inwards(given), port.type.dtype)  # packed: R14
        before = self.simulator.elapsed_ms
        status = self.simulator.evaluate(
            self._handle, [self._in[v.name] for v in self._inputs], [self._out[n] for n in self._outputs])
        self.latency_ms_modelled = self.simulator.elapsed_ms - before
        if status != OK:
            raise UserError(f"the engine refuses the surfaces (status 0x{status:x}): {self.simulator.log[-1:]}")
        return tuple(
            port.outwards(self._out[port.variable].read(port.type)).astype(np.float32) for port in self.lowered.outputs
        )

    def update(self, lowered: Lowered) -> str:
        """New weights of the same program: reload, prove by a probe that they are used, else compile again.

        The probe is an input of random numbers, whose outputs must be, to the bit, those of the new weights. Returns
        `reload` or `recompile`. Raises UserError for another program, and where the compile budget is spent.
        """
        if to_text(lowered.program).encode() != self._text:
            raise UserError("another program: only weights can be updated")
        files = weight_files(lowered.weights)
        self.lowered = lowered
        self.simulator.reload(self._handle, files)
        done = "reload"
        if not self._probe(files):
            self.simulator.log.append("the probe saw the old weights after a reload: compiled again")
            self.simulator.delete(self._handle)
            self._handle = self._compiled(files)
            done = "recompile"
            if not self._probe(files):
                raise UserError("the new weights are not used, even after compiling again")
        self.updates.append(done)
        return done

    def close(self) -> None:
        """Unloads the program and removes what it has on disk."""
        self.simulator.delete(self._handle)

    def _compiled(self, files: dict[str, bytes]) -> Handle:
        handle = self.simulator.compile(self._text, files)
        self.simulator.load(handle)
        return handle

    def _probe(self, files: dict[str, bytes]) -> bool:
        rng = np.random.default_rng(len(self.updates))
        arrays = [rng.standard_normal(p.graph.shape).astype(np.float32) for p in self.lowered.inputs]
        with TemporaryDirectory(prefix="netwright-ane-") as place:
            for path, data in files.items():
                (Path(place) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(place) / path).write_bytes(data)
            ready = prepare(self.lowered.program, place, self.simulator.profile.numerics)
            wanted = ready.run({p.variable: p.inwards(a) for p, a in zip(self.lowered.inputs, arrays)})
        got = self.run(*arrays)
        return all(
            port.outwards(wanted[port.variable]).astype(np.float32).tobytes() == y.tobytes()
            for port, y in zip(self.lowered.outputs, got)
        )


__all__ = ["Kernel", "weight_files", "written"]
