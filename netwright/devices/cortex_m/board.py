"""Cores that ship with netwright, and boards that a file describes.

core = "cortex-m4"
name = "nucleo-f446re"            # optional
clock = "180MHz"
wait_states = 5                   # Flash, charged to taken branches in the cycle model
uart = 0x40004000                 # optional: data register of a CMSDK UART, for the example
[flash]
origin = 0x08000000
size = "512KB"
[[ram]]                           # banks; the network and the stack live in the largest
origin = 0x20000000
size = "128KB"
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.errors import UserError

from ..quantities import clock_hz, size_bytes


@dataclass(frozen=True)
class Board:
    """Where the memories of a Cortex-M are, and how fast it runs."""

    name: str
    core: str  # cortex-m0plus | cortex-m4 | cortex-m7
    clock_hz: float
    flash_origin: int = 0x0000_0000
    flash_bytes: int = 4 << 20
    ram_origin: int = 0x2000_0000
    ram_bytes: int = 4 << 20
    wait_states: int = 0
    uart: int = 0x4000_4000


# Sizes of widespread chips of each core: RP2040-class, STM32F4-class, STM32F7-class; budgets replace them.
BOARDS = {
    "cortex-m0plus": Board("cortex-m0plus", "cortex-m0plus", 48e6, flash_bytes=256 << 10, ram_bytes=32 << 10),
    "cortex-m4": Board("cortex-m4", "cortex-m4", 80e6, flash_bytes=1 << 20, ram_bytes=256 << 10),
    "cortex-m7": Board("cortex-m7", "cortex-m7", 216e6, flash_bytes=2 << 20, ram_bytes=512 << 10),
}
_KNOWN = {"core", "name", "clock", "wait_states", "uart", "flash", "ram"}


def read_board(path: Path, core: str, table: dict[str, Any]) -> Board:
    """The board that a file describes. Raises UserError naming a key that is missing, unknown or of the wrong kind."""
    unknown = set(table) - _KNOWN
    if unknown:
        raise UserError(f"{path}: unknown keys {', '.join(sorted(unknown))} (known: {', '.join(sorted(_KNOWN))})")
    try:
        banks = table["ram"] if isinstance(table["ram"], list) else [table["ram"]]
        largest = max(banks, key=lambda bank: size_bytes(bank["size"]))
        return Board(
            str(table.get("name", path.stem)),
            core,
            clock_hz(table["clock"]) if "clock" in table else BOARDS[core].clock_hz,
            int(table["flash"].get("origin", 0)),
            size_bytes(table["flash"]["size"]),
            int(largest.get("origin", 0x2000_0000)),
            size_bytes(largest["size"]),
            int(table.get("wait_states", 0)),
            int(table.get("uart", 0x4000_4000)),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: board files need core, [flash] size and [[ram]] size ({error!r})") from None
