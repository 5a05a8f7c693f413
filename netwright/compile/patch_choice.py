"""Which layers are computed band by band, and in how many bands: the fewest extra MACs whose memory is small enough.

    stages = choose(graph, limit, planned)         # () where none are needed
    banded = patches.apply(graph, stages)

A schedule has one stage from the input on, or a second one behind it. What each of some thousands would need is
estimated: for one last layer and all numbers of bands at once, the rows that every band needs are followed back to the
input, and at each place where a stage can begin its tiles and MACs are read off. The memory of the best is planned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from netwright.graph import Graph, Node, Value

from .memory import Plan
from .patches import Stage, apply, cuts, window

MOST_BANDS = 20  # of a stage that is chosen
PLANS = 60  # schedules whose memory is planned, where many are possible
FEW = 6  # where none of them can be hoped to fit
Rows = tuple[np.ndarray, np.ndarray]  # first, and one beyond the last, of every band


def choose(graph: Graph, limit: int, plan: Callable[[Graph], Plan]) -> tuple[Stage, ...]:
    """The stages with the fewest extra MACs for which `plan` needs at most `limit` bytes; () where none are needed.

    Where none fits, those that need least of the few with the best prospects.
    """
    whole = plan(graph)
    if whole.bytes <= limit:
        return ()
    found = _prospects(graph, whole)
    room = limit + limit // 10  # prospects are estimates
    order = np.lexsort((found.macs, np.maximum(0, found.bytes - room)))
    hope = bool((found.bytes <= limit).any())
    chosen: tuple[Stage, ...] = ()
    least = whole.bytes
    for place in order[: PLANS if hope else FEW].tolist():
        stages = found.stages(place)
        size = plan(apply(graph, stages)).bytes
        if size < least:
            chosen, least = stages, size
        if size <= limit:
            break
    return chosen


class _Stages(NamedTuple):
    """Stages of the same first layer: arrays of last layer, bands, bytes at the least, and MACs computed twice."""

    last: np.ndarray
    bands: np.ndarray
    bytes: np.ndarray
    macs: np.ndarray


class _Prospects(NamedTuple):
    """What schedules would cost at the least. `first` and `second` number a stage of `singles` (-1: no second)."""

    bytes: np.ndarray
    macs: np.ndarray
    first: np.ndarray
    second: np.ndarray
    singles: list[Stage]

    def stages(self, place: int) -> tuple[Stage, ...]:
        chosen = (int(self.first[place]), int(self.second[place]))
        return tuple(self.singles[number] for number in chosen if number >= 0)


def _prospects(graph: Graph, whole: Plan) -> _Prospects:
    places = cuts(graph)
    live = np.array([whole.live(step) for step in range(len(graph.nodes))] + [0], np.int64)
    rest = np.maximum.accumulate(live[::-1])[::-1]  # at the least, from a step on
    beginning = _estimates(graph, places, whole.outside)
    singles: list[Stage] = []
    starts: dict[int, int] = {}
    for first, found in beginning.items():
        starts[first] = len(singles)
        pairs = zip(found.last.tolist(), found.bands.tolist(), strict=True)
        singles += [Stage(first, last, bands) for last, bands in pairs]
    if not singles:
        none = np.empty(0, np.int64)
        return _Prospects(none, none, none, none, singles)
    sizes, macs, firsts, seconds = [], [], [], []
    head = beginning[0]
    numbers = starts[0] + np.arange(len(head.last))
    sizes.append(np.maximum(head.bytes, rest[head.last + 1]))
    macs.append(head.macs)
    firsts.append(numbers)
    seconds.append(np.full(len(numbers), -1))
    for first in places[1:]:
        further = beginning.get(first)
        own = head.last + 1 == first
        if further is None or not own.any():
            continue
        behind = np.maximum(further.bytes, rest[further.last + 1])
        sizes.append(np.maximum(head.bytes[own][:, None], behind[None]).ravel())
        macs.append((head.macs[own][:, None] + further.macs[None]).ravel())
        firsts.append(np.repeat(numbers[own], len(behind)))
        seconds.append(np.tile(np.arange(len(behind)) + starts[first], int(own.sum())))
    joined = (np.concatenate(parts) for parts in (sizes, macs, firsts, seconds))
    return _Prospects(next(joined), next(joined), next(joined), next(joined), singles)


def _estimates(graph: Graph, places: list[int], outside: frozenset[Value]) -> dict[int, _Stages]:
    """First layer -> the stages that begin there."""
    found: dict[int, list[tuple[np.ndarray, ...]]] = {}
    for last in places[1:]:
        result = graph.nodes[last - 1].output
        height = result.shape[1]
        bands = np.arange(2, min(height, MOST_BANDS) + 1)
        if not len(bands):
            continue
        starts = np.concatenate(([0], np.cumsum(bands)[:-1]))  # where each number of bands has its columns
        of = np.repeat(bands, bands)
        number = np.arange(len(of)) - np.repeat(starts, bands)
        want = {result: (height * number // of, height * (number + 1) // of)}
        tallest = np.zeros(len(of), np.int64)  # bytes of the largest tile between a stage's two ends
        macs = np.zeros(len(of), np.int64)
        plain = 0
        for index in range(last - 1, -1, -1):
            node = graph.nodes[index]
            low, high = want[node.output]
            macs += node.macs // node.output.shape[1] * (high - low)
            plain += node.macs
            if node.output is not result:
                np.maximum(tallest, _row_bytes(node.output) * (high - low), out=tallest)
            _widen(graph, node, want)
            if index in places:
                source = node.inputs[0]
                assert source is not None
                held, most = result.type.bytes, tallest
                if source in outside:
                    low, high = want[source]
                    most = np.maximum(tallest, _row_bytes(source) * (high - low))
                else:
                    held += source.type.bytes
                size = held + np.maximum.reduceat(most, starts)
                more = np.add.reduceat(macs, starts) - plain
                found.setdefault(index, []).append((np.full(len(bands), last - 1), bands, size, more))
    return {
        first: _Stages(*(np.concatenate(column) for column in zip(*rows, strict=True))) for first, rows in found.items()
    }


def _row_bytes(v: Value) -> int:
    return v.type.bytes // v.shape[1]


def _widen(graph: Graph, node: Node, want: dict[Value, Rows]) -> None:
    """Add the rows that a node reads to those wanted of its inputs: `patches.needed` for all bands at once."""
    low, high = want[node.output]
    looks = window(node)
    for v in node.inputs:
        if v is None or v in graph.param_of:
            continue
        first, last = low, high
        if looks is not None:
            reach, stride, top = looks
            first = np.maximum(0, low * stride - top)
            last = np.minimum(v.shape[1], (high - 1) * stride - top + reach)
        if v in want:
            first, last = np.minimum(want[v][0], first), np.maximum(want[v][1], last)
        want[v] = first, last
