"""Cortex-M microcontrollers: C and ELF through zig's clang, run on an emulated core.

`cortex-m0plus`, `cortex-m4` and `cortex-m7` are cores with memories of widespread chips; a budget or a board file
(`board.py` describes it) replaces their sizes. Instructions, RAM and Flash are measured on the ELF; cycles and
milliseconds are modelled by `cycles.csv`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from .board import BOARDS, Board, read_board
from .device import CortexM
from .device import CortexMProgram as open_program

DEVICES = {name: partial(CortexM, board) for name, board in BOARDS.items()}


def from_board(path: Path, core: str, table: dict[str, Any]) -> CortexM:
    """The device that a board file describes."""
    return CortexM(read_board(path, core, table))


__all__ = ["BOARDS", "DEVICES", "Board", "CortexM", "from_board", "open_program"]
