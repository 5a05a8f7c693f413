"""A candidate: one point of a space, as the trace of its decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from netwright.errors import UserError
from netwright.spaces.domain import freeze


class Candidate(Mapping[str, Any]):
    """An ordered, immutable, hashable map from address ("stages/1/blocks/0/kernel") to a JSON value.

    It holds the decisions that are active, and nothing else, so two candidates are equal exactly when they are the
    same network. `key` is a short digest that is the same in every process and on every machine.
    """

    __slots__ = ("_hash", "_key", "_trace")

    def __init__(self, trace: Mapping[str, Any]) -> None:
        self._trace = {address: freeze(value) for address, value in trace.items()}
        self._hash: int | None = None
        self._key: str | None = None

    @classmethod
    def of(cls, trace: dict[str, Any]) -> Candidate:
        """Take over a trace whose values are frozen already (the fast path of `Space.walk`)."""
        candidate = object.__new__(cls)
        candidate._trace, candidate._hash, candidate._key = trace, None, None
        return candidate

    @property
    def trace(self) -> Mapping[str, Any]:
        """The decisions as they are kept, for reading only: faster than asking the candidate itself."""
        return self._trace

    @property
    def key(self) -> str:
        """16 hexadecimal digits (BLAKE2b, 64 bits) over the sorted decisions."""
        if self._key is None:
            text = json.dumps(self._trace, sort_keys=True, separators=(",", ":"))
            self._key = blake2b(text.encode(), digest_size=8).hexdigest()
        return self._key

    def to_json(self) -> str:
        """One line of JSON: an object from address to value, in the order of the decisions."""
        return json.dumps(self._trace)

    @classmethod
    def from_json(cls, text: str) -> Candidate:
        """The inverse of `to_json`; UserError where the text is not an object of JSON values."""
        try:
            trace = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"a candidate must be a JSON object of decisions: {error}") from None
        if not isinstance(trace, dict):
            raise UserError(f"a candidate must be a JSON object of decisions, not {type(trace).__name__}")
        try:
            return cls(trace)
        except TypeError as error:
            raise UserError(str(error)) from None

    def __getitem__(self, address: str) -> Any:
        return self._trace[address]

    def __contains__(self, address: object) -> bool:
        return address in self._trace

    def __iter__(self) -> Iterator[str]:
        return iter(self._trace)

    def __len__(self) -> int:
        return len(self._trace)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._trace.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Candidate):
            return self._trace == other._trace
        return isinstance(other, Mapping) and self._trace == dict(other)

    def __reduce__(self) -> tuple[Any, ...]:
        return Candidate, (self._trace,)

    def __repr__(self) -> str:
        return f"Candidate({self._trace!r})"
