"""Lists of tensors, as exporters of `chunk` and `unbind` write them: taken apart at import."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ops.shape import Reshape, Split
from .entry import Entry, Sequence
from .importer import Call, imports
from .move import joined

MOST_PARTS = 4096


def _place(n: Call, index: int, size: int) -> int:
    """A known position, from the end where it is below 0; `size` positions exist."""
    place = int(n.number(index, size))
    if not -size <= place <= size:
        raise n.refuse(f"position {place} of a sequence of {size}")
    return place + size if place < 0 else place


@imports("SequenceEmpty", "SequenceConstruct")
def construct(n: Call) -> Any:
    """A list of the operands."""
    return Sequence(tuple(n.operands()))


@imports("SequenceInsert")
def insert(n: Call) -> Any:
    """With one more, at the end or before a position."""
    entries = n.sequence(0)
    place = _place(n, 2, len(entries))
    if len(entries) >= MOST_PARTS:
        raise n.refuse(f"a sequence of over {MOST_PARTS} tensors")
    return Sequence((*entries[:place], n.x(1), *entries[place:]))


@imports("SequenceErase")
def erase(n: Call) -> Any:
    """With one less, the last or that at a position."""
    entries = n.sequence(0)
    place = _place(n, 1, len(entries)) if n.get(1) is not None else len(entries) - 1
    return Sequence(entries[:place] + entries[place + 1 :])


@imports("SequenceAt")
def at(n: Call) -> Entry:
    """One of them."""
    entries = n.sequence(0)
    place = _place(n, 1, len(entries))
    if place >= len(entries):
        raise n.refuse(f"position {place} of a sequence of {len(entries)}")
    return entries[place]


@imports("SequenceLength")
def length(n: Call) -> np.ndarray:
    """How many."""
    return np.array(len(n.sequence(0)), np.int64)


@imports("ConcatFromSequence")
def concat(n: Call) -> Entry:
    """Joined along an axis, or stacked along a new one."""
    entries = list(n.sequence(0))
    if not entries:
        raise n.refuse("it joins nothing")
    rank = len(entries[0].shape)
    if not n.integer("new_axis", 0):
        return joined(n, entries, n.axis(n.integer("axis", 0), rank))
    axis = n.axis(n.integer("axis", 0), rank + 1)
    parts = [n(Reshape((*e.shape[:axis], 1, *e.shape[axis:])), e) for e in entries]
    return joined(n, parts, axis)


@imports("OptionalHasElement")
def has_element(n: Call) -> np.ndarray:
    """Whether the operand is there."""
    return np.array(n.get(0) is not None)


@imports("Optional", "OptionalGetElement")
def element(n: Call) -> Any:
    """The operand itself; one that is absent cannot be carried on."""
    entry: Any = n.get(0)
    return entry if isinstance(entry, Sequence) else n.x(0)


@imports("SplitToSequence")
def split(n: Call) -> Any:
    """Parts of one size, of given sizes, or single rows that lose their dimension."""
    x = n.x()
    axis = n.axis(n.integer("axis", 0), len(x.shape))
    size, given = x.shape[axis], n.array(1)
    if given is None:
        sizes: tuple[int, ...] = (1,) * size if size <= MOST_PARTS else ()
    elif given.size == 1 and given.ndim == 0:
        share = int(given)
        if share < 1 or size // share > MOST_PARTS:
            raise n.refuse(f"{size} in parts of {share}")
        sizes = tuple(min(share, size - i * share) for i in range(math.ceil(size / share)))
    else:
        sizes = tuple(n.ints(1) or ())
    if not 1 <= len(sizes) <= MOST_PARTS:
        raise n.refuse(f"{size} in {len(sizes)} parts, 1 to {MOST_PARTS} are supported")
    made = n(Split(axis, sizes), x)
    parts = list(made) if isinstance(made, tuple) else [made]
    if given is None and not n.integer("keepdims", 1):
        parts = [n(Reshape((*x.shape[:axis], *x.shape[axis + 1 :])), p) for p in parts]
    return Sequence(tuple(parts))
