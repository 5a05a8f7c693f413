"""Devices by name, from modules of this package, or from a board file."""

from __future__ import annotations

import importlib
import pkgutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import netwright.devices as package
from netwright.errors import UserError, nearest

from .device import Device
from .quantities import clock_hz, size_bytes, time_ms


def _makers() -> dict[str, Callable[[], Device]]:
    found: dict[str, Callable[[], Device]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.ispkg:
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            found.update(getattr(module, "DEVICES", {}))
    return found


def names() -> list[str]:
    """All devices that ship with netwright."""
    return sorted(_makers())


def get(
    name: str,
    *,
    ram: str | int | None = None,
    flash: str | int | None = None,
    latency: str | float | None = None,
    clock: str | float | None = None,
) -> Device:
    """The device `name` (or a board file ending in .toml), with the user's budget in place of its own limits.

    Sizes as `64KB` (KB = 1,024 bytes), times as `20ms`, clocks as `80MHz`. Raises UserError for an unknown name, with
    the nearest, and for unreadable quantities.
    """
    device = _board(Path(name)) if name.endswith(".toml") else _named(name)
    changes: dict[str, Any] = {}
    if ram is not None:
        changes["ram_bytes"] = size_bytes(ram)
    if flash is not None:
        changes["flash_bytes"] = size_bytes(flash)
    if latency is not None:
        changes["latency_ms"] = time_ms(latency)
    if clock is not None:
        changes["clock_hz"] = clock_hz(clock)
    device.limits = replace(device.limits, **changes)
    return device


def _named(name: str) -> Device:
    makers = _makers()
    if name not in makers:
        raise UserError(f"unknown device {name!r}{nearest(name, makers)}")
    return makers[name]()


def _board(path: Path) -> Device:
    """A board file: `core`, [ram] banks, [flash], clock, wait_states; see the manual of `cortex_m`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such board file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable board file: {error}") from None
    core = table.get("core")
    makers = _makers()
    if core not in makers:
        raise UserError(f"{path}: core {core!r} is not known{nearest(str(core), makers)}")
    from .cortex_m.board import from_table

    return from_table(path, str(core), table)
