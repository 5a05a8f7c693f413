"""The engine programs of a language model: lowered once, kept on disk, compiled when first asked for.

    programs = Programs(model, "m4max-orion")
    programs.kernel("attention", 0, 64).run(x)      # layer 0 over a bucket of 64 positions
    programs.place("feed_forward", 3, 16)           # the folder with its text, weight files and ports

A program is known by kernel, layer, weights and bucket (Orion 2026, section 7). On disk it lies under a hash of its
graph and its weights' bytes, so another process finds it without lowering anything.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import netwright
from netwright.errors import UserError
from netwright.graph import Graph
from netwright.graph.files import write_text
from netwright.models.model import Model

from ..c.toolchain import cache_folder
from . import profile as profiles
from .device import lowered
from .files import TEXT
from .lower import Port
from .mil import to_text
from .simulator import Kernel, Simulator
from .simulator.kernel import written

BUCKETS = (16, 32, 64, 128, 256, 512, 1024)  # positions that programs are made for
KINDS = ("attention", "feed_forward", "project")
PORTS = "ports.json"


def bucket(length: int) -> int | None:
    """The smallest bucket of at least `length` positions, None beyond the largest."""
    return next((b for b in BUCKETS if b >= length), None)


class Key(NamedTuple):
    """What tells two compiled programs of a model apart."""

    kind: str
    layer: int
    weights: str  # `base`, or `step_%08d`
    bucket: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.layer}:{self.weights}:{self.bucket}"


class Programs:
    """Compiled programs of one model under one profile, in one process (R5 counts its compiles).

    Attributes:
        simulator: the engine they run on.
        lowered: how many were not found on disk.
    """

    def __init__(
        self, model: Model, profile: str = profiles.DEFAULT, *, simulator: Simulator | None = None,
        folder: str | Path | None = None, weights: str = "base",
    ) -> None:
        self.model, self.weights = model, weights
        self.simulator = simulator or Simulator(profiles.load(profile))
        self.folder = Path(folder) if folder is not None else cache_folder() / "ane"
        self.lowered = 0
        self._held: dict[Key, Kernel] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def key(self, kind: str, layer: int, positions: int) -> Key:
        """The key under the weights that are in use now. Raises ValueError for an unknown kind or bucket."""
        if kind not in KINDS or positions not in BUCKETS:
            raise ValueError(f"programs are {', '.join(KINDS)} over {BUCKETS} positions, not {kind} over {positions}")
        return Key(kind, layer, self.weights, positions)

    @cached_property
    def room(self) -> int:
        """Compiles that a process should have at most."""
        return self.simulator.profile.soft_budget

    def affordable(self, count: int) -> bool:
        """Whether so many more programs can be compiled before the process should be replaced."""
        return self.simulator.compiles + count <= self.room

    def graph(self, kind: str, layer: int, positions: int) -> Graph:
        """The graph of one program, as the model's family builds it."""
        builder = getattr(self.model.builders, kind)
        made: Graph = builder(self.model.config, layer, positions, store=self.model.store)
        return made

    def kernel(self, kind: str, layer: int, positions: int) -> Kernel:
        """The program, compiled and loaded. Raises UserError where the compile budget is spent."""
        key = self.key(kind, layer, positions)
        if key not in self._held:
            place = self.place(kind, layer, positions)
            ports = json.loads((place / PORTS).read_text(encoding="utf-8"))
            sides = ([Port.from_json(port) for port in ports[side]] for side in ("inputs", "outputs"))
            self._held[key] = Kernel.read(self.simulator, place, *sides)
        return self._held[key]

    def place(self, kind: str, layer: int, positions: int) -> Path:
        """The folder of its text, weight files and ports; made when it is not there. Raises UserError where it cannot
        be written."""
        graph = self.graph(kind, layer, positions)
        name = f"{graph.content_hash}-{self.simulator.profile.name}-{netwright.__version__}"
        place = self.folder / name
        if (place / PORTS).is_file():
            return place
        self.lowered += 1
        made = lowered(graph, self.simulator.profile)
        beside = self.folder / f".{name}.{os.getpid()}"
        ports = {"inputs": [p.to_json() for p in made.inputs], "outputs": [p.to_json() for p in made.outputs]}
        try:
            beside.mkdir(parents=True, exist_ok=True)
            write_text(beside / TEXT, to_text(made.program))
            written(made.weights, beside)
            write_text(beside / PORTS, json.dumps(ports))
            os.replace(beside, place)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            if not (place / PORTS).is_file():  # else another process was first
                raise UserError(f"cannot write {place}: {error.strerror or error}") from None
        return place

    def evict(self, weights: str) -> int:
        """Unload the programs with these weights; how many there were."""
        old = [key for key in self._held if key.weights == weights]
        for key in old:
            self._held.pop(key).close()
        return len(old)

    def clear(self) -> None:
        """Unload all programs. What is on disk stays."""
        for kernel in self._held.values():
            kernel.close()
        self._held.clear()
