"""What programs run on: the simulator, anywhere, or the engine of a Mac.

    engine = open_engine("simulator", profile.load("m4max-orion"))
    Kernel.of(engine, lowered).run(x)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netwright.errors import UserError, nearest

from .profile import AneProfile

if TYPE_CHECKING:
    from .simulator.surface import Surface

ENGINES = ("simulator", "macos")


class Engine(Protocol):
    """The driver's calls (Orion 2026, section 7), those of `Simulator` and `macos.Macos`; handles are their own."""

    exact: bool  # it computes what the executor computes, to the bit
    profile: AneProfile
    compiles: int
    elapsed_ms: float  # modelled
    log: list[str]

    def compile(self, text: Any, weights: Any) -> Any: ...
    def load(self, handle: Any) -> None: ...
    def unload(self, handle: Any) -> None: ...
    def reload(self, handle: Any, weights: Mapping[str, bytes | Path]) -> None: ...
    def delete(self, handle: Any) -> None: ...
    def evaluate(self, handle: Any, inputs: Sequence[Surface], outputs: Sequence[Surface]) -> int: ...


def open_engine(name: str, profile: AneProfile) -> Engine:
    """The engine of that name. Raises UserError for an unknown one, and for `macos` anywhere but on a Mac."""
    if name not in ENGINES:
        raise UserError(f"no engine is called {name!r}{nearest(name, ENGINES)}")
    if name == "macos":
        from .macos import Macos

        return Macos(profile)
    from .simulator import Simulator

    return Simulator(profile)
