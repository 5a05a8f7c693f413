"""From decisions to a fixed-length vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from netwright.spaces.domain import Domain
from netwright.spaces.node import Slot


class Encoding:
    """The columns of a space. A decision at a fixed address has its own; a grammar's decisions fill its columns in the
    order they are made, one number for a production ((place + 1) / number of productions seen there)."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = tuple(slots)
        self._blank: list[float] = []
        self._at: dict[str, tuple[int, Domain]] = {}
        self._grammars: dict[str, tuple[int, int]] = {}
        for slot in self.slots:
            start = len(self._blank)
            if slot.domain is None:
                self._grammars[slot.address] = (start, start + slot.width)
                self._blank += (-1.0,) * slot.width
            else:
                self._at[slot.address] = start, slot.domain
                self._blank += slot.domain.inactive()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """A name for every column."""
        return tuple(slot.address if slot.width == 1 else f"{slot.address}#{column}"
                     for slot in self.slots for column in range(slot.width))

    def blank(self) -> list[float]:
        """The vector of no decision at all."""
        return list(self._blank)

    def filler(self, vector: list[float]) -> Callable[[str, Domain, Any], None]:
        """A function that writes one decision after another into `vector`."""
        cursors = {address: start for address, (start, _) in self._grammars.items()}

        def fill(address: str, domain: Domain, value: Any) -> None:
            at = self._at.get(address)
            if at is not None:
                start, whole = at  # what is decided before may have left fewer values
                code = whole.encode(value)
                vector[start:start + len(code)] = code
                return
            owner = max((root for root in cursors if address == root or address.startswith(root + "/")), key=len)
            code = _scalar(domain, value) if domain.kind == "categorical" else domain.encode(value)
            start = cursors[owner]
            vector[start:start + len(code)] = code
            cursors[owner] = start + len(code)

        return fill


def _scalar(domain: Domain, value: Any) -> tuple[float, ...]:
    """A categorical decision of a grammar in one column: its place among what was offered."""
    return ((list(domain).index(value) + 1) / len(list(domain)),)
