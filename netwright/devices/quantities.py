"""Sizes, times and clocks as people write them: 4KB, 1.5 MB, 20ms, 80MHz."""

from __future__ import annotations

import os
import re

from netwright.errors import UserError

_SIZES = {
    "": 1,
    "b": 1,
    "kb": 1024,
    "kib": 1024,
    "k": 1024,
    "mb": 1024**2,
    "mib": 1024**2,
    "m": 1024**2,
    "gb": 1024**3,
    "gib": 1024**3,
    "g": 1024**3,
}
_TIMES_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "sec": 1e3, "m": 6e4, "min": 6e4, "h": 3.6e6, "": 1.0}
_CLOCKS = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9, "": 1e6}


def _parse(text: str | float | int, units: dict[str, float] | dict[str, int], what: str, example: str) -> float:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]*)\s*", str(text).lower())
    if match is None or match[2] not in units or float(match[1]) <= 0:
        raise UserError(f"{text!r} is not a {what} (for example {example})")
    return float(match[1]) * units[match[2]]


def size_bytes(text: str | int) -> int:
    """`4KB` -> 4096; KB = 1,024 bytes. A bare number is bytes."""
    return int(_parse(text, _SIZES, "size", "64KB or 65536"))


def time_ms(text: str | float) -> float:
    """`20ms` -> 20.0; a bare number is milliseconds."""
    return _parse(text, _TIMES_MS, "time", "20ms or 1.5s")


def time_s(text: str | float) -> float:
    """`15min` -> 900.0; a bare number is seconds."""
    bare = re.fullmatch(r"\s*[0-9.]+\s*", str(text))
    return time_ms(f"{text}s" if bare else text) / 1e3


def clock_hz(text: str | float) -> float:
    """`80MHz` -> 80e6; a bare number is megahertz."""
    return _parse(text, _CLOCKS, "clock", "80MHz")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
