"""`Space`: a tree of decisions with a builder; everything it can do is one walk with another `choose`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from netwright.errors import Refused, UserError, nearest
from netwright.spaces.candidate import Candidate
from netwright.spaces.contradiction import contradiction
from netwright.spaces.domain import Domain, Draw, freeze, stream
from netwright.spaces.encoding import Encoding
from netwright.spaces.node import Choose, DeadEnd, Scope, compile_tree

if TYPE_CHECKING:
    from netwright.graph import Graph, Type

_TRIES = 1_000
_COUNTABLE = 1_000_000
_DIAGNOSED = 500
_MISSING = object()


@dataclass(frozen=True)
class Build:
    """What a builder makes: the network, how to train it, and the choices that belong to its deployment."""

    graph: Graph
    recipe: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Constraint:
    """A condition on the chosen structure, with the words that say it."""

    statement: str
    holds: Callable[[Any], bool]


def _matches(patterns: Sequence[str], address: str) -> bool:
    """Whether the address, or one that it lies under, is one of the patterns."""
    return any(fnmatchcase(address, pattern + end) for pattern in patterns for end in ("", "/*", ".*"))


def _made(kind: type[Space], *given: Any) -> Space:
    *positional, fixed, asked = given
    return kind(*positional, fixed=fixed, asked=asked)


class Space:
    """A set of networks, as symbolic data.

    tree         the vocabulary nested in plain dicts and lists
    build        build(structure, x, y) -> Build, for one task's input and output Types, as (1, 1, 8, 8) and (1, 10)
    constraints  conditions that every candidate keeps, beside what the tree says
    scales       choices at the tree's root that set the size of all the rest: what `narrow` decides first
    canonical    canonical(structure) -> text, equal for structures that compute alike: what `key` and caches go by
    fixed, asked decisions made already, and the only ones that there are: see `fix` and `part`

    `walk(choose)` is the one primitive: it calls `choose(address, domain)` for every active decision in order and
    returns the structure and the trace. ValueError at construction for a tree that makes no sense.
    """

    def __init__(self, name: str, tree: Any, build: Callable[[Any, Type, Type], Build] | None = None,
                 constraints: Sequence[Constraint] = (), about: str = "", scales: Sequence[str] = (),
                 canonical: Callable[[Any], str] | None = None, *, fixed: Mapping[str, Any] | None = None,
                 asked: frozenset[str] | None = None) -> None:
        self.name, self.tree, self.constraints, self.about = name, tree, tuple(constraints), about
        self.builder, self.scales, self.canonical = build, tuple(scales), canonical
        self.fixed, self.asked = {address: freeze(value) for address, value in (fixed or {}).items()}, asked
        try:
            self._compiled = compile_tree(tree, "", Scope(fixed=self.fixed, asked=asked))
        except ValueError as error:
            raise ValueError(f'space "{name}": {error}') from None
        self._encoding = Encoding(self._compiled.slots)
        slots = self._compiled.slots if self._compiled.flat and not self.constraints else ()
        # Where the same decisions are made in every candidate, drawing and changing them needs no walk.
        self._flat = {slot.address: slot.domain for slot in slots if slot.domain is not None}
        self._open = [address for address, domain in self._flat.items() if domain.size > 1]

    def __repr__(self) -> str:
        return f'Space("{self.name}")'

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.name, self.tree, self.builder, self.constraints, self.about, self.scales,
                       self.canonical, self.fixed, self.asked)

    # parts, for searches inside searches

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all decisions that a candidate may have; a grammar stands for all of its own."""
        return tuple(slot.address for slot in self._compiled.slots)

    def fix(self, decisions: Mapping[str, Any]) -> Space:
        """The space with these decisions made. Its candidates hold them too: they are candidates of this space, and
        build alike. Of a grammar all decisions are fixed or none.

        UserError for an address that is not there, or a value that it cannot be.
        """
        fixed = {**self.fixed, **decisions}
        try:
            found = Space(self.name, self.tree, self.builder, self.constraints, self.about, self.scales,
                          self.canonical, fixed=fixed, asked=self.asked)
        except ValueError as error:
            raise UserError(str(error)) from None
        missing = [address for address in fixed if address not in found.addresses]
        if missing:
            near = get_close_matches(missing[0], self.addresses, n=20, cutoff=0.3) or self.addresses[:20]
            raise UserError(f'space "{self.name}": there is no decision "{missing[0]}" to fix'
                            f'{nearest(missing[0], near)}')
        return found

    def part(self, where: str | Sequence[str] | Callable[[str], bool]) -> Space:
        """The space of some of the decisions: those whose address `where` holds for, or matches (or lies under one
        that matches) a pattern such as "stages/*.count". Its structure is the tree's with None for all others.

        A chosen decision that depends on one that is not (an operation's kernel, on the operation) is made in any
        case. Constraints and the builder need the whole, so a part has none: `whole.fix(candidate_of_part)` is the
        space of the rest. UserError where nothing is chosen.
        """
        patterns = (where,) if isinstance(where, str) else where
        chosen = patterns if callable(patterns) else partial(_matches, tuple(patterns))
        asked = frozenset(address for address in self.addresses if chosen(address))
        if not asked:
            raise UserError(f'space "{self.name}": no decision is in the part {where!r}')
        return Space(self.name, self.tree, about=self.about, fixed={a: v for a, v in self.fixed.items() if a in asked},
                     asked=asked)

    # the primitive

    def walk(self, choose: Choose, backtrack: bool = True) -> tuple[Any, Candidate]:
        """Make every active decision by `choose(address, domain) -> value`; returns the structure and the trace.

        A grammar that reaches a dead end asks again with a smaller domain, a bounded number of times (Refused); with
        `backtrack` off it raises DeadEnd. Values are taken as they are given and constraints are not looked at:
        `violated` tells.
        """
        trace: dict[str, Any] = {}
        structure = self._compiled.run(choose, trace, backtrack)
        return structure, Candidate.of(trace)

    def violated(self, structure: Any) -> str | None:
        """The statement of the first constraint that `structure` breaks, or None."""
        for constraint in self.constraints:
            if not constraint.holds(structure):
                return constraint.statement
        return None

    # drawing

    def sample(self, rng: np.random.Generator, by: str = "decision") -> Candidate:
        """One candidate.

        by="decision"   each decision uniform over its values (log ranges uniform in the logarithm)
        by="candidate"  uniform over all candidates, through exact counts (a Float counts as one)
        by="prior"      each decision by its prior where it has one
        Constraints are kept by rejection, so "candidate" stays uniform under them; Refused after 1,000 rejections.
        """
        draw = stream(rng, len(self._flat) or 64)
        if self._flat and by == "decision":
            return Candidate.of({address: domain.draw(draw) for address, domain in self._flat.items()})
        choose: Choose
        if by == "decision":
            def choose(address: str, domain: Domain) -> Any:
                return domain.draw(draw)
        elif by == "candidate":
            def choose(address: str, domain: Domain) -> Any:
                return domain.draw_candidate(draw)
        elif by == "prior":
            def choose(address: str, domain: Domain) -> Any:
                return domain.draw_prior(draw)
        else:
            raise ValueError(f'by is "decision", "candidate" or "prior", not {by!r}')
        return self._legal(lambda: choose, "sample")

    def mutate(self, candidate: Mapping[str, Any], rng: np.random.Generator, number: int = 1,
               rate: float | None = None, within: str = "") -> Candidate:
        """Redraw `number` decisions (or each with probability `rate`, at least one) to another value.

        All other decisions keep their value wherever their address still exists and allows it; decisions that the
        change brings in are drawn afresh. `within` limits the redrawn decisions to addresses that start so.
        """
        draw = stream(rng)
        if self._flat and self._flat.keys() == candidate.keys():
            return self._redraw(candidate, draw, number, rate, within)
        open_: list[str] = []

        def look(address: str, domain: Domain) -> Any:
            if domain.size > 1 and address.startswith(within):
                open_.append(address)
            return self._known(candidate, address, domain)

        self._replay(look)
        if not open_:
            raise Refused(f'space "{self.name}": nothing to mutate under "{within}"')

        def fresh() -> Choose:
            redrawn = self._pick(open_, draw, number, rate)

            def choose(address: str, domain: Domain) -> Any:
                value = candidate.get(address, _MISSING)
                if address in redrawn:
                    redrawn.discard(address)
                    # After a dead end the grammar offers less than before: the old value may be gone already.
                    return domain.other(domain.canonical(value), draw) if domain.contains(value) else domain.draw(draw)
                return self._keep(value, domain, draw)

            return choose

        return self._legal(fresh, "mutation", unlike=candidate)

    def _redraw(self, candidate: Mapping[str, Any], draw: Draw, number: int, rate: float | None,
                within: str) -> Candidate:
        """`mutate` where the decisions are the same in every candidate."""
        trace = {address: self._known(candidate, address, domain) for address, domain in self._flat.items()}
        open_ = [address for address in self._open if address.startswith(within)] if within else self._open
        if not open_:
            raise Refused(f'space "{self.name}": nothing to mutate under "{within}"')
        redrawn = self._pick(open_, draw, number, rate)
        for address in redrawn if len(redrawn) == 1 else [address for address in open_ if address in redrawn]:
            trace[address] = self._flat[address].other(trace[address], draw)
        return Candidate.of(trace)

    @staticmethod
    def _pick(addresses: list[str], draw: Draw, number: int, rate: float | None) -> set[str]:
        if rate is not None:
            picked = {address for address in addresses if draw() < rate}
            return picked or {addresses[int(draw() * len(addresses))]}
        pool = list(addresses)
        return {pool.pop(int(draw() * len(pool))) for _ in range(min(number, len(pool)))}

    def neighbours(self, candidate: Mapping[str, Any], rng: np.random.Generator) -> list[Candidate]:
        """Every candidate that differs in one decision by one step (any other value of a choice that has no order);
        what that decision brings in is drawn. Those that break a constraint are left out."""
        draw = stream(rng)
        steps: list[tuple[str, Any]] = []

        def look(address: str, domain: Domain) -> Any:
            value = self._known(candidate, address, domain)
            steps.extend((address, near) for near in domain.neighbours(value))
            return value

        self._replay(look)
        if self._flat:
            return [Candidate.of({**candidate, address: value}) for address, value in steps]
        found: dict[Candidate, None] = {}
        for address, value in steps:
            changed = {**candidate, address: value}
            try:
                structure, near = self.walk(
                    lambda at, domain: self._keep(changed.get(at, _MISSING), domain, draw))  # noqa: B023
            except (DeadEnd, Refused):
                continue
            if self.violated(structure) is None and near != candidate:
                found[near] = None
        return list(found)

    def crossover(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: np.random.Generator) -> Candidate:
        """Uniform crossover by address: each decision from one parent; from the other where that one has none."""
        draw = stream(rng)

        def choose(address: str, domain: Domain) -> Any:
            first, second = (a, b) if draw() < 0.5 else (b, a)
            for parent in (first, second):
                if address in parent and domain.contains(parent[address]):
                    return domain.canonical(parent[address])
            return domain.draw(draw)

        return self._legal(lambda: choose, "crossover")

    def repair(self, decisions: Mapping[str, Any], rng: np.random.Generator) -> Candidate:
        """The candidate that keeps every decision that is legal here and draws the rest; extra addresses fall away."""
        draw = stream(rng)
        return self._legal(lambda: lambda address, domain: self._keep(decisions.get(address, _MISSING), domain, draw),
                           "repair")

    @staticmethod
    def _keep(value: Any, domain: Domain, draw: Draw) -> Any:
        if value is not _MISSING:
            try:
                return domain.canonical(value)
            except ValueError:
                pass
        return domain.draw(draw)

    def _legal(self, fresh: Callable[[], Choose], what: str, unlike: Mapping[str, Any] | None = None) -> Candidate:
        broken: str | None = "no derivation of the grammar ends"
        for _ in range(_TRIES):
            try:
                structure, candidate = self.walk(fresh())
            except DeadEnd:
                continue
            if unlike is not None and candidate == unlike:
                broken = "differs from the candidate it came from"
                continue
            broken = self.violated(structure) if self.constraints else None
            if broken is None:
                return candidate
        why = f'the last one broke "{broken}"'
        if any(broken == constraint.statement for constraint in self.constraints):
            why = self._contradiction(fresh)
        raise Refused(f'space "{self.name}": no legal {what} in {_TRIES} tries; {why}')

    def _contradiction(self, fresh: Callable[[], Choose]) -> str:
        """What the constraints make of a few draws more, in words."""
        drawn = []
        for _ in range(_DIAGNOSED):
            try:
                drawn.append(self.walk(fresh())[0])
            except DeadEnd:
                continue
        return contradiction(self.constraints, drawn)

    # replaying

    def decode(self, candidate: Mapping[str, Any]) -> Any:
        """The structure that a candidate stands for; UserError naming the address where it does not fit."""
        given = candidate.trace if isinstance(candidate, Candidate) else candidate

        def choose(address: str, domain: Domain) -> Any:
            try:
                return domain.canonical(given[address])
            except (KeyError, ValueError, TypeError):
                return self._known(candidate, address, domain)

        return self._replay(choose)[0]

    def validate(self, candidate: Mapping[str, Any]) -> Candidate:
        """The candidate in the space's own spelling and order; UserError for what is missing, wrong or extra."""
        structure, legal = self._replay(lambda address, domain: self._known(candidate, address, domain))
        extra = [address for address in candidate if address not in legal]
        if extra:
            raise UserError(f'space "{self.name}": {extra[0]}: no such decision here; remove it (`repair` does)')
        broken = self.violated(structure)
        if broken:
            raise UserError(f'space "{self.name}": the candidate breaks "{broken}"')
        return legal

    def _known(self, candidate: Mapping[str, Any], address: str, domain: Domain) -> Any:
        try:
            return domain.canonical(candidate[address])
        except KeyError:
            raise UserError(f'space "{self.name}": {address}: decision missing; it may be one of {domain}') from None
        except (ValueError, TypeError) as error:
            raise UserError(f'space "{self.name}": {address}: {error}') from None

    def _replay(self, choose: Choose) -> tuple[Any, Candidate]:
        try:
            return self.walk(choose, backtrack=False)
        except DeadEnd as error:
            raise UserError(f'space "{self.name}": {error}') from None

    def build(self, candidate: Mapping[str, Any], x: Type, y: Type) -> Build:
        """The network of a candidate for one task: x and y are the Types of its input and output, batch 1."""
        if self.builder is None:
            raise ValueError(f'space "{self.name}" has no builder; give Space(..., build=...)')
        return self.builder(self.decode(candidate), x, y)

    def key(self, candidate: Mapping[str, Any]) -> str:
        """16 hexadecimal digits, equal for candidates that compute alike as far as `canonical` tells: a cache's key.

        Without `canonical`, the candidate's own key.
        """
        if self.canonical is None:
            return (candidate if isinstance(candidate, Candidate) else Candidate(candidate)).key
        return blake2b(self.canonical(self.decode(candidate)).encode(), digest_size=8).hexdigest()

    # counting

    def bound(self) -> int | float:
        """The exact number of candidates before constraints; math.inf where a Float is among the decisions."""
        return self._compiled.count() if self._compiled.finite else inf

    def count(self) -> int | float:
        """The exact number of candidates. With constraints they are enumerated: Refused above 1,000,000."""
        size = self.bound()
        if not self.constraints or size == inf:
            return size
        if size > _COUNTABLE:
            raise Refused(f'space "{self.name}": its constraints prevent an exact count; at most {size:,} candidates')
        return sum(1 for _ in self.enumerate())

    def enumerate(self) -> Iterator[Candidate]:
        """Every candidate once, the last decision changing fastest; Refused for a Float."""
        path: list[tuple[Iterator[Any], Any]] = []
        while True:
            depth = 0

            def choose(address: str, domain: Domain) -> Any:
                nonlocal depth
                if depth == len(path):
                    values = iter(domain)
                    path.append((values, next(values)))
                depth += 1
                return path[depth - 1][1]

            try:
                structure, candidate = self.walk(choose, backtrack=False)
                if self.violated(structure) is None:
                    yield candidate
            except DeadEnd:
                pass
            while path:
                values, _ = path.pop()
                following = next(values, _MISSING)
                if following is not _MISSING:
                    path.append((values, following))
                    break
            if not path:
                return

    # measuring

    def encode(self, candidate: Mapping[str, Any]) -> np.ndarray:
        """A float64 vector [len(columns)]: numbers and ordinal choices in [0, 1], other choices one-hot, subsets by
        membership, permutations by place. An inactive decision is -1 (all zeros where one-hot)."""
        vector = self._encoding.blank()
        fill = self._encoding.filler(vector)

        def choose(address: str, domain: Domain) -> Any:
            value = self._known(candidate, address, domain)
            fill(address, domain, value)
            return value

        self._replay(choose)
        return np.array(vector)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of `encode` stands for: the address, with the column's number where it has several."""
        return self._encoding.columns

    def distance(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
        """Sum over decisions: 1 where only one has it or unordered values differ, else the difference as a share of
        the range. 0 exactly for equal candidates."""
        domains: dict[str, Domain] = {}

        def choose(address: str, domain: Domain) -> Any:
            domains[address] = domain
            return self._known(a, address, domain)

        self._replay(choose)
        total = float(sum(address not in domains for address in b))
        for address, domain in domains.items():
            if address not in b:
                total += 1.0
            elif domain.contains(b[address]):
                total += domain.distance(a[address], b[address])
            else:
                total += 1.0
        return total
