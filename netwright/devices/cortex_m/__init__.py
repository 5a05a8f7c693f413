"""Cortex-M microcontrollers: C and ELF through zig's clang, run on an emulated core.

`cortex-m0plus`, `cortex-m4` and `cortex-m7` are cores with memories of widespread chips; a budget or a board file
(`board.py` describes it) replaces their sizes. Instructions, RAM and Flash are measured on the ELF; cycles and
milliseconds are modelled by `cycles.csv`.
"""

from __future__ import annotations

from functools import partial

from .board import BOARDS, Board
from .device import CortexM

DEVICES = {name: partial(CortexM, board) for name, board in BOARDS.items()}

__all__ = ["BOARDS", "DEVICES", "Board", "CortexM"]
