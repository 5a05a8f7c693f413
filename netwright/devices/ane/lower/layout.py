"""Where a value of a Graph lies on the engine: the order of its axes in memory, and the shape MIL gives them.

The engine's layout for a sequence is `[1, C, 1, S]` (Orion 2026, section 1): the Graph's [S, C] with its axes in the
order (1, 0). An order is a permutation of the Graph's axes; the MIL shape has the same sizes in that order, with ones
put in or left out. So a transpose or a reshape of the Graph is mostly another reading of the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Held:
    """A value of the Graph as the program has it.

    Attributes:
        name: the variable.
        order: the Graph's axes, slowest in memory first.
        shape: of the variable; without its ones, the Graph's sizes in that order without theirs.
    """

    name: str
    order: tuple[int, ...]
    shape: tuple[int, ...]


def permuted(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes in memory order."""
    return tuple(shape[a] for a in order)


def significant(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of more than one element, in memory order: all that tells two orders apart."""
    return tuple(a for a in order if shape[a] != 1)


def framed(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The MIL shape of these sizes: `[1, C, 1, S]` for two, `[1, a, b, c]` for three. Raises ValueError above five."""
    while len(sizes) > 1 and sizes[0] == 1:
        sizes = sizes[1:]
    while len(sizes) > 3 and 1 in sizes:
        place = sizes.index(1)
        sizes = sizes[:place] + sizes[place + 1 :]
    if len(sizes) > 5:
        raise ValueError(f"{len(sizes)} axes; the engine takes at most 5")
    if len(sizes) <= 1:
        return (1, *(sizes or (1,)), 1, 1)
    return {2: (1, sizes[0], 1, sizes[-1]), 3: (1, *sizes)}.get(len(sizes), sizes)


def places(held: Held, shape: tuple[int, ...]) -> dict[int, int]:
    """Graph axis -> axis of the variable, for axes of more than one element."""
    axes = [i for i, n in enumerate(held.shape) if n != 1]
    return dict(zip(significant(shape, held.order), axes, strict=True))


def permutation(held: Held, shape: tuple[int, ...], order: tuple[int, ...], into: tuple[int, ...]) -> list[int]:
    """The `perm` that takes a variable to another order, as the MIL shape `into` of the same rank."""
    where = places(held, shape)
    wanted = iter(significant(shape, order))
    ones = iter(i for i, n in enumerate(held.shape) if n == 1)
    return [next(ones) if n == 1 else where[next(wanted)] for n in into]


def blocks(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[range, range]]:
    """The finest split of two shapes of one size into runs of axes with equal products."""
    found, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        k, m = i, j
        if k < len(before):
            k += 1
        if m < len(after):
            m += 1
        while prod(before[i:k]) != prod(after[j:m]):
            if prod(before[i:k]) < prod(after[j:m]) and k < len(before):
                k += 1
            elif m < len(after):
                m += 1
            else:
                k += 1
        found.append((range(i, k), range(j, m)))
        i, j = k, m
    return found


def reshaped(before: tuple[int, ...], order: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """The order of the reshaped value that reads the same bytes, or None where bytes would have to move."""
    if prod(before) == 0:
        return None
    own = {axis: n for n, (left, _) in enumerate(blocks(before, after)) for axis in left}
    runs = blocks(before, after)
    result: list[int] = []
    memory = [a for a in order if before[a] != 1]
    seen: set[int] = set()
    position = 0
    while position < len(memory):
        block = own[memory[position]]
        left, right = runs[block]
        wanted = [a for a in left if before[a] != 1]
        if block in seen or memory[position : position + len(wanted)] != wanted:
            return None
        seen.add(block)
        result += right
        position += len(wanted)
    return tuple(result + [a for a in range(len(after)) if a not in result])
