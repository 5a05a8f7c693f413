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
from pathlib import Path

import netwright
from netwright.errors import UserError
from netwright.graph import Graph
from netwright.graph.files import write_text
from netwright.models.model import Model

from ..c.toolchain import cache_folder
from . import profile as profiles
from .cache import BUCKETS, DECODE, Key, ProgramCache
from .device import lowered
from .engines import Engine, open_engine
from .files import TEXT
from .lower import Port
from .mil import to_text
from .simulator import Kernel
from .simulator.kernel import written

KINDS = ("attention", "feed_forward", "project")
PORTS = "ports.json"


class Programs:
    """Compiled programs of one model under one profile, in one process (R5 counts its compiles).

    Attributes:
        simulator: the engine they run on: the one given, or a new one of the name `engine` (see `engines`).
        cache: the programs that are compiled.
        lowered: how many were not found on disk.
    """

    def __init__(
        self, model: Model, profile: str = profiles.DEFAULT, *, simulator: Engine | None = None,
        folder: str | Path | None = None, weights: str = "base", engine: str = "simulator",
    ) -> None:
        self.model, self.weights = model, weights
        self.simulator = simulator or open_engine(engine, profiles.load(profile))
        self.folder = Path(folder) if folder is not None else cache_folder() / "ane"
        self.lowered = 0
        self.cache = ProgramCache()

    def key(self, kind: str, layer: int, positions: int) -> Key:
        """The key under the weights that are in use. Raises ValueError for an unknown kind or bucket."""
        if kind not in KINDS or positions not in (DECODE, *BUCKETS):
            raise ValueError(f"programs are {', '.join(KINDS)} over {(DECODE, *BUCKETS)} positions, not {kind} over "
                             f"{positions}")
        return Key(kind, layer, self.weights, positions)

    def affordable(self, count: int) -> bool:
        """Whether so many more programs can be compiled before the process should be replaced (R5)."""
        return self.simulator.compiles + count <= self.simulator.profile.soft_budget

    def graph(self, kind: str, layer: int, positions: int) -> Graph:
        """The graph of one program, as the model's family builds it."""
        builder = getattr(self.model.builders, kind)
        made: Graph = builder(self.model.config, layer, positions, store=self.model.store)
        return made

    def kernel(self, kind: str, layer: int, positions: int) -> Kernel:
        """The program, compiled and loaded. Raises UserError where the compile budget is spent."""
        key = self.key(kind, layer, positions)
        found = self.cache.get(key)
        if found is not None:
            return found
        place = self.place(kind, layer, positions)
        ports = json.loads((place / PORTS).read_text(encoding="utf-8"))
        inputs, outputs = ([Port.from_json(port) for port in ports[side]] for side in ("inputs", "outputs"))
        return self.cache.store(key, Kernel.read(self.simulator, place, inputs, outputs))

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
