"""What every word of the space language is: something that compiles to a walk over its decisions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

from netwright.spaces.domain import Categorical, Domain

Choose = Callable[[str, Domain], Any]
Run = Callable[[Choose, dict[str, Any], bool], Any]


class DeadEnd(Exception):
    """The decisions made so far leave no legal next one (only grammars with a state get here)."""


@dataclass(frozen=True)
class Slot:
    """Columns of the encoding. A grammar's slot has no domain: its decisions fill it in the order they are made."""

    address: str
    width: int
    domain: Domain | None = None


@dataclass(frozen=True)
class Compiled:
    """A part of a space made ready to walk.

    run(choose, trace, backtrack) makes the active decisions in order and returns the structure; count() is the number
    of candidates with every continuous decision counted as one; finite tells whether there is no such decision; flat
    whether each slot is decided in every candidate, independently and in the slots' order.
    """

    run: Run
    count: Callable[[], int]
    finite: bool = True
    slots: tuple[Slot, ...] = ()
    flat: bool = False


@dataclass
class Scope:
    """What is known while a tree compiles: the addresses declared so far (ties may refer to those).

    fixed  decisions that are made already: their domains have just that value
    asked  where set, the only decisions of this space; all others are passed over, their sub-spaces taken whole
    """

    addresses: dict[str, Domain] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    asked: frozenset[str] | None = None

    def asks(self, address: str) -> bool:
        """Whether the decision at `address` is one of this space."""
        return self.asked is None or address in self.asked

    def only(self, address: str, domain: Domain) -> Domain:
        """The domain, or for a fixed decision that of its one value; ValueError where it is no value of the domain."""
        if address not in self.fixed:
            return domain
        try:
            return Categorical((domain.canonical(self.fixed[address]),))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{error}: fixed") from None

    def declare(self, address: str, domain: Domain) -> Slot:
        """Register a decision; ValueError for an address that is taken."""
        if address in self.addresses:
            raise ValueError(f'two decisions have the address "{address}"; rename one')
        self.addresses[address] = domain
        return Slot(address, domain.width, domain)

    def near(self, address: str) -> str:
        """Declared addresses that look like this one, for an error message."""
        return ", ".join(difflib.get_close_matches(address, self.addresses, n=3, cutoff=0.3)) or "none"


class Node:
    """Base of the vocabulary. A word is a frozen dataclass with `compile`; adding one touches no other file."""

    def compile(self, path: str, scope: Scope) -> Compiled:
        """Compile for the place `path` in the tree; ValueError for a description that makes no sense."""
        raise NotImplementedError


def join(path: str, name: str | int) -> str:
    """The address of a part: `path/name`."""
    return f"{path}/{name}" if path else str(name)


def decision(address: str, domain: Domain, scope: Scope) -> Compiled:
    """A leaf: one decision whose structure is its value."""
    address = address or "value"
    if not scope.asks(address):
        return Compiled(lambda choose, trace, backtrack: None, lambda: 1)
    domain = scope.only(address, domain)
    slot = scope.declare(address, domain)

    def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Any:
        value = trace[address] = choose(address, domain)
        return value

    finite = isinstance(domain.size, int)
    return Compiled(run, lambda: int(domain.size) if finite else 1, finite, (slot,), flat=True)


def product(parts: Iterable[Compiled]) -> Callable[[], int]:
    """The count of parts that are decided independently, worked out when first asked for."""
    parts = tuple(parts)
    return cache(lambda: prod(part.count() for part in parts))


def together(run: Run, parts: Iterable[Compiled]) -> Compiled:
    """What several parts make that are decided independently, one after another."""
    parts = tuple(parts)
    return Compiled(run, product(parts), all(part.finite for part in parts), slots_of(parts),
                    all(part.flat for part in parts))


def slots_of(parts: Iterable[Compiled]) -> tuple[Slot, ...]:
    """All slots of several parts, in order."""
    return tuple(slot for part in parts for slot in part.slots)


def compile_tree(tree: Any, path: str, scope: Scope) -> Compiled:
    """Compile plain structure: dicts and lists are walked into, nodes compile themselves, the rest is constant."""
    if isinstance(tree, Node):
        try:
            return tree.compile(path, scope)
        except ValueError as error:
            where = path or "the root"
            raise error if " (at " in str(error) else ValueError(f"{error} (at {where})") from None
    if isinstance(tree, dict):
        return _compile_dict(tree, path, scope)
    if type(tree) in (list, tuple):
        return _compile_sequence(tree, path, scope)
    return Compiled(lambda choose, trace, backtrack: tree, lambda: 1, flat=True)


def _compile_dict(tree: dict[Any, Any], path: str, scope: Scope) -> Compiled:
    for key in tree:
        if not isinstance(key, str) or not key or "/" in key:
            raise ValueError(f'keys of a space are texts without "/", not {key!r} (at {path or "the root"})')
    parts = {key: compile_tree(part, join(path, key), scope) for key, part in tree.items()}
    runs = tuple((key, part.run) for key, part in parts.items())

    def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> dict[str, Any]:
        return {key: part(choose, trace, backtrack) for key, part in runs}

    return together(run, parts.values())


def _compile_sequence(tree: list[Any] | tuple[Any, ...], path: str, scope: Scope) -> Compiled:
    parts = [compile_tree(part, join(path, place), scope) for place, part in enumerate(tree)]
    runs = tuple(part.run for part in parts)
    kind = type(tree)

    def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Any:
        return kind([part(choose, trace, backtrack) for part in runs])

    return together(run, parts)
