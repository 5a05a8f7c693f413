"""Recorded data: benchmark tables, reference models and test inputs that are too large, or not ours, to ship.

They lie in one folder, one subfolder a set, given as `--data DIR` or in the environment as NETWRIGHT_DATA;
`recorded.toml` says what each set is for, its licence and where the public has it. Nothing is ever downloaded.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from netwright.errors import UserError

VARIABLE = "NETWRIGHT_DATA"


def folder(data: str | None = None) -> Path | None:
    """The folder of recorded data: `data`, else NETWRIGHT_DATA, else None. Raises UserError when it is not a folder."""
    given, said = (data, "--data") if data else (os.environ.get(VARIABLE), VARIABLE)
    if not given:
        return None
    place = Path(given).expanduser()
    if not place.is_dir():
        raise UserError(f"{given}: no such folder (given as {said}); see `netwright data` for what belongs there")
    return place


def listing(data: str | None = None) -> list[dict[str, Any]]:
    """Every set by name: {name, found, use, licence, origin, note}. Raises UserError as `folder` does."""
    place = folder(data)
    return [
        {"name": name, "found": place is not None and _filled(place / name), **entry}
        for name, entry in _entries().items()
    ]


@cache
def _entries() -> dict[str, dict[str, str]]:
    with Path(__file__).with_name("recorded.toml").open("rb") as file:
        table = tomllib.load(file)
    return {
        name: {key: str(table[name].get(key, "")) for key in ("use", "licence", "origin", "note")}
        for name in sorted(table)
    }


def _filled(place: Path) -> bool:
    return place.is_dir() and any(place.iterdir())
