"""The words of the space language that decide one thing each; `cell` and `grammar` hold the two big ones."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, NamedTuple

from netwright.spaces.domain import Categorical, Integer, Real, Weigh
from netwright.spaces.domain_sets import Permutations, Subsets
from netwright.spaces.node import Choose, Compiled, Node, Scope, compile_tree, decision, join, slots_of

_MISSING = object()


def _weighed(domain: Any, counts: Weigh) -> Categorical:
    """A choice of sub-spaces with the candidates behind each."""
    weighed: Categorical = domain.weighed(counts)
    return weighed


class Chosen(NamedTuple):
    """What a OneOf becomes in the structure: the branch's name and the structure behind it."""

    name: str
    value: Any


@dataclass(frozen=True)
class Choice(Node):
    """One of `values` (JSON values); `prior` gives each a weight. Structure: the value."""

    values: Sequence[Any]
    prior: Sequence[float] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        return decision(path, Categorical(self.values, self.prior), scope)


@dataclass(frozen=True)
class Int(Node):
    """An integer low, low + step, ..., <= high; `log` draws it log-uniformly, `prior` weighs each. Structure: int."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    prior: Sequence[float] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        return decision(path, Integer(self.low, self.high, self.step, self.log, self.prior), scope)


@dataclass(frozen=True)
class Float(Node):
    """A number in [low, high]; `log` draws it log-uniformly; `prior` (mean, deviation) is a normal distribution cut at
    both ends, over the logarithm with `log`. Structure: the float."""

    low: float
    high: float
    log: bool = False
    prior: tuple[float, float] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        return decision(path, Real(self.low, self.high, self.log, self.prior), scope)


@dataclass(frozen=True)
class Subset(Node):
    """min to max (default: all) different members of `values`; `prior` gives each a probability. Structure: a tuple in
    the order of `values`."""

    values: Sequence[Any]
    min: int = 0
    max: int | None = None
    prior: Sequence[float] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        most = len(self.values) if self.max is None else self.max
        return decision(path, Subsets(self.values, self.min, most, self.prior), scope)


@dataclass(frozen=True)
class Permutation(Node):
    """`values` in some order. Structure: a tuple."""

    values: Sequence[Any]

    def compile(self, path: str, scope: Scope) -> Compiled:
        return decision(path, Permutations(self.values), scope)


@dataclass(frozen=True)
class OneOf(Node):
    """One of several named sub-spaces; only the chosen one's decisions exist. Structure: `Chosen(name, structure)`.

    The branch is decided at `path`, what lies inside it at `path/name/...`.
    """

    branches: Mapping[str, Any]
    prior: Sequence[float] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        for name in self.branches:
            if not isinstance(name, str) or not name or "/" in name:
                raise ValueError(f'branches of a OneOf are named by texts without "/", not {name!r}')
        counts = cache(lambda: [part.count() for part in parts.values()])
        address = path or "value"
        if not scope.asks(address):
            return compile_tree(dict(self.branches), path, scope)
        domain = _weighed(scope.only(address, Categorical(tuple(self.branches), self.prior)), counts)
        own = scope.declare(address, domain)
        parts = {name: compile_tree(self.branches[name], join(path, name), scope) for name in domain.values}
        runs = {name: part.run for name, part in parts.items()}

        def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Chosen:
            name = trace[address] = choose(address, domain)
            return Chosen(name, runs[name](choose, trace, backtrack))

        every = parts.values()
        return Compiled(run, lambda: sum(counts()), all(part.finite for part in every), (own, *slots_of(every)))


@dataclass(frozen=True)
class Repeat(Node):
    """`body` as often as one of `counts` says. Structure: a list.

    The count is decided at `path.count`, the bodies at `path/0/...`, `path/1/...`; with `tied` the body is decided
    once, at `path/each/...`, and repeated as it is.
    """

    body: Any
    counts: Sequence[int]
    tied: bool = False
    prior: Sequence[float] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in self.counts):
            raise ValueError(f"a Repeat's counts are integers >= 0, not {self.counts!r}")
        address = f"{path}.count" if path else "count"
        counts = cache(lambda: [prod(part.count() for part in parts[:count]) for count in domain.values])
        domain = _weighed(scope.only(address, Categorical(self.counts, self.prior)), counts)
        most = max(domain.values)
        repeats = range(min(1, most) if self.tied else most)
        if not scope.asks(address):
            every = {"each" if self.tied else str(place): self.body for place in repeats}
            return compile_tree(every, path, scope)
        own = scope.declare(address, domain)
        parts = [compile_tree(self.body, join(path, "each" if self.tied else place), scope) for place in repeats]
        runs = tuple(part.run for part in parts)

        def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> list[Any]:
            count = trace[address] = choose(address, domain)
            return [part(choose, trace, backtrack) for part in runs[:count]]

        def run_tied(choose: Choose, trace: dict[str, Any], backtrack: bool) -> list[Any]:
            count = trace[address] = choose(address, domain)
            return [runs[0](choose, trace, backtrack)] * count if count else []

        finite = all(part.finite for part in parts)
        return Compiled(run_tied if self.tied else run, lambda: sum(counts()), finite, (own, *slots_of(parts)))


@dataclass(frozen=True)
class Tie(Node):
    """The value of another decision, made earlier: "stem/width", or relative to the tie's own place: "../width".

    No decision of its own, so it counts for one and never mutates apart. `default` stands in where the other decision
    is inactive. ValueError when compiled if no earlier decision has that address.
    """

    address: str
    default: Any = _MISSING

    def compile(self, path: str, scope: Scope) -> Compiled:
        relative = self.address.startswith(("./", "../"))
        target = posixpath.normpath(posixpath.join(path, self.address)) if relative else self.address
        if target not in scope.addresses and scope.asks(target):
            raise ValueError(f'Tie("{self.address}") names no decision before it; near: {scope.near(target)}')
        default = self.default

        def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Any:
            if target in trace:
                return trace[target]
            if default is _MISSING and not scope.asks(target):
                return None
            if default is _MISSING:
                raise ValueError(f'{path}: tied to "{target}", which is inactive here; give the Tie a default')
            return default

        return Compiled(run, lambda: 1)
