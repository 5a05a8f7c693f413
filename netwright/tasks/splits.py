"""Ways to hold samples out: at random by class, contiguous by class, whole groups, the end of time. Sorted indices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Halves = tuple[np.ndarray, np.ndarray]  # indices kept, indices held out; both int64, ascending

FEWEST_GROUPS = 4  # with fewer, one whole group is far more than a fifth
_TRIES = 64
_OVERSHOOT = 0.15  # whole groups may hold out this much more than the share asked for


def _count(members: int, share: float) -> int:
    """How many of a class to hold out: the share, at least one, and one stays; a class of one stays whole."""
    return min(max(1, round(members * share)), members - 1) if members > 1 else 0


def _halves(total: int, held: Iterable[np.ndarray]) -> Halves:
    out = np.zeros(total, bool)
    for indices in held:
        out[indices] = True
    return np.flatnonzero(~out), np.flatnonzero(out)


def random_by_class(y: np.ndarray, share: float, seed: int) -> Halves:
    """`share` of each class, drawn at random."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(y == c) for c in np.unique(y)]
    return _halves(len(y), [rng.permutation(m)[: _count(len(m), share)] for m in members])


def contiguous_by_class(y: np.ndarray, share: float, seed: int = 0) -> Halves:
    """Of each class one run in file order: the last for seed 0, elsewhere (drawn) for other seeds.

    Neighbours in a file often come from one source (a writer, a burst of pictures); a run keeps them on one side.
    """
    rng = np.random.default_rng(seed)
    held = []
    for c in np.unique(y):
        members = np.flatnonzero(y == c)
        count = _count(len(members), share)
        last = len(members) - count
        begin = last if seed == 0 else int(rng.integers(0, last + 1))
        held.append(members[begin : begin + count])
    return _halves(len(y), held)


def contiguous_folds(y: np.ndarray, k: int) -> list[Halves]:
    """k ways: fold i holds out the i-th of k runs in file order of every class."""
    runs = [np.array_split(np.flatnonzero(y == c), k) for c in np.unique(y)]
    return [_halves(len(y), [run[i] for run in runs]) for i in range(k)]


def group_folds(group: np.ndarray, y: np.ndarray, k: int) -> list[Halves] | None:
    """k ways: runs of whole groups of about equal size; None when some fold would lack a class."""
    _, index, sizes = np.unique(group, return_inverse=True, return_counts=True)
    middle = np.cumsum(sizes) - sizes / 2
    fold = (k * middle / len(y)).astype(np.int64)[index]  # [n]
    if any(len(np.unique(y[fold == i])) < len(np.unique(y)) for i in range(k)):
        return None
    return [_halves(len(y), [np.flatnonzero(fold == i)]) for i in range(k)]


def whole_groups(group: np.ndarray, y: np.ndarray, share: float, seed: int | None) -> Halves | None:
    """About `share` of the samples as whole groups, every class still in training; None where groups do not allow it.

    seed None takes the last groups; otherwise the best of 64 drawn orders: most classes held out, then nearest to
    `share`.
    """
    codes, index = np.unique(group, return_inverse=True)
    if len(codes) < FEWEST_GROUPS:
        return None
    table = np.zeros((len(codes), int(y.max()) + 1), np.int64)  # [group, class] samples
    np.add.at(table, (index, y), 1)
    rng = np.random.default_rng(seed)
    orders = [np.arange(len(codes))[::-1]] if seed is None else [rng.permutation(len(codes)) for _ in range(_TRIES)]
    choices = [_take_groups(table, order, share) for order in orders]

    def score(chosen: list[int]) -> tuple[int, float]:
        taken = table[chosen].sum(0)
        return -int((taken > 0).sum()), abs(taken.sum() / len(y) - share)

    best = min(choices, key=score)
    if (table[best].sum(0) > 0).sum() < 2:
        return None
    return _halves(len(y), [np.flatnonzero(np.isin(index, best))])


def _take_groups(table: np.ndarray, order: np.ndarray, share: float) -> list[int]:
    """Groups in `order` until the share is reached, passing over those that overshoot or take the last of a class."""
    left, total = table.sum(0), int(table.sum())
    present, taken, chosen = left > 0, 0, []
    for g in order:
        size = int(table[g].sum())
        if taken >= share * total:
            break
        if taken + size > (share + _OVERSHOOT) * total or ((left - table[g] == 0) & present).any():
            continue
        left, taken = left - table[g], taken + size
        chosen.append(int(g))
    return chosen


def end_of_time(y: np.ndarray, group: np.ndarray, start: np.ndarray, window: int, share: float) -> tuple[Halves, int]:
    """Of each class within each group the last `share` in time; and how many windows that overlap these were left out.

    start: int64 [n], the first row of each window, with the groups laid end to end.
    """
    held = np.zeros(len(y), bool)
    for pair in np.unique(np.stack([group, y], 1), axis=0):
        members = np.flatnonzero((group == pair[0]) & (y == pair[1]))
        members = members[np.argsort(start[members], kind="stable")]
        held[members[len(members) - _count(len(members), share) :]] = True
    edges = np.zeros(int(start.max()) + window + 1, np.int64)
    np.add.at(edges, start[held], 1)
    np.add.at(edges, start[held] + window, -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(edges) > 0)])  # rows that a held-out window sees, summed up
    touches = covered[start + window] > covered[start]
    return (np.flatnonzero(~touches), np.flatnonzero(held)), int((touches & ~held).sum())
