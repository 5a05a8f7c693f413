"""Exact counts of what a grammar derives, by dynamic programming over (symbol, state, depth)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from netwright.errors import Refused

Rules = Mapping[str, Sequence[tuple[str, tuple[str, ...], Callable[[], int]]]]
Ends = dict[tuple[Any, int], int]  # (state after, productions used) -> derivations
_ENTRIES = 200_000


class Budget(Protocol):
    """The fields of a Grammar that limit its derivations."""

    @property
    def max_size(self) -> int: ...
    @property
    def max_depth(self) -> int: ...
    @property
    def state(self) -> Any: ...
    @property
    def step(self) -> Callable[[Any, str, str], Any] | None: ...
    @property
    def accept(self) -> Callable[[Any], bool] | None: ...


class Counter:
    """Counts derivations. Without a state the tables are polynomials in the size: fast for thousands of productions
    applied; with one, they grow with the reachable states and are refused beyond 200,000 entries."""

    def __init__(self, start: str, rules: Rules, min_size: Mapping[tuple[str, str], float], budget: Budget) -> None:
        self.start, self.rules, self.min_size, self.budget = start, rules, min_size, budget
        self._memo: dict[tuple[str, Any, int, int], Ends] = {}
        self._entries = 0
        self._total: int | None = None

    def total(self) -> int:
        """The number of derivations of the start symbol; Refused where the tables would be too large."""
        if self._total is None:
            grammar = self.budget
            ends = self._ends(self.start, grammar.state, grammar.max_depth, grammar.max_size)
            self._total = self._accepted(ends, grammar.max_size)
        return self._total

    def behind(self, symbol: str, names: Sequence[str], state: Any, depth: int, left: int,
               pending: Sequence[tuple[str, int]]) -> list[int]:
        """For each production of `symbol`: the ways to finish it and all pending symbols with `left` productions."""
        counts = []
        for name, symbols, times in self.rules[symbol]:
            if name not in names:
                continue
            ends = self._produce(symbol, name, symbols, times(), state, depth, left)
            for other, other_depth in pending:
                ends = self._then(ends, other, other_depth, left)
            counts.append(self._accepted(ends, left))
        return counts

    def _accepted(self, ends: Ends, left: int) -> int:
        accept = self.budget.accept
        return sum(ways for (state, size), ways in ends.items() if size <= left and (accept is None or accept(state)))

    def _ends(self, symbol: str, state: Any, depth: int, left: int) -> Ends:
        # Without a state one table for the whole budget serves every smaller one.
        if self.budget.step is None:
            left = self.budget.max_size
        depth = min(depth, left)
        key = (symbol, state, depth, left)
        if key not in self._memo:
            ends: Ends = {}
            for name, symbols, times in self.rules[symbol]:
                for end, ways in self._produce(symbol, name, symbols, times(), state, depth, left).items():
                    ends[end] = ends.get(end, 0) + ways
            self._memo[key] = ends
            self._entries += len(ends) + 1
            if self._entries > _ENTRIES:
                raise Refused("this grammar has too many states to count exactly; lower max_size or max_depth, "
                              'or sample by="prior"')
        return self._memo[key]

    def _produce(self, symbol: str, name: str, symbols: Sequence[str], times: int, state: Any, depth: int,
                 left: int) -> Ends:
        step = self.budget.step
        after = state if step is None else step(state, symbol, name)
        if after is None or depth < 1 or self.min_size[symbol, name] > left:
            return {}
        ends: Ends = {(after, 1): times}
        for part in symbols:
            ends = self._then(ends, part, depth - 1, left)
        return ends

    def _then(self, ends: Ends, symbol: str, depth: int, left: int) -> Ends:
        joined: Ends = {}
        for (state, size), ways in ends.items():
            for (after, more), times in self._ends(symbol, state, depth, left - size).items() if size < left else ():
                if size + more <= left:
                    joined[after, size + more] = joined.get((after, size + more), 0) + ways * times
        return joined
