"""Programs of the engine as a trainer needs them: compiled once, run and reloaded ever after."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph import Graph

from ..device import lowered
from ..mil import to_text
from ..profile import AneProfile
from ..simulator import Kernel, Simulator
from ..simulator.kernel import by_file, contents
from .guard import Guard


class Engine:
    """One process with one engine, and the programs on it. `compiles` counts what R5 bounds."""

    def __init__(self, profile: AneProfile, guard: Guard) -> None:
        self.profile, self.guard = profile, guard
        self.simulator = Simulator(profile)

    @property
    def recompiles(self) -> bool:
        """Whether new weights need a compile: the profile's reload leaves the old ones in place (R7)."""
        return self.profile.reload != "applies"

    @property
    def compiles(self) -> int:
        """Programs compiled since the start."""
        return self.simulator.compiles

    def reserve(self, programs: int) -> None:
        """Raise UserError where so many programs are more than a process may compile (R5)."""
        if programs > self.profile.soft_budget:
            raise UserError(
                f"{programs} programs are more than the {self.profile.soft_budget} that a process should compile under "
                f"{self.profile.name} (R5); a network of {self.profile.soft_budget // 4} layers has as many"
            )

    def program(self, graph: Graph) -> Loaded:
        """Compile and load. Raises UserError naming what has no form on the engine, or the rule that is broken."""
        return Loaded(self, graph)


class Loaded:
    """A loaded program; its weights are the arrays of the graph's store, which may be changed in place."""

    def __init__(self, engine: Engine, graph: Graph) -> None:
        self._engine, self._lowered = engine, lowered(graph, engine.profile)
        text = to_text(self._lowered.program).encode()
        self._kernel = Kernel(engine.simulator, text, self._files(), self._lowered.inputs, self._lowered.outputs)
        self.name = graph.name

    def run(self, *arrays: Any) -> tuple[np.ndarray, ...]:
        """The Graph's inputs to its outputs, float32; what fp16 cannot hold is clamped and counted on both ways."""
        guard, kernel = self._engine.guard, self._kernel
        given = [guard.entering(a) for a in arrays]
        clamped, nans = kernel.clamped, kernel.nans
        made = kernel.run(*given)
        guard.received += kernel.clamped - clamped
        guard.nan += kernel.nans - nans
        return made

    def reload(self, prove: bool) -> None:
        """Take the weights as they are now: unload, overwrite the files, load (Orion 2026, section 7, variant b).

        With `prove` a probe must see new weights. Where the profile's reload leaves the old ones in place (R7) the
        program is compiled again. Raises UserError where a reload that should work did not, or the budget is spent.
        """
        engine = self._engine
        done = self._kernel.update(self._files(), prove or engine.recompiles)
        if done != "reload" and not engine.recompiles:
            raise UserError(f"{self.name}: a reload left the old weights in place, which {engine.profile.name} denies")

    def _files(self) -> dict[str, bytes]:
        """The weight files as of now."""
        files = {}
        for path, several in by_file(self._lowered.weights).items():
            files[path], made = contents(several)
            self._engine.guard.weights += made.nans + made.clamped
        return files
