"""Merging pairs of pieces, best first, in O(n log n): a heap of candidates over a linked list of pieces."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any


def merge(parts: list[int], merged: Mapping[tuple[int, int], tuple[Any, int]]) -> list[int]:
    """Apply merges until none is left: pair -> (rank, piece made); the lowest rank first, then the leftmost."""
    gone = -1
    pieces = list(parts)
    after = list(range(1, len(parts) + 1))
    before = list(range(-1, len(parts) - 1))
    heap: list[tuple[Any, int, int, int, int]] = []

    def offer(left: int, right: int) -> None:
        found = merged.get((pieces[left], pieces[right]))
        if found is not None:
            heapq.heappush(heap, (found[0], left, right, found[1], pieces[left]))

    for i in range(len(parts) - 1):
        offer(i, i + 1)
    while heap:
        rank, left, right, made, was = heapq.heappop(heap)
        if pieces[left] != was or after[left] != right or merged.get((was, pieces[right])) != (rank, made):
            continue
        pieces[left], pieces[right] = made, gone
        after[left] = after[right]
        if after[left] < len(pieces):
            before[after[left]] = left
            offer(left, after[left])
        if before[left] >= 0:
            offer(before[left], left)
    return [piece for piece in pieces if piece != gone]
