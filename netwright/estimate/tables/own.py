"""A table of one's own as a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.estimate.tables.table import Benchmark, Signal, Split
from netwright.spaces import Candidate, Choice, Space
from netwright.spaces.domain import freeze

_SPLITS: tuple[Split, ...] = ("validation", "test", "cost", "score")


def own(path: str | Path, space: Space | None = None) -> Benchmark:
    """A parquet or CSV file as a benchmark.

    Columns named `split:name` are results ("validation:accuracy", "test:accuracy", "cost:seconds", "score:synflow";
    costs are better when less, the rest when more; `cost:seconds`, where there is one, is what a reading of a
    validation column costs). Either a column `candidate` holds each row's decisions as a JSON object, or every other
    column is a decision of that name. Without a space, the decisions' values in the file make one.
    UserError for a row that is not of the space, twice the same candidate, or no validation column.
    """
    path = Path(path)
    columns = read(path)
    results = {name: name.split(":", 1) for name in columns if name.split(":", 1)[0] in _SPLITS and ":" in name}
    if not any(split == "validation" for split, _ in results.values()):
        raise UserError(f'{path}: no column "validation:..." says what a search may look at')
    seconds = "cost:seconds" in results
    signals = [Signal(name, split, "min" if split == "cost" else "max",  # type: ignore[arg-type]
                      cost="cost:seconds" if split == "validation" and seconds else "")
               for name, (split, _) in results.items()]
    decisions = _decisions(path, {name: column for name, column in columns.items() if name not in results})
    if space is None:
        values: dict[str, list[Any]] = {}
        for row in decisions:
            for address, value in row.items():
                values.setdefault(address, []).append(value)
        if any(len(found) < len(decisions) for found in values.values()):
            raise UserError(f"{path}: some rows lack decisions of others; give the space")
        space = Space(path.stem, {address: Choice(_distinct(found)) for address, found in values.items()})
    keys = []
    for number, row in enumerate(decisions):
        try:
            keys.append(tuple(space.validate(row).values()))
        except UserError as error:
            raise UserError(f"{path}: row {number + 1}: {error}") from None
    if len(set(keys)) < len(keys):
        twice = next(number for number, key in enumerate(keys) if key in keys[:number])
        raise UserError(f"{path}: row {twice + 1} repeats the candidate of row {keys.index(keys[twice]) + 1}")
    columns = {name: np.asarray(columns[name], dtype=float) for name in results}
    return Benchmark(path.stem, space, keys, signals, columns, about=str(path))


def _decisions(path: Path, columns: dict[str, np.ndarray]) -> list[Any]:
    if "candidate" in columns:
        return [Candidate.from_json(str(text)) for text in columns["candidate"]]
    if not columns:
        raise UserError(f"{path}: no column holds decisions")
    plain = {name: [freeze(value) for value in column.tolist()] for name, column in columns.items()}
    return [dict(zip(plain, row)) for row in zip(*plain.values())]


def _distinct(values: list[Any]) -> list[Any]:
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(isinstance(v, (int, float)) for v in distinct) else distinct
