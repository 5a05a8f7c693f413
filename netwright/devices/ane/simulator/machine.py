"""The simulated driver: compile, load, evaluate, unload, reload, with the consequences of every rule (Orion 2026,
sections 2 and 7)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from zlib import crc32

from netwright.errors import UserError

from ..cost import latency_ms
from ..execute import Executable, prepare
from ..files import TEXT
from ..mil import BlobFile, Program, parse
from ..profile import AneProfile
from ..rules import BY_ID, RULES, Finding, Sight, Surfaces
from ..rules.rule import COMPILE
from ..weights import MODEL_PATH, WeightFile
from .faults import as_run
from .surface import Surface

OK = 0
BAD_SURFACE = 0x1D  # status of an evaluation whose surfaces the engine refuses


class Refused(UserError):
    """A compile that failed.

    Attributes:
        device_text: what the device itself says; mostly nothing.
        findings: the rules that were broken.
    """

    def __init__(self, findings: Sequence[Finding], device_text: str = "") -> None:
        self.findings, self.device_text = tuple(findings), device_text
        super().__init__(f"the compiler refuses the program: {'; '.join(map(str, findings))}")


class Crash(UserError):
    """A call that would have ended the process (R9, R11)."""


@dataclass
class Handle:
    """A compiled program.

    Attributes:
        folder: of its text and weight files, as the compiler reads them.
        name: hexadecimal hash of text and weight names.
        versions: weight file -> its size and checksum when it was compiled in or last reloaded.
        latency_ms: modelled, of one evaluation; known after the first.
        accepted: sizes of surfaces that the engine has taken.
    """

    name: str
    folder: Path
    program: Program
    executable: Executable
    versions: dict[str, str]
    loaded: bool = False
    evaluations: int = 0
    latency_ms: float | None = None
    accepted: set[Surfaces] = field(default_factory=set)
    _owner: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)


class Simulator:
    """One process with one engine.

    Attributes:
        compiles: so far; more than the profile's budget fail (R5).
        elapsed_ms: modelled time of everything done so far.
        log: one line for each rule that was broken, and what that did.
        exact: it computes what the executor computes, to the bit.
    """

    exact = True

    def __init__(self, profile: AneProfile, compiles: int = 0) -> None:
        self.profile, self.compiles = profile, compiles
        self.elapsed_ms = 0.0
        self.log: list[str] = []

    def compile(self, text: Any, weights: Any) -> Handle:
        """Text (bytes) and weights (path below `@model_path` -> bytes) to a program; it is not loaded yet.

        Raises Crash for a text that is no bytes (R9) or weights that are None (R11), Refused where a rule of the
        profile fails the compile or the budget is spent (R5), UserError for a text that is no MIL.
        """
        self.compiles += 1
        nothing = Sight(_EMPTY, self.profile, handed=(text, weights), compiles=self.compiles)
        for rule in ("R9", "R11"):
            for found in self._broken(rule, nothing):
                raise Crash(f"the process crashes: {found}")
        if spent := self._broken("R5", nothing):
            raise Refused(spent)
        program = parse(text, TEXT)
        owner = tempfile.TemporaryDirectory(prefix="netwright-ane-")
        folder = Path(owner.name)
        (folder / TEXT).write_bytes(text)
        self._put(folder, weights)
        chunks = {MODEL_PATH + p: _chunks(folder / p) for p in weights}
        sights = [Sight(f, self.profile, chunks) for f in program.functions]
        broken = [f for s in sights for r in RULES if r.symptom == COMPILE for f in self._broken(r.id, s)]
        if broken:
            raise Refused(broken, "invalid program" if any(f.rule.id == "R17" for f in broken) else "")
        for sight in sights:
            for each in RULES:
                if each.phase == "program":
                    self._broken(each.id, sight)
        executable = prepare(as_run(program, self.profile, folder, chunks), folder, self.profile.numerics)
        name = hex_id(text, weights)
        self.elapsed_ms += self.profile.latency.compile_ms
        versions = {path: _hash(data) for path, data in weights.items()}
        return Handle(name, folder, program, executable, versions, _owner=owner)

    def load(self, handle: Handle) -> None:
        """Makes a compiled program ready to be evaluated."""
        handle.loaded = True

    def unload(self, handle: Handle) -> None:
        """Takes it back; the compiled program stays."""
        handle.loaded = False

    def delete(self, handle: Handle) -> None:
        """Unloads it and removes its folder."""
        handle.loaded = False
        if handle._owner is not None:
            handle._owner.cleanup()

    def overwrite(self, handle: Handle, weights: Mapping[str, bytes | Path]) -> None:
        """New contents of weight files on disk. A loaded program does not notice (R7)."""
        self._put(handle.folder, weights)
        now = {path: _hash(data) for path, data in weights.items()}
        versions = {p: (handle.versions.get(p, ""), h) for p, h in now.items()}
        self._broken("R7", Sight(handle.program.functions[0], self.profile, versions=versions))

    def reload(self, handle: Handle, weights: Mapping[str, bytes | Path]) -> None:
        """Unload, overwrite the weight files, load the same program (section 7, variant b); no compile is counted.

        Where the profile's reload is a no-op the old weights go on being used, and nothing says so.
        """
        self.unload(handle)
        self._put(handle.folder, weights)
        if self.profile.reload == "applies":
            chunks = {MODEL_PATH + str(p.relative_to(handle.folder)): _chunks(p)
                      for p in handle.folder.rglob("*.bin") if "garbage" not in p.parts}
            changed = as_run(handle.program, self.profile, handle.folder, chunks)
            handle.executable = prepare(changed, handle.folder, self.profile.numerics)
            handle.versions.update({path: _hash(data) for path, data in weights.items()})
        else:
            self.log.append("R7: reload changed the files, the program goes on with its old weights")
        self.elapsed_ms += self.profile.latency.reload_ms
        self.load(handle)

    def patch(self, handle: Handle, weights: Mapping[str, bytes | Path]) -> Handle:
        """A second program from a compiled one and other weights, loaded without compiling (section 7, variant a).

        It equals a fresh compile to the bit, and counts as none. Raises UserError for a program with more than one
        constant in its weight files: of those nobody has shown that it works.
        """
        blobs = {v for s in handle.program.functions[0].statements for _, v in s.attributes if isinstance(v, BlobFile)}
        if len(blobs) != 1 or len(weights) != 1:
            raise UserError(f"only a program with one weight can be patched, this one has {len(blobs)}: reload it")
        owner = tempfile.TemporaryDirectory(prefix="netwright-ane-")
        folder = Path(owner.name)
        shutil.copyfile(handle.folder / TEXT, folder / TEXT)
        self._put(folder, weights)
        chunks = {MODEL_PATH + path: _chunks(folder / path) for path in weights}
        executable = prepare(
            as_run(handle.program, self.profile, folder, chunks), folder, self.profile.numerics)
        versions = {path: _hash(data) for path, data in weights.items()}
        self.elapsed_ms += self.profile.latency.reload_ms
        made = Handle(handle.name, folder, handle.program, executable, versions, _owner=owner)
        self.load(made)
        return made

    def evaluate(self, handle: Handle, inputs: Sequence[Surface], outputs: Sequence[Surface]) -> int:
        """One call: surfaces in the order in which they are bound. Returns `OK` or `BAD_SURFACE`.

        Surface i is the i-th name in alphabetical order (R3, R13). Raises UserError for a program that is not loaded,
        and for another number of surfaces than it has.
        """
        if not handle.loaded:
            raise UserError("the program is not loaded")
        function = handle.program.functions[0]
        ins = sorted(handle.executable.inputs, key=lambda v: v.name) if self.profile.breaks("R13") else list(
            handle.executable.inputs)
        outs = sorted(handle.executable.outputs, key=lambda v: v.name) if self.profile.breaks("R3") else list(
            handle.executable.outputs)
        if (len(ins), len(outs)) != (len(inputs), len(outputs)):
            raise UserError(f"the program has {len(ins)} inputs and {len(outs)} outputs; "
                            f"given: {len(inputs)} and {len(outputs)} surfaces")
        if handle.latency_ms is None:
            handle.latency_ms = latency_ms(function, self.profile)
        self.elapsed_ms += handle.latency_ms
        handle.evaluations += 1
        allocated = Surfaces(tuple(s.size for s in inputs), tuple(s.size for s in outputs))
        if allocated not in handle.accepted:
            sight = Sight(function, self.profile, surfaces=allocated)
            if [f for rule in ("R2", "R4", "R12") for f in self._broken(rule, sight)]:
                return BAD_SURFACE
            handle.accepted.add(allocated)
        if any(s.size < v.type.bytes for s, v in zip((*inputs, *outputs), (*ins, *outs))):
            return BAD_SURFACE
        results = handle.executable.run({v.name: s.read(v.type) for v, s in zip(ins, inputs)})
        for variable, surface in zip(outs, outputs):
            surface.write(results[variable.name], variable.type.dtype)
        return OK

    def _broken(self, rule: str, sight: Sight) -> list[Finding]:
        """Findings of a rule that holds for sure, which the log takes up."""
        found = BY_ID[rule].findings(sight) if self.profile.breaks(rule) else []
        self.log += [str(f) for f in found]
        return found

    def _put(self, folder: Path, weights: Mapping[str, bytes | Path]) -> None:
        for path, data in weights.items():
            put(folder / inside(path), data)


def inside(path: str) -> PurePosixPath:
    """The path of a weight file below its program's folder. Raises UserError for one that leaves it."""
    found = PurePosixPath(path)
    if found.is_absolute() or ".." in found.parts:
        raise UserError(f"weight file {path!r} leaves the program's folder")
    return found


def hex_id(text: bytes, weights: Iterable[str]) -> str:
    """Hexadecimal name of a program: a hash of its text and the names of its weight files, but not of their bytes."""
    return sha256(text + "\0".join(sorted(weights)).encode()).hexdigest()[:32]


def put(place: Path, data: bytes | Path) -> None:
    """A file with these contents, or those of another file; a new one, so that what has the old one mapped keeps it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.new")
    if isinstance(data, Path):
        shutil.copyfile(data, beside)
    else:
        beside.write_bytes(data)
    os.replace(beside, place)


def _chunks(path: Path) -> frozenset[int]:
    return frozenset(offset for offset, _, _ in WeightFile(path).chunks())


def _hash(data: bytes | Path) -> str:
    """Size and checksum: what tells versions of a weight file apart."""
    held = data if isinstance(data, bytes) else data.read_bytes()
    return f"{len(held)}:{crc32(held):08x}"


_EMPTY = parse(b"program(1.3) { func main<ios18>(fp16 x) { } -> (x); }").function()
