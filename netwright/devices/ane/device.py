"""The device `ane`: check, cost, compile to MIL and weight files, and the program that runs on the simulator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

import netwright
from netwright.errors import UserError
from netwright.graph import Graph, load, save
from netwright.graph.files import write_text
from netwright.graph.store import Store

from ..device import Device, Entry, LayerCost, Limits, Profile, Rule, Subject, Violation, samples
from ..manifest import MANIFEST, entries_from, entries_json
from . import profile as profiles
from .cost import flops, latency_ms
from .files import TEXT
from .lower import Lowered, Port, lower, simplified
from .mil import Function, to_text
from .passes import optimise, sram
from .profile import AneProfile
from .rules import RULES, Sight, findings
from .simulator import Kernel, Simulator
from .simulator.kernel import written

REPORT = "report.txt"


def _forms(subject: Subject) -> list[Violation]:
    profile = profiles.load(str(subject.options.get("profile", profiles.DEFAULT)))
    try:
        simplified(subject.graph, profile)
    except UserError as error:
        where, _, what = str(error).partition(": ")
        return [Violation("N1", where, what, "replace it, or leave that part to the processor")]
    return []


FORMS = Rule("N1", "graph", "every op has a form on the engine, and all values at its ends are floats", _forms,
             "replace the op", "netwright.devices.ane.lower")


def _late(subject: Subject) -> list[Violation]:
    broken = subject.cost.broken(subject.limits) if subject.cost is not None else ""
    return [Violation("N3", subject.graph.name, broken, "a smaller network, or a larger limit")] if broken else []


LIMITS = Rule("N3", "program", "one call keeps the limits that the user sets (modelled)", _late,
              "a smaller network, or a larger limit", "Orion 2026, section 13: the latency model")


class Ane(Device):
    """The Neural Engine under a profile (`ane:m5-baked`); `strict`, the union of all restrictions, by default."""

    rules: ClassVar[tuple[Rule, ...]] = (FORMS, *RULES, LIMITS)

    def __init__(self, profile: str = profiles.DEFAULT) -> None:
        self.profile = profiles.load(profile)
        name = "ane" if profile == profiles.DEFAULT else f"ane:{profile}"
        super().__init__(name, Limits(dtypes=("float16", "float32")))
        self._programs: WeakKeyDictionary[Graph, Lowered] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_programs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._programs = WeakKeyDictionary()

    def lower(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Graph:
        """Known values computed, batch norm folded. Raises UserError naming an op without a form on the engine."""
        return simplified(graph, self.profile)

    def program(self, graph: Graph) -> Lowered:
        """The MIL program of a network, passes applied, remembered while the network lives.

        Raises UserError naming what has no form on the engine.
        """
        made = self._programs.get(graph)
        if made is None:
            made = self._programs[graph] = lowered(graph, self.profile)
        return made

    def cost(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Profile:
        """Modelled by the profile's constants (`Latency`)."""
        return modelled(self.program(graph).program.function(), self.profile, graph.macs)

    def refused(self, graph: Graph, options: Mapping[str, Any] | None = None) -> list[Violation]:
        """Ops without a form on the engine."""
        return list(FORMS.check(Subject(graph, self.limits, options={"profile": self.profile.name})))

    def check(self, graph: Graph, options: Mapping[str, Any] | None = None) -> list[Violation]:
        """Broken rules of the program as it would be written, and the budget of time; empty when it fits."""
        broken = self.refused(graph, options)
        if broken:
            return broken
        function = self.program(graph).program.function()
        cost = self.cost(graph, options)
        subject = Subject(graph, self.limits, cost=cost, options={"sight": Sight(function, self.profile)})
        return [v for rule in (*RULES, LIMITS) for v in rule.check(subject)]

    def compile(
        self,
        graph: Graph | Mapping[str, Graph],
        options: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
    ) -> AneProgram:
        """`model.mil`, weight files, a report of the rules that were kept, and the manifest, in `out`.

        A mapping gives several entries, each in a folder of its name. `options["package"]`: a truthy value writes
        `model.mlpackage` too (extra `ane`). Raises UserError where a rule is broken that cannot be mended.
        """
        if (options or {}).get("tune"):
            raise UserError("kernels are tuned by counted instructions, for Cortex-M devices")
        given = dict(graph) if isinstance(graph, Mapping) else {"infer": graph}
        made: dict[str, Lowered] = {}
        for entry, g in given.items():
            broken = self.check(g, options)
            if broken:
                raise UserError(str(broken[0]))
            made[entry] = self.program(g)
        folder = Path(out) if out is not None else _cache(self, given)
        alone = len(given) == 1
        try:
            for entry, g in given.items():
                place = folder if alone else folder / entry
                place.mkdir(parents=True, exist_ok=True)
                write_text(place / TEXT, to_text(made[entry].program))
                written(made[entry].weights, place)
                write_text(place / REPORT, report(made[entry], self.profile))
                save(g, place)
                if (options or {}).get("package"):
                    from .package import write_package

                    write_package(made[entry].program, place, place / "model.mlpackage")
            manifest = {
                "netwright": netwright.__version__,
                "family": "ane",
                "device": self.name,
                "profile": self.profile.name,
                "program": next(iter(given.values())).name,
                "latency_ms": self.limits.latency_ms,
                "folders": {entry: "." if alone else entry for entry in given},
                "entries": entries_json(given),
                "ports": {
                    entry: {"inputs": [p.to_json() for p in m.inputs], "outputs": [p.to_json() for p in m.outputs]}
                    for entry, m in made.items()
                },
            }
            write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror or error}") from None
        return AneProgram(folder)


def lowered(graph: Graph, profile: AneProfile) -> Lowered:
    """A network as a program of the engine, passes applied. Raises UserError naming what has no form there."""
    made = lower(graph, profile)
    program = optimise(made.program, profile)
    return replace(made, program=program)


def modelled(function: Function, profile: AneProfile, macs: int) -> Profile:
    """What one call takes; everything in it is modelled."""
    types = function.types()
    layers = tuple(
        LayerCost(s.name, s.op, s.results[0].type.shape, flops(s, types) // 2, 0.0, 0.0,
                  sum(v.type.bytes for v in s.results), 0)
        for s in function.statements if s.op != "const"
    )
    weights = sram.weight_bytes(function)
    return Profile(
        0, 0, latency_ms(function, profile), {"values": sram.working_set(function) - weights}, {"weights": weights},
        macs, False, layers, f"MIL for {profile.name}",
    )


def report(made: Lowered, profile: AneProfile) -> str:
    """Every rule that would have been broken with what was done, and what is left to the host."""
    found = findings(Sight(made.program.function(), profile))
    lines = [f"profile {profile.name}: {profile.title}", "", "mended in the program:"]
    lines += [f"  {a}" for a in made.applied] or ["  nothing"]
    lines += ["", "kept by the host, or slow, or not known to hold there:"]
    lines += [f"  {f}" for f in found] or ["  nothing"]
    return "\n".join(lines) + "\n"


def _cache(device: Ane, given: Mapping[str, Graph]) -> Path:
    from ..c.toolchain import cache_folder

    key = repr((device.name, netwright.__version__, {e: g.content_hash for e, g in given.items()}))
    return cache_folder() / "programs" / sha256(key.encode()).hexdigest()[:24]


class AneProgram:
    """A compiled folder, on the simulator of its profile."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            self.entries: dict[str, Entry] = entries_from(manifest["entries"])
            self.program = str(manifest["program"])
            self.limits = Limits(latency_ms=manifest["latency_ms"])
            self.simulator = Simulator(profiles.load(str(manifest["profile"])))
            self._folders = {entry: self.folder / manifest["folders"][entry] for entry in self.entries}
            self._ports = {
                entry: [[Port.from_json(p) for p in ports[side]] for side in ("inputs", "outputs")]
                for entry, ports in manifest["ports"].items()
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder}: not a compiled program: {error}") from None
        self._graphs: dict[str, Graph] = {}
        self._kernels: dict[str, Kernel] = {}

    @property
    def report(self) -> str:
        """The rules that were kept, and how, entry by entry."""
        found = []
        for entry, place in self._folders.items():
            path = place / REPORT
            head = f"entry {entry}\n" if len(self._folders) > 1 else ""
            found.append(head + path.read_text(encoding="utf-8") if path.is_file() else "")
        return "\n".join(found)

    def kernel(self, entry: str = "infer") -> Kernel:
        """The program of an entry, compiled and loaded when first asked for. Raises UserError for an unknown one."""
        if entry not in self.entries:
            raise UserError(f"the program has no entry {entry!r} (it has {', '.join(self.entries)})")
        if entry not in self._kernels:
            self._kernels[entry] = Kernel.read(self.simulator, self._folders[entry], *self._ports[entry])
        return self._kernels[entry]

    def _graph(self, entry: str) -> Graph:
        if entry not in self._graphs:
            self._graphs[entry] = load(self._folders[entry])
        return self._graphs[entry]

    def run(self, *inputs: Any, entry: str = "infer", stream: bool = False) -> tuple[np.ndarray, ...]:
        """Every sample [n, ...] on the simulator, one call a sample."""
        kernel = self.kernel(entry)
        types = self.entries[entry]
        batches = samples(inputs, types)
        results = [
            kernel.run(*(b[i].reshape(t.shape) for b, (_, t) in zip(batches, types.inputs)))
            for i in range(len(batches[0]))
        ]
        return tuple(
            np.stack([r[i] for r in results]).reshape(
                len(results), *(t.shape[1:] if t.shape[:1] == (1,) else t.shape)).astype(t.dtype)
            for i, (_, t) in enumerate(types.outputs)
        )

    def reset(self, entry: str = "infer") -> None:
        """Nothing: the engine keeps no state."""
        self.kernel(entry)

    def step(self, *inputs: Any, entry: str = "infer") -> tuple[np.ndarray, ...]:
        """One sample; outputs in the entry's own shapes."""
        return tuple(
            y.reshape(t.shape) for y, (_, t) in zip(self.run(*inputs, entry=entry), self.entries[entry].outputs)
        )

    def state(self, name: str) -> np.ndarray:
        """Raises UserError: the engine keeps no state."""
        raise UserError(f"the program has no state {name!r}: the Neural Engine keeps none")

    def update_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Tensors by the Graph's names: every entry that has them is reloaded, and a probe proves that they are used;
        where reload does nothing the entry is compiled again. Raises UserError for an unknown name or another shape.
        """
        for entry in self.entries:
            graph = self._graph(entry)
            own = {p.tensor: p.stored_type for p in graph.params}
            mine = {name: np.asarray(a) for name, a in weights.items() if name in own}
            wrong = next((n for n, a in mine.items() if a.shape != own[n].shape), None)
            if wrong is not None:
                raise UserError(f"{wrong} is {list(own[wrong].shape)}, given {list(mine[wrong].shape)}")
        every = {p.tensor for e in self.entries for p in self._graph(e).params}
        unknown = next((name for name in weights if name not in every), None)
        if unknown is not None:
            raise UserError(f"the program has no weights {unknown!r}")
        for entry in self.entries:
            graph = self._graph(entry)
            held = {name: graph.store[name] for name in graph.store}
            own_names = {p.tensor for p in graph.params}
            mine = {n: np.asarray(a, held[n].dtype) for n, a in weights.items() if n in own_names}
            if mine:
                kernel = self.kernel(entry)
                self._graphs[entry] = graph.with_store(Store({**held, **mine}))
                kernel.update_from(lowered(self._graphs[entry], self.simulator.profile))

    def profile(self, *inputs: Any, entry: str = "infer") -> Profile:
        """Modelled: the engine is simulated, and simulators do not tell time."""
        function = self.kernel(entry).program.function()
        return modelled(function, self.simulator.profile, self._graph(entry).macs)


__all__ = ["Ane", "AneProgram", "lowered", "modelled", "report"]
