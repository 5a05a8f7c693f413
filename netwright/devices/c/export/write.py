"""Writing a library: everything beside its place, then renamed there."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shutil
from pathlib import Path
from types import ModuleType

import netwright
from netwright.errors import UserError, nearest

from . import formats as package_of_formats
from .package import Package

MARK = "netwright-export.json"  # tells a library that was exported, and what is its own in it


def formats() -> dict[str, ModuleType]:
    """Name -> module, of the build systems that libraries are written for."""
    place = package_of_formats
    names = sorted(info.name for info in pkgutil.iter_modules(place.__path__))
    return {name: importlib.import_module(f"{place.__name__}.{name}") for name in names}


def write(package: Package, kind: str, out: str | Path, overwrite: bool = False) -> Path:
    """The library in `out`, written as a whole or not at all.

    `overwrite` replaces a library that was exported before and nothing else. Raises UserError for an unknown kind, and
    for a place that is taken or cannot be written.
    """
    known = formats()
    if kind not in known:
        raise UserError(f"unknown format {kind!r}{nearest(kind, known)}")
    target = Path(out)
    _free(target, overwrite)
    licence = (Path(__file__).parent / "LICENSE").read_text(encoding="utf-8")
    files = {**known[kind].files(package), "LICENSE": licence}
    mark = {
        "netwright": netwright.__version__,
        "format": kind,
        "name": package.name,
        "device": package.device,
        "files": sorted([*files, MARK]),
    }
    files[MARK] = json.dumps(mark, indent=1) + "\n"
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    aside = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        for name, text in files.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_text(text, encoding="utf-8")
        if target.exists():
            os.replace(target, aside)
        os.replace(beside, target)
    except OSError as error:
        if aside.exists() and not target.exists():
            os.replace(aside, target)
        raise UserError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)
    return target


def _free(target: Path, overwrite: bool) -> None:
    """Raise UserError unless nothing is there, or `overwrite` was given and all that is there is an old export's."""
    if not target.name or target.name == "..":
        raise UserError(f"{target}: name a folder that is not there yet")
    if not os.path.lexists(target) or (target.is_dir() and not target.is_symlink() and not any(target.iterdir())):
        return
    if target.is_symlink() or not target.is_dir():
        raise UserError(f"{target} is no folder: choose another --out")
    if not overwrite:
        raise UserError(f"{target} is there already: replace it with --overwrite, or choose another --out")
    try:
        own = set(json.loads((target / MARK).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{target} was not written by `netwright export`: choose another --out") from None
    found = (str(path.relative_to(target)) for path in sorted(target.rglob("*")) if not path.is_dir())
    foreign = next((name for name in found if name not in own), None)
    if foreign is not None:
        raise UserError(f"{target / foreign} is not part of the export: move it away, or choose another --out")
