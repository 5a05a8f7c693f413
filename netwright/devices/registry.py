"""Devices by name, by board file, and the programs they compiled.

A family of devices is a package beside this module. It has `DEVICES` (name -> maker), `open_program(folder)` for what
it compiled, where a board file can describe one of its devices, `from_board(path, core, table)`, and, where a device
takes an option after a colon, `OPTION`, which says what it is; its maker takes that text.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import netwright.devices as package
from netwright.errors import UserError, nearest

from .device import Device, Program
from .manifest import MANIFEST
from .quantities import clock_hz, size_bytes, time_ms


def _families() -> dict[str, Any]:
    """Package name -> module, of the packages here that define devices."""
    loaded = {
        info.name: importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
        if info.ispkg
    }
    return {name: module for name, module in loaded.items() if hasattr(module, "DEVICES")}


def _owners() -> dict[str, Any]:
    """Device name -> the module of its family."""
    return {name: module for module in _families().values() for name in module.DEVICES}


def names() -> list[str]:
    """All devices that ship with netwright."""
    return sorted(_owners())


def open_program(folder: str | Path) -> Program:
    """The program in a folder that `compile` or `fit` wrote. Raises UserError when there is none."""
    place = Path(folder)
    try:
        family = str(json.loads((place / MANIFEST).read_text(encoding="utf-8"))["family"])
    except FileNotFoundError:
        raise UserError(f"{place}: no compiled program there (no {MANIFEST}); run `netwright compile` first") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{place / MANIFEST}: damaged: {error}") from None
    families = _families()
    if family not in families:
        raise UserError(f"{place / MANIFEST}: no family of devices is called {family!r}{nearest(family, families)}")
    program: Program = families[family].open_program(place)
    return program


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
    owners = _owners()
    family, colon, option = name.partition(":")
    if colon and hasattr(owners.get(family), "OPTION"):
        chosen: Device = owners[family].DEVICES[family](option)
        return chosen
    if name not in owners:
        raise UserError(f"unknown device {name!r}{nearest(name, owners)}")
    device: Device = owners[name].DEVICES[name]()
    return device


def _board(path: Path) -> Device:
    """A board file: `core`, [ram] banks, [flash], clock, wait_states; see the manual of `cortex_m`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such board file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable board file: {error}") from None
    core = str(table.get("core"))
    owners = {name: module for name, module in _owners().items() if hasattr(module, "from_board")}
    if core not in owners:
        raise UserError(f"{path}: core {core!r} is not known{nearest(core, owners)}")
    device: Device = owners[core].from_board(path, core, table)
    return device
