"""Reshape, transpose, reshape of an image: channel and pixel shuffles as one turn of what lies channels last."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.shape import Reshape, Transpose

from .layout import TO_LAST, keeps_memory
from .lowering import Lowering

Blocks = list[tuple[list[int], list[int]]]


def shuffled(state: Lowering, node: Node) -> bool:
    """Whether a reshape of an image starts a shuffle that was taken in whole: cut the axes, turn the pieces, join them.

    Channels first it would take three turns: out of channels last, the shuffle's own, and back.
    """
    source = node.inputs[0]
    turn = state.only_reader(node.output)
    if source is None or turn is None or not isinstance(turn.op, Transpose):
        return False
    join = state.only_reader(turn.output)
    if join is None or not isinstance(join.op, Reshape) or len(join.output.shape) not in TO_LAST:
        return False
    cut, made = _blocks(source.shape, node.output.shape), _blocks(turn.output.shape, join.output.shape)
    pieces = _in_memory(cut, len(source.shape)) if cut is not None else None
    # pieces of the result, numbered as the cut ones
    order = _in_memory([(b, a) for a, b in made], len(join.output.shape)) if made is not None else None
    if pieces is None or order is None:
        return False
    order = [turn.op.permutation[i] for i in order]
    if not pieces or pieces[0] != 0 or order[0] != 0 or source.shape[0] != join.output.shape[0]:
        return False  # samples stay where they are, however many
    x = state.form(source, True)
    sizes = [node.output.shape[i] for i in pieces]
    whole = tuple(pieces.index(i) for i in order)
    if not keeps_memory(tuple(sizes), whole):
        x = state.b(Reshape((0, *sizes[1:])), x, name=node.name)
        x = state.b(Transpose(whole), x, name=turn.name)
    shape = join.output.shape
    kept = (0, *(shape[i] for i in TO_LAST[len(shape)][1:]))
    state.put(join.output, state.b(Reshape(kept), x, name=join.name), last=True)
    state.taken.update((turn, join))
    return True


def _blocks(before: tuple[int, ...], after: tuple[int, ...]) -> Blocks | None:
    """Which axes of one shape become which of another: the finest runs of axes with equal products."""
    if math.prod(before) != math.prod(after) or 0 in before:
        return None
    found: Blocks = []
    i = j = 0
    while i < len(before) or j < len(after):
        left, right = [i] if i < len(before) else [], [j] if j < len(after) else []
        a, b = (before[i] if left else 1), (after[j] if right else 1)
        i, j = i + len(left), j + len(right)
        while a != b:
            if a < b:
                left.append(i)
                a, i = a * before[i], i + 1
            else:
                right.append(j)
                b, j = b * after[j], j + 1
        found.append((left, right))
    return found


def _in_memory(blocks: Blocks, rank: int) -> list[int] | None:
    """The pieces in the order in which they lie when the axes that they are cut from lie channels last.

    None where a piece is cut from several axes that lie apart, or several are mixed.
    """
    lies = {axis: place for place, axis in enumerate(TO_LAST[rank])}
    placed: list[tuple[int, list[int]]] = []
    for axes, pieces in blocks:
        if not pieces or not axes:
            if pieces or axes:
                return None
            continue
        together = [lies[a] - lies[axes[0]] for a in axes] == list(range(len(axes)))
        if len(axes) > 1 and (len(pieces) > 1 or not together):
            return None
        placed.append((lies[axes[0]], pieces))
    return [p for _, pieces in sorted(placed) for p in pieces]

