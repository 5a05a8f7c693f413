"""Programs in files, whatever holds them: MIL text beside its weight files, a folder with `model.mil`, or a package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

from .execute import Executable, Numerics, prepare
from .mil import Difference, difference, parse
from .package import Package, read_package

TEXT = "model.mil"


def read(path: str | Path) -> Package:
    """The program in a file and the folder of its weight files. Raises UserError, naming the file."""
    place = Path(path)
    if place.suffix == ".mlpackage":
        return read_package(place)
    text = place / TEXT if place.is_dir() else place
    try:
        return Package(parse(text.read_bytes(), str(text)), text.parent)
    except OSError as error:
        raise UserError(f"{text}: {error.strerror or error}") from None


def load(path: str | Path, numerics: Numerics | None = None, function: str = "main") -> Executable:
    """The program in a file, ready to run. Raises UserError."""
    found = read(path)
    return prepare(found.program, found.folder, numerics, function)


def run(path: str | Path, inputs: Mapping[str, Any], numerics: Numerics | None = None) -> dict[str, np.ndarray]:
    """What the program in a file makes of inputs: name -> array, both ways. Raises UserError."""
    return load(path, numerics).run(inputs)


def diff(first: str | Path, second: str | Path) -> Difference:
    """What sets the programs in two files apart in structure. Raises UserError."""
    return difference(read(first).program, read(second).program)
