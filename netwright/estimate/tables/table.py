"""A recorded benchmark: every candidate's measured results, looked up instead of measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from netwright.errors import UserError, nearest
from netwright.spaces import Candidate, Space

Split = Literal["validation", "test", "cost", "score"]


@dataclass(frozen=True)
class Signal:
    """One thing that was recorded of every candidate.

    split   what it was measured on: "validation" (a search may look), "test" (only the one that is returned is read),
            "cost" (seconds, milliseconds, bytes), "score" (training-free)
    better  the direction
    cost    the signal that says what a reading costs, in seconds; "" where none was recorded
    """

    name: str
    split: Split
    better: Literal["min", "max"]
    unit: str = ""
    cost: str = ""
    about: str = ""


class Reading(float):
    """A recorded value that knows its signal: `reading.signal.name`, `reading.signal.split`."""

    signal: Signal

    def __new__(cls, value: float, signal: Signal) -> Reading:
        """The value of one candidate under `signal`."""
        made = super().__new__(cls, value)
        made.signal = signal
        return made

    def __repr__(self) -> str:
        return f"{float(self):g} ({self.signal.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Reading, (float(self), self.signal)


class Benchmark:
    """A space with a table of results.

    space     whose candidates the rows are
    keys      one tuple a row: the values of the candidate's decisions, in the space's order
    signals   what the columns mean
    columns   signal name -> [rows]; NaN where nothing was recorded

    `query(candidate, signal="val12")` is the scalar way in, `values(signal)` the whole column. Rows are in the
    benchmark's own order: row i is index i where it has one.
    """

    def __init__(self, name: str, space: Space, keys: Sequence[tuple[Any, ...]], signals: Sequence[Signal],
                 columns: Mapping[str, np.ndarray], about: str = "") -> None:
        self.name, self.space, self.about = name, space, about
        self.keys = keys
        self.signals = {signal.name: signal for signal in signals}
        self.columns = dict(columns)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._candidates: list[Candidate] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f'Benchmark("{self.name}", {len(self):,} candidates; {", ".join(self.signals)})'

    def signal(self, name: str) -> Signal:
        """The signal of that name; UserError with the nearest."""
        if name not in self.signals:
            raise UserError(f'benchmark "{self.name}" has no signal "{name}" {nearest(name, list(self.signals))}')
        return self.signals[name]

    def row(self, candidate: Mapping[str, Any]) -> int:
        """The row of a candidate; UserError for one that is not of the space or not in the table."""
        row = self._rows.get(tuple(candidate.values()))
        if row is None:
            row = self._rows.get(tuple(self.space.validate(candidate).values()))
        if row is None:
            raise UserError(f'benchmark "{self.name}" holds no result of {dict(candidate)}')
        return row

    def holds(self, candidate: Mapping[str, Any]) -> bool:
        """Whether the table has a row of a candidate."""
        return tuple(candidate.values()) in self._rows

    def query(self, candidate: Mapping[str, Any] | str, signal: str) -> Reading:
        """One recorded value; `candidate` may be the benchmark's own text. UserError for what is not recorded."""
        found = self.signal(signal)
        known = self.parse(candidate) if isinstance(candidate, str) else candidate
        value = float(self.columns[signal][self.row(known)])
        if value != value:
            raise UserError(f'benchmark "{self.name}" holds no {signal} of {candidate}')
        return Reading(value, found)

    def parse(self, text: str) -> Candidate:
        """A candidate from the benchmark's own text; UserError where it has no such form."""
        raise UserError(f'benchmark "{self.name}" has no text form; give a candidate')

    def values(self, signal: str) -> np.ndarray:
        """[rows]: a whole column."""
        return self.columns[self.signal(signal).name]

    def candidate(self, row: int) -> Candidate:
        """The candidate of a row."""
        return self.candidates()[row]

    def candidates(self) -> list[Candidate]:
        """The candidates of all rows."""
        if self._candidates is None:
            self._candidates = [self._made(key) for key in self.keys]
        return self._candidates

    def _made(self, key: tuple[Any, ...]) -> Candidate:
        values: Iterator[Any] = iter(key)
        return self.space.walk(lambda address, domain: next(values), backtrack=False)[1]
