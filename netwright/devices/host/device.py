"""The host device. Nothing is emulated, and instructions are not counted here: use a Cortex-M for that."""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import netwright
from netwright.compile import int8
from netwright.errors import UserError
from netwright.graph import Graph, save
from netwright.graph.files import write_text
from netwright.graph.types import parse_type

from ..c import arranged, generate, outside, planned, prepared, supported
from ..c.toolchain import ZIG, build, cache_folder, version
from ..device import Device, Limits, Profile, Rule, Subject, Violation, known_state, samples
from ..manifest import MANIFEST, entries_from, entries_json, is_float

LIBRARY = "program.so"


def _ops(subject: Subject) -> list[Violation]:
    lowered = subject.lowered
    return (
        []
        if lowered is None
        else [
            Violation("H1", n.name, f"no C can be written for {n.op.name}", "replace the op")
            for n in lowered.nodes
            if not supported(n.op)
        ]
    )


class Host(Device):
    """This machine, without limits."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "H1",
            "program",
            "every op has an integer form that C can be written for",
            _ops,
            "replace the op",
            "netwright.devices.c",
        ),
    )

    def __init__(self) -> None:
        super().__init__("host", Limits())

    def lower(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Graph:
        return arranged(int8.lower(graph) if is_float(graph) else graph, options, self.limits.ram_bytes)

    def _cost(self, lowered: Graph, options: Mapping[str, Any] | None = None) -> Profile:
        constants = sum(p.value.type.bytes for p in lowered.params)
        return Profile(
            0,
            0,
            0.0,
            {"arena": planned(lowered, outside=outside(lowered, options)).bytes, "stack": 0, "static": 0},
            {"text": 0, "rodata": constants},
            lowered.macs,
            False,
        )

    def compile(
        self,
        graph: Graph | Mapping[str, Graph],
        options: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
    ) -> HostProgram:
        """C and a shared library in `out`, in the graph's own arithmetic. Raises UserError for an op without C."""
        if (options or {}).get("compiler", ZIG) != ZIG:
            raise UserError("programs of the host are built with zig: another compiler is for Cortex-M devices")
        if (options or {}).get("tune"):
            raise UserError("kernels are tuned by counted instructions, for Cortex-M devices")
        given = dict(graph) if isinstance(graph, Mapping) else {"infer": graph}
        entries = {entry: prepared(g, options, self.limits.ram_bytes) for entry, g in given.items()}
        first = next(iter(entries.values()))
        source = generate(entries, first.name, bool(outside(first, options)))
        flags = ["-O3", "-shared", "-fPIC", "-fno-sanitize=all", "-ffp-contract=off", "-g0", "-s"]
        library = build(source.files, flags, LIBRARY)
        if out is None:
            from hashlib import sha256

            out = cache_folder() / "programs" / sha256(library).hexdigest()[:24]
        folder = Path(out)
        manifest = {
            "netwright": netwright.__version__,
            "family": "host",
            "device": self.name,
            "program": source.name,
            "arena_bytes": source.arena_bytes,
            "compiler": version(),
            "entries": entries_json(entries),
            "states": {name: str(type) for name, type in source.states.items()},
            "macs": {e: g.macs for e, g in entries.items()},
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in source.files.items():
                write_text(folder / name, text)
            beside = folder / f".library.{os.getpid()}"
            beside.write_bytes(library)
            os.replace(beside, folder / LIBRARY)
            save(first, folder)
            write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror or error}") from None
        return HostProgram(folder)


class HostProgram:
    """A compiled folder: calls its shared library in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            self.program = str(manifest["program"])
            self.entries = entries_from(manifest["entries"])
            self.states = {name: parse_type(text) for name, text in manifest.get("states", {}).items()}
            self._arena = int(manifest["arena_bytes"])
            self._macs = dict(manifest["macs"])
            self._compiler = str(manifest["compiler"])
            self._library = ctypes.CDLL(str((folder / LIBRARY).resolve()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder}: not a compiled program: {error}") from None

    def _functions(self, entry: str) -> tuple[Any, Any, list[int], list[int]]:
        if entry not in self.entries:
            raise UserError(f"the program has no entry {entry!r} (it has {', '.join(self.entries)})")
        types = self.entries[entry]
        step, reset, given, made = (
            getattr(self._library, f"{self.program}_{entry}{end}") for end in ("", "_reset", "_input", "_output")
        )
        given.restype = made.restype = ctypes.c_void_p
        return step, reset, [given(i) for i in range(len(types.inputs))], [made(i) for i in range(len(types.outputs))]

    def run(self, *inputs: Any, entry: str = "infer", stream: bool = False) -> tuple[np.ndarray, ...]:
        """Run every sample [n, ...]; states restart for each one unless `stream`."""
        step, reset, places, results = self._functions(entry)
        types = self.entries[entry]
        batches = samples(inputs, types)
        count = len(batches[0])
        outputs = [
            np.zeros((count, *(t.shape[1:] if t.shape[:1] == (1,) else t.shape)), t.dtype) for _, t in types.outputs
        ]
        reset()
        for index in range(count):
            if index and not stream:
                reset()
            for batch, place in zip(batches, places):
                ctypes.memmove(place, batch[index:].ctypes.data, batch[index].nbytes)
            step()
            for output, place, (_, type) in zip(outputs, results, types.outputs):
                ctypes.memmove(output[index : index + 1].ctypes.data, place, type.bytes)
        return tuple(outputs)

    def reset(self, entry: str = "infer") -> None:
        """The states of an entry back to their start."""
        self._functions(entry)[1]()

    def step(self, *inputs: Any, entry: str = "infer") -> tuple[np.ndarray, ...]:
        """One step on one sample, which goes on from the present states; entries share those of one name."""
        step, _, places, results = self._functions(entry)
        types = self.entries[entry]
        for batch, place in zip(samples(inputs, types), places):
            ctypes.memmove(place, batch.ctypes.data, batch[0].nbytes)
        step()
        outputs = tuple(np.zeros(type.shape, type.dtype) for _, type in types.outputs)
        for output, place, (_, type) in zip(outputs, results, types.outputs):
            ctypes.memmove(output.ctypes.data, place, type.bytes)
        return outputs

    def state(self, name: str) -> np.ndarray:
        """A copy of a state as it is now. Raises UserError for a name that the program does not have."""
        place, type = getattr(self._library, f"{self.program}_state"), known_state(self.states, name)
        place.restype = ctypes.c_void_p
        array = np.zeros(type.shape, type.dtype)
        ctypes.memmove(array.ctypes.data, place(list(self.states).index(name)), type.bytes)
        return array

    def update_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Weights are constants of the library: compile again instead (UserError)."""
        raise UserError("weights are constants of the compiled library; compile it again with the new weights")

    def profile(self, *inputs: Any, entry: str = "infer") -> Profile:
        """Milliseconds of one step, median of 20; instructions and cycles are not counted on the host (0)."""
        step, reset, _, _ = self._functions(entry)
        reset()
        if inputs:
            self.run(*[np.asarray(i)[:1] for i in inputs], entry=entry)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        size = (self.folder / LIBRARY).stat().st_size
        return Profile(
            0,
            0,
            sorted(times)[10] * 1e3,
            {"arena": self._arena, "stack": 0, "static": 0},
            {"text": size, "rodata": 0},
            self._macs[entry],
            True,
            (),
            self._compiler,
        )
