"""Grammars: recursive spaces, with probabilities, a size budget and a state that decides what may come next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any, NamedTuple

from netwright.errors import Refused
from netwright.spaces.domain import Categorical
from netwright.spaces.grammar_count import Counter
from netwright.spaces.node import Choose, Compiled, DeadEnd, Node, Scope, Slot, compile_tree

Step = Callable[[Any, str, str], Any]
_RETRIES = 1_000


class Derivation(NamedTuple):
    """What a Grammar becomes in the structure: a symbol, the production chosen for it, and its parts in order."""

    symbol: str
    production: str
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Grammar(Node):
    """Everything that `start` derives by `rules`: symbol -> production -> parts.

    A part that is a text names a symbol; any other part is a sub-space or a constant. `probabilities` gives a symbol's
    productions their weights (prior); symbols left out are uniform. `max_size` bounds the productions applied, and
    `max_depth` their nesting; productions that could not end within both are never offered.

    A state (any hashable value, such as a shape with its mode) may be threaded from left to right through the
    derivation: `step(state, symbol, production)` gives the state after the production is applied, before its parts
    are derived, or None where it is not allowed; `accept(state)` judges the last one. When no production is left,
    drawing goes back: the production above is withdrawn and another drawn (einspace, section 3).

    Addresses: the root at `path`, part i of a production at `<its own address>/<production>.<i>`; a symbol with one
    production is no decision.
    """

    rules: Mapping[str, Mapping[str, Sequence[Any]]]
    start: str
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    max_size: int = 64
    max_depth: int = 100
    state: Hashable = ()
    step: Step | None = None
    accept: Callable[[Any], bool] | None = None

    def compile(self, path: str, scope: Scope) -> Compiled:
        machine = Machine(self)
        address = path or "value"
        if not scope.asks(address):
            return Compiled(lambda choose, trace, backtrack: None, lambda: 1)
        scope.declare(address, machine.domain(self.start, tuple(self.rules[self.start])))
        made = {at: value for at, value in scope.fixed.items() if at == address or at.startswith(address + "/")}
        if made:
            return _derived(machine, address, made)

        def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Derivation:
            return Walk(machine, choose, trace, backtrack).run(address)

        count = machine.counter.total
        return Compiled(run, count, machine.finite, (Slot(address, machine.width * self.max_size),))


def _derived(machine: Machine, address: str, made: Mapping[str, Any]) -> Compiled:
    """A grammar whose derivation is fixed; ValueError unless `made` is all of its decisions."""
    trace: dict[str, Any] = {}
    try:
        derivation = Walk(machine, lambda place, domain: domain.canonical(made[place]), trace, False).run(address)
    except KeyError as error:
        raise ValueError(f"fix all decisions of a grammar or none: {error} is missing") from None
    except DeadEnd as error:
        raise ValueError(str(error)) from None
    extra = [place for place in made if place not in trace]
    if extra:
        raise ValueError(f"the fixed derivation has no decision {extra[0]}")
    only = {place: Categorical((value,)) for place, value in trace.items()}

    def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Derivation:
        for place, domain in only.items():
            trace[place] = choose(place, domain)
        return derivation

    return Compiled(run, lambda: 1, True, tuple(Slot(place, 1, domain) for place, domain in only.items()))


class Machine:
    """A grammar checked and indexed: minimal sizes and depths, cached domains, exact counts."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._check(grammar)
        self.parts = {(symbol, name): tuple(part if isinstance(part, str) else compile_tree(part, "", Scope())
                                            for part in parts)
                      for symbol, productions in grammar.rules.items() for name, parts in productions.items()}
        self.sources = {(symbol, name): tuple(parts)
                        for symbol, productions in grammar.rules.items() for name, parts in productions.items()}
        self.symbols = {key: tuple(part for part in parts if isinstance(part, str))
                        for key, parts in self.parts.items()}
        self.min_size = self._least(lambda sizes: 1 + sum(sizes))
        self.min_depth = self._least(lambda depths: 1 + max(depths, default=0))
        start = min(self.min_size[grammar.start, name] for name in grammar.rules[grammar.start])
        if start > grammar.max_size:
            raise ValueError(f'grammar: "{grammar.start}" derives nothing within max_size {grammar.max_size}')
        leaves = {key: tuple(part for part in parts if isinstance(part, Compiled)) for key, parts in self.parts.items()}
        self.finite = all(leaf.finite for parts in leaves.values() for leaf in parts)
        widths = [sum(slot.width for leaf in parts for slot in leaf.slots) for parts in leaves.values()]
        self.width = 1 + max(widths, default=0)
        self.counter = Counter(grammar.start, {
            symbol: tuple((name, self.symbols[symbol, name], _times(leaves[symbol, name])) for name in productions)
            for symbol, productions in grammar.rules.items()
        }, self.min_size, grammar)
        self._domains: dict[tuple[str, tuple[str, ...]], Categorical] = {}
        self._leaves: dict[tuple[str, int], Compiled] = {}
        self._whole = {symbol: len(productions) for symbol, productions in grammar.rules.items()}

    def _check(self, grammar: Grammar) -> None:
        if grammar.start not in grammar.rules:
            raise ValueError(f'grammar: the start "{grammar.start}" is no symbol of {sorted(grammar.rules)}')
        for symbol, productions in grammar.rules.items():
            for name, parts in productions.items():
                if "/" in name:
                    raise ValueError(f'grammar: a production\'s name has no "/": "{name}"')
                unknown = [part for part in parts if isinstance(part, str) and part not in grammar.rules]
                if unknown:
                    raise ValueError(f'grammar: "{symbol}" -> "{name}" uses "{unknown[0]}", which has no rule')
        for symbol, weights in grammar.probabilities.items():
            if set(weights) != set(grammar.rules.get(symbol, ())):
                raise ValueError(f'grammar: the probabilities of "{symbol}" must name exactly its productions')

    def _least(self, combine: Callable[[list[float]], float]) -> dict[tuple[str, str], float]:
        """The least size or depth of what each production derives, as a fixed point from infinity."""
        least: dict[tuple[str, str], float] = dict.fromkeys(self.symbols, inf)
        changed = True
        while changed:
            changed = False
            best = {symbol: min((least[symbol, name] for name in names), default=inf)
                    for symbol, names in self.grammar.rules.items()}
            for key, symbols in self.symbols.items():
                value = combine([best[symbol] for symbol in symbols])
                if value < least[key]:
                    least[key], changed = value, True
        return least

    def least_size(self, symbol: str) -> float:
        """The least number of productions that derive `symbol`."""
        return min(self.min_size[symbol, name] for name in self.grammar.rules[symbol])

    def domain(self, symbol: str, names: tuple[str, ...]) -> Categorical:
        """The domain over some of a symbol's productions, with the prior renormalised."""
        found = self._domains.get((symbol, names))
        if found is None:
            weights = self.grammar.probabilities.get(symbol)
            prior = [weights[name] for name in names] if weights else None
            usable = prior if prior and sum(prior) > 0 else None
            found = Categorical(names, usable, narrowed=len(names) < self._whole[symbol])
            self._domains[symbol, names] = found
        return found

    def leaf(self, source: Any, path: str) -> Compiled:
        """A sub-space inside a production, compiled for the address it stands at."""
        key = (path, id(source))
        if key not in self._leaves:
            if len(self._leaves) > 10_000:
                self._leaves.clear()
            self._leaves[key] = compile_tree(source, path, Scope())
        return self._leaves[key]


def _times(leaves: Sequence[Compiled]) -> Callable[[], int]:
    return lambda: prod(leaf.count() for leaf in leaves)


class Walk:
    """One derivation being made."""

    def __init__(self, machine: Machine, choose: Choose, trace: dict[str, Any], backtrack: bool) -> None:
        self.machine, self.choose, self.trace, self.backtrack = machine, choose, trace, backtrack
        self.used = 0
        self.retries = _RETRIES
        self.state: Any = machine.grammar.state

    def run(self, address: str) -> Derivation:
        grammar, accept = self.machine.grammar, self.machine.grammar.accept
        mark = len(self.trace)
        while True:
            derivation = self.derive(grammar.start, address, grammar.max_depth, 0, ())
            if accept is None or accept(self.state):
                return derivation
            if not self.backtrack:
                raise DeadEnd(f"{address}: the derivation ends in state {self.state!r}, which is not accepted")
            self._back(mark, 0, grammar.state)

    def derive(self, symbol: str, address: str, depth: int, reserve: float, pending: tuple[Any, ...]) -> Derivation:
        """Derive one symbol. reserve: productions that parts to the right still need; pending: those parts."""
        machine = self.machine
        before, used, mark = self.state, self.used, len(self.trace)
        budget = machine.grammar.max_size - used - reserve
        after = self._allowed(symbol, depth, budget)
        while after:
            name = self._choose(symbol, address, tuple(after), depth, pending)
            try:
                self.state, self.used = after[name], used + 1
                return Derivation(symbol, name, self._parts(symbol, name, address, depth, reserve, pending))
            except DeadEnd:
                if not self.backtrack:
                    raise
                self._back(mark, used, before)
                del after[name]
        raise DeadEnd(f'{address}: no production of "{symbol}" is possible here (state {before!r})')

    def _allowed(self, symbol: str, depth: int, budget: float) -> dict[str, Any]:
        """Productions that fit, with the state after each."""
        machine, step, allowed = self.machine, self.machine.grammar.step, {}
        for name in machine.grammar.rules[symbol]:
            if machine.min_size[symbol, name] <= budget and machine.min_depth[symbol, name] <= depth:
                state = self.state if step is None else step(self.state, symbol, name)
                if state is not None:
                    allowed[name] = state
        return allowed

    def _choose(self, symbol: str, address: str, names: tuple[str, ...], depth: int, pending: tuple[Any, ...]) -> str:
        machine = self.machine
        if machine._whole[symbol] == 1:
            return names[0]
        state, left = self.state, machine.grammar.max_size - self.used
        domain = machine.domain(symbol, names).weighed(
            lambda: machine.counter.behind(symbol, names, state, depth, left, pending))
        name: str = self.choose(address, domain)
        self.trace[address] = name
        return name

    def _parts(self, symbol: str, name: str, address: str, depth: int, reserve: float,
               pending: tuple[Any, ...]) -> tuple[Any, ...]:
        machine, built = self.machine, []
        parts, sources = machine.parts[symbol, name], machine.sources[symbol, name]
        for place, part in enumerate(parts):
            here = f"{address}/{name}.{place}"
            if isinstance(part, str):
                later = tuple((other, depth - 1) for other in parts[place + 1:] if isinstance(other, str))
                needed = reserve + sum(machine.least_size(other) for other, _ in later)
                built.append(self.derive(part, here, depth - 1, needed, later + pending))
            elif part.slots:
                built.append(machine.leaf(sources[place], here).run(self.choose, self.trace, self.backtrack))
            else:
                built.append(part.run(self.choose, self.trace, self.backtrack))
        return tuple(built)

    def _back(self, mark: int, used: int, state: Any) -> None:
        """Forget the decisions after `mark`; Refused when that happened too often."""
        self.retries -= 1
        if self.retries < 0:
            raise Refused(f"the grammar ran into {_RETRIES} dead ends in one derivation; loosen its state rules")
        for address in list(self.trace)[mark:]:
            del self.trace[address]
        self.used, self.state = used, state
