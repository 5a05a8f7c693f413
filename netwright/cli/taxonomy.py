"""netwright taxonomy"""

from __future__ import annotations

from typing import Any

from .options import Json

EXAMPLES = "Example: netwright taxonomy --json"


def command(as_json: Json = False) -> None:
    """Place every space, strategy, estimator and predictor on the axes of hardware-aware search."""
    from . import printing

    found = placed()
    if as_json:
        printing.as_json(found)
        return
    for axis, parts in found.items():
        printing.table(axis, ("name", "what it is"), [(name, said or "not placed yet") for name, said in parts.items()])


def placed() -> dict[str, dict[str, Any]]:
    """axis -> name -> where it stands; None for a part that nobody placed."""
    import tomllib
    from importlib.resources import files

    from netwright import estimate, search, spaces
    from netwright.estimate import predictors

    table = tomllib.loads(files("netwright.systems").joinpath("taxonomy.toml").read_text(encoding="utf-8"))
    names = {"spaces": spaces.names(), "strategies": search.names(), "estimators": estimate.names(),
             "predictors": predictors.names()}  # fmt: skip
    return {axis: {name: table[axis].get(name) for name in parts} for axis, parts in names.items()}
