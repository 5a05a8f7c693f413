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
Offers = Callable[[Any, str], Sequence[str]]
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
    productions their weights (prior); symbols left out are uniform. `fixed` gives some productions of a symbol their
    probability whatever else is possible, and the weights share out the rest. `max_size` bounds the productions
    applied, and `max_depth` their nesting; productions that could not end within both are never offered.

    A state (any hashable value, such as a shape with its mode) may be threaded from left to right through the
    derivation: `step(state, symbol, production)` gives the state after the production is applied, before its parts
    are derived, or None where it is not allowed; `accept(state)` judges the last one. `offers(state, symbol)` names
    the productions that `step` allows, in the order of the rules, where that is known faster than by asking for each.
    When no production is left, drawing goes back: the production above is withdrawn and another drawn (einspace,
    section 3). With `retreat` that one is drawn among the symbol's smallest productions only: where dead ends are
    common and derivations nearly critical, drawing all again costs more than the whole derivation.

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
    fixed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    offers: Offers | None = None
    retreat: bool = False

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


class _Part(NamedTuple):
    """A part of a production: its address after the production's, itself, the symbols to its right, and how many
    productions those need at least."""

    suffix: str
    part: str | Compiled
    later: tuple[str, ...]
    needed: float


Pending = tuple[Any, ...]  # (symbols, their depth, the Pending further out), or () where nothing is pending


def _flat(pending: Pending) -> list[tuple[str, int]]:
    flat: list[tuple[str, int]] = []
    while pending:
        symbols, depth, pending = pending
        flat += [(symbol, depth) for symbol in symbols]
    return flat


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
        self.plans = {key: self._plan(key[1], parts) for key, parts in self.parts.items()}
        self.most_size = {symbol: max((self.min_size[symbol, name] for name in productions), default=inf)
                          for symbol, productions in grammar.rules.items()}
        self.most_depth = {symbol: max((self.min_depth[symbol, name] for name in productions), default=inf)
                           for symbol, productions in grammar.rules.items()}
        self.smallest = {symbol: frozenset(name for name in productions
                                           if self.min_size[symbol, name] == self.least_size(symbol))
                         for symbol, productions in grammar.rules.items()}
        self.names = {symbol: tuple(productions) for symbol, productions in grammar.rules.items()}
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
        for symbol, shares in grammar.fixed.items():
            if not set(shares) <= set(grammar.rules.get(symbol, ())) or min(shares.values(), default=0) < 0 \
                    or sum(shares.values()) > 1:
                raise ValueError(f'grammar: the fixed probabilities of "{symbol}" must name productions of it and sum '
                                 "to at most 1")

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

    def _plan(self, name: str, parts: Sequence[str | Compiled]) -> tuple[_Part, ...]:
        """What deriving a production's parts has to know of each."""
        plan = []
        for place, part in enumerate(parts):
            later = tuple(other for other in parts[place + 1:] if isinstance(other, str))
            plan.append(_Part(f"/{name}.{place}", part, later, sum(map(self.least_size, later))))
        return tuple(plan)

    def least_size(self, symbol: str) -> float:
        """The least number of productions that derive `symbol`."""
        return min((self.min_size[symbol, name] for name in self.grammar.rules[symbol]), default=inf)

    def domain(self, symbol: str, names: tuple[str, ...]) -> Categorical:
        """The domain over some of a symbol's productions, with the prior renormalised."""
        found = self._domains.get((symbol, names))
        if found is None:
            found = Categorical(names, self._prior(symbol, names), narrowed=len(names) < self._whole[symbol])
            self._domains[symbol, names] = found
        return found

    def _prior(self, symbol: str, names: tuple[str, ...]) -> list[float] | None:
        weights, fixed = self.grammar.probabilities.get(symbol), self.grammar.fixed.get(symbol)
        if not weights and not fixed:
            return None
        prior = [1.0 if weights is None else weights[name] for name in names]
        if fixed:
            free = sum(weight for name, weight in zip(names, prior) if name not in fixed)
            left = 1 - sum(fixed.get(name, 0.0) for name in names)
            share = left / (free or 1.0)
            prior = [fixed[name] if name in fixed else weight * share for name, weight in zip(names, prior)]
        return prior if sum(prior) > 0 else None

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

    def derive(self, symbol: str, address: str, depth: int, reserve: float, pending: Pending) -> Derivation:
        """Derive one symbol. reserve: productions that parts to the right still need; pending: those parts."""
        machine, step = self.machine, self.machine.grammar.step
        before, used, mark = self.state, self.used, len(self.trace)
        names = self._allowed(symbol, depth, machine.grammar.max_size - used - reserve)
        while names:
            name = self._choose(symbol, address, names, depth, pending)
            try:
                self.state = before if step is None else step(before, symbol, name)
                if self.state is None:
                    raise DeadEnd(f'{address}: "{name}" is not possible here (state {before!r})')
                self.used = used + 1
                return Derivation(symbol, name, self._parts(symbol, name, address, depth, reserve, pending))
            except DeadEnd:
                if not self.backtrack:
                    raise
                self._back(mark, used, before)
                names = tuple(other for other in names if other != name
                              and (not machine.grammar.retreat or other in machine.smallest[symbol]))
        where = "" if self.backtrack else f" (state {before!r})"  # spelling it costs more than going back
        raise DeadEnd(f'{address}: no production of "{symbol}" is possible here{where}')

    def _allowed(self, symbol: str, depth: int, budget: float) -> tuple[str, ...]:
        """Productions that fit and that the state allows."""
        machine, grammar, state = self.machine, self.machine.grammar, self.state
        if grammar.offers is not None:
            names = tuple(grammar.offers(state, symbol))
        elif grammar.step is not None:
            step = grammar.step
            names = tuple(name for name in machine.names[symbol] if step(state, symbol, name) is not None)
        else:
            names = machine.names[symbol]
        if machine.most_size[symbol] > budget or machine.most_depth[symbol] > depth:
            sizes, depths = machine.min_size, machine.min_depth
            names = tuple(name for name in names if sizes[symbol, name] <= budget and depths[symbol, name] <= depth)
        return names

    def _choose(self, symbol: str, address: str, names: tuple[str, ...], depth: int, pending: Pending) -> str:
        machine = self.machine
        if machine._whole[symbol] == 1:
            return names[0]
        state, left = self.state, machine.grammar.max_size - self.used
        domain = machine.domain(symbol, names).weighed(
            lambda: machine.counter.behind(symbol, names, state, depth, left, _flat(pending)))
        name: str = self.choose(address, domain)
        self.trace[address] = name
        return name

    def _parts(self, symbol: str, name: str, address: str, depth: int, reserve: float,
               pending: Pending) -> tuple[Any, ...]:
        machine, built = self.machine, []
        for place, (suffix, part, later, needed) in enumerate(machine.plans[symbol, name]):
            if isinstance(part, str):
                after = (later, depth - 1, pending) if later else pending
                built.append(self.derive(part, address + suffix, depth - 1, reserve + needed, after))
            elif part.slots:
                leaf = machine.leaf(machine.sources[symbol, name][place], address + suffix)
                built.append(leaf.run(self.choose, self.trace, self.backtrack))
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
