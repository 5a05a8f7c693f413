"""What every device and every compiled program is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from netwright.errors import UserError, nearest
from netwright.graph import Graph, Type


@dataclass(frozen=True)
class Limits:
    """What the device has, or what the user grants of it. None: no limit."""

    ram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None
    clock_hz: float = 0.0
    dtypes: tuple[str, ...] = ("int8",)


@dataclass(frozen=True)
class Violation:
    """A broken rule: what breaks it, where, and what mends it."""

    rule: str
    where: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.message}; {self.advice}"


class LayerCost(NamedTuple):
    """One layer as the cost model sees it."""

    name: str
    op: str
    shape: tuple[int, ...]
    macs: int
    instructions: float
    cycles: float
    ram_bytes: int  # alive while it runs
    flash_bytes: int  # its constants


@dataclass(frozen=True)
class Profile:
    """Counts of one step. `measured` says whether they come from a run of the artefact or from the cost model.

    Cycles, milliseconds and energy are modelled in either case: emulators count instructions.
    """

    instructions: int
    cycles_modelled: int
    latency_ms_modelled: float
    ram_bytes: dict[str, int] = field(default_factory=dict)  # arena, stack, static
    flash_bytes: dict[str, int] = field(default_factory=dict)  # text, rodata
    macs: int = 0
    measured: bool = True
    layers: tuple[LayerCost, ...] = ()
    compiler: str = ""
    outside_bytes: int = 0  # of inputs that lie in memory of their own; no part of the RAM

    @property
    def ram_total(self) -> int:
        return sum(self.ram_bytes.values())

    @property
    def flash_total(self) -> int:
        return sum(self.flash_bytes.values())

    def broken(self, limits: Limits) -> str:
        """The first limit that this profile breaks, in words; empty when it keeps all."""
        for name, used, limit, unit in (
            ("RAM", self.ram_total, limits.ram_bytes, "B"),
            ("Flash", self.flash_total, limits.flash_bytes, "B"),
            ("latency (modelled)", self.latency_ms_modelled, limits.latency_ms, "ms"),
        ):
            if limit is not None and used > limit:
                return f"{name} {used:,.6g} {unit} is over the limit of {limit:,.6g} {unit}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """The interface of the command line."""
        return {
            "instructions": self.instructions,
            "cycles_modelled": self.cycles_modelled,
            "latency_ms_modelled": round(self.latency_ms_modelled, 4),
            "ram_bytes": dict(self.ram_bytes),
            "flash_bytes": dict(self.flash_bytes),
            "outside_bytes": self.outside_bytes,
            "macs": self.macs,
            "measured": self.measured,
            "compiler": self.compiler,
        }


Cost = Profile


@dataclass(frozen=True)
class Subject:
    """What a rule looks at: the network as given, as the device would take it, its cost, and the limits."""

    graph: Graph
    limits: Limits
    lowered: Graph | None = None
    cost: Profile | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """One restriction, written once: the search filters by it, the compiler refuses by it, `check` explains by it."""

    id: str
    phase: str  # graph | program | runtime
    statement: str
    check: Callable[[Subject], Iterable[Violation]]
    advice: str
    source: str


@dataclass(frozen=True)
class Entry:
    """A function of a program: named, typed inputs and outputs."""

    inputs: tuple[tuple[str, Type], ...]
    outputs: tuple[tuple[str, Type], ...]

    @classmethod
    def of(cls, graph: Graph) -> Entry:
        return cls(tuple((v.name, v.type) for v in graph.inputs), tuple((v.name, v.type) for v in graph.outputs))


class Program(Protocol):
    """A compiled network."""

    entries: dict[str, Entry]
    folder: Path

    def run(self, *inputs: Any, entry: str = "infer", stream: bool = False) -> tuple[np.ndarray, ...]:
        """Each input [n, ...] in the entry's own layout and dtype; states restart for each sample unless `stream`."""
        ...

    def reset(self, entry: str = "infer") -> None:
        """The states of an entry back to their start."""
        ...

    def step(self, *inputs: Any, entry: str = "infer") -> tuple[np.ndarray, ...]:
        """One step on one sample, which goes on from the present states; entries share those of one name."""
        ...

    def state(self, name: str) -> np.ndarray:
        """A copy of a state as it is now. Raises UserError for a name that the program does not have."""
        ...

    def update_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """New weights without compiling, where the device can; else UserError."""
        ...

    def profile(self, *inputs: Any, entry: str = "infer") -> Profile:
        """Measured counts of one step on the first sample (zeros when none is given)."""
        ...


_Key = tuple[tuple[str, str], ...]  # options


class Device:
    """Base of all devices. Subclasses set `rules` and write `lower`, `_cost` and `compile`."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self._costs: WeakKeyDictionary[Graph, dict[_Key, Profile]] = WeakKeyDictionary()
        self._lowered: WeakKeyDictionary[Graph, dict[_Key, Graph]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_costs", "_lowered")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _costs=WeakKeyDictionary(), _lowered=WeakKeyDictionary())

    def lower(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Graph:
        """The network in the form this device executes. Raises UserError naming what has no such form."""
        raise NotImplementedError

    def lowered(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Graph:
        """`lower`, remembered while the graph lives."""
        known = self._lowered.setdefault(graph, {})
        key = _key(options)
        made = known.get(key)
        if made is None:
            made = known[key] = self.lower(graph, options)
        return made

    def _cost(self, lowered: Graph, options: Mapping[str, Any] | None = None) -> Profile:
        raise NotImplementedError

    def cost(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Profile:
        """A fast model of what `compile` and `run` would measure; `measured` is False."""
        known = self._costs.setdefault(graph, {})
        key = _key(options)
        cost = known.get(key)
        if cost is None:
            cost = known[key] = self._cost(self.lowered(graph, options), options)
        return cost

    def refused(self, graph: Graph, options: Mapping[str, Any] | None = None) -> list[Violation]:
        """Broken rules of the graph phase alone: what cannot be compiled at any size."""
        subject = Subject(graph, self.limits, options=options or {})
        return [v for rule in self.rules if rule.phase == "graph" for v in rule.check(subject)]

    def check(self, graph: Graph, options: Mapping[str, Any] | None = None) -> list[Violation]:
        """Broken rules of the graph and program phases; empty when the network fits."""
        broken = self.refused(graph, options)
        if broken:
            return broken
        subject = Subject(graph, self.limits, self.lowered(graph, options), self.cost(graph, options), options or {})
        return [v for rule in self.rules if rule.phase == "program" for v in rule.check(subject)]

    def compile(
        self,
        graph: Graph | Mapping[str, Graph],
        options: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
    ) -> Program:
        """Artefacts in `out` (a cache folder when None). Raises UserError when a rule is broken."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """What `netwright devices` shows."""
        limits = self.limits
        return {
            "name": self.name,
            "ram_bytes": limits.ram_bytes,
            "flash_bytes": limits.flash_bytes,
            "clock_hz": limits.clock_hz,
            "latency_ms": limits.latency_ms,
            "dtypes": list(limits.dtypes),
            "rules": [{"id": r.id, "phase": r.phase, "statement": r.statement, "source": r.source} for r in self.rules],
        }


def known_state(states: Mapping[str, Type], name: str) -> Type:
    """The type of a program's state. Raises UserError for a name it does not have."""
    if name not in states:
        raise UserError(f"the program has no state {name!r}{nearest(name, states)}")
    return states[name]


def _key(options: Mapping[str, Any] | None) -> _Key:
    return tuple(sorted((name, str(value)) for name, value in options.items())) if options else ()


def samples(inputs: tuple[Any, ...], entry: Entry) -> list[np.ndarray]:
    """Check a batch for an entry: arrays [n, *shape without its leading 1], or one sample. Raises UserError naming the
    input that is none."""
    if len(inputs) != len(entry.inputs):
        raise UserError(f"the program takes {len(entry.inputs)} inputs, got {len(inputs)}")
    arrays = []
    for array, (name, type) in zip(inputs, entry.inputs):
        array = np.asarray(array)
        inner = type.shape[1:] if type.shape[:1] == (1,) else type.shape
        if array.shape == inner:
            array = array[None]
        if array.dtype != np.dtype(type.dtype):
            raise UserError(
                f"input {name!r} is {type.dtype}, got {array.dtype}; quantise it with scale and zero point of {type}"
            )
        if array.shape[1:] != inner or array.ndim != len(inner) + 1:
            raise UserError(f"input {name!r} is [n{''.join(f', {d}' for d in inner)}], got {list(array.shape)}")
        arrays.append(np.ascontiguousarray(array))
    if len({len(a) for a in arrays}) > 1:
        raise UserError("the inputs hold different numbers of samples")
    return arrays
