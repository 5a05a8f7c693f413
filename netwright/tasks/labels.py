"""From labels as written to class numbers 0..k-1 and printable class names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netwright.errors import UserError

from .printable import clean, natural


def whole_labels(labels: np.ndarray, where: str, spot: Callable[[int], str]) -> np.ndarray:
    """Labels as int64 [n] where they are whole numbers (also written as text: "1", "2.0"), else as str [n].

    labels: [n] or [n, 1] of ints, bools, floats or text; `spot(i)` says where label i stands. Raises UserError for
    fractions, NaN, missing labels and other shapes or types.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        shape = "x".join(map(str, labels.shape))
        raise UserError(f"{where}: needs one label for each sample, not an array of {shape} (take argmax of one-hot)")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind in "biu":
        return labels.astype(np.int64)
    if labels.dtype.kind == "U":
        labels = np.char.strip(labels)
        empty = np.flatnonzero(labels == "")
        if len(empty):
            raise UserError(f"{where}: {spot(int(empty[0]))} has no label: fill it in or remove the sample")
        try:
            labels = labels.astype(np.float64)
        except ValueError:
            return labels
    if labels.dtype.kind != "f":
        raise UserError(f"{where}: labels of type {labels.dtype} cannot be read: use integers or text")
    numbers = labels.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.trunc(numbers)) | (np.abs(numbers) > 2.0**53))
    if len(bad):
        raise UserError(
            f"{where}: the label of {spot(int(bad[0]))} is {numbers[bad[0]]:g}, and a class must be a whole number or "
            "text (to learn a measured quantity, first sort it into classes)"
        )
    return numbers.astype(np.int64)


def encode(
    train: np.ndarray, test: np.ndarray | None, where: str
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray | None]:
    """Class names in order (numbers by value, text alphabetically), and both label arrays as int64 class numbers.

    Raises UserError with fewer than two classes, fewer than two samples of one, or a test class that training lacks.
    """
    raw, y, counts = np.unique(train, return_inverse=True, return_counts=True)
    if len(raw) < 2:
        only = f"{clean(raw[0])!r}, {len(train)} samples"
        raise UserError(f"{where}: only one class ({only}): give samples of at least two")
    few = int(np.argmin(counts))
    if counts[few] < 2:
        raise UserError(
            f"{where}: class {clean(raw[few])!r} has only one sample: each needs two: add some or remove the class"
        )
    order = list(range(len(raw)))
    if raw.dtype.kind == "U":
        order.sort(key=lambda i: natural(str(raw[i])))
    rank = np.empty(len(raw), np.int64)
    rank[order] = np.arange(len(raw))
    y_test = None
    if test is not None:
        both_text = raw.astype(str), test.astype(str)
        unknown = sorted(set(both_text[1]) - set(both_text[0]))
        if unknown:
            listed = ", ".join(repr(clean(name)) for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            raise UserError(f"{where}: the test set has classes that training lacks: {listed}")
        lookup = {name: rank[i] for i, name in enumerate(both_text[0])}
        y_test = np.array([lookup[name] for name in both_text[1]], np.int64)
    return _unique([clean(raw[i]) for i in order]), rank[y], y_test


def _unique(names: list[str]) -> tuple[str, ...]:
    """The names, told apart where cleaning made two alike."""
    taken: dict[str, None] = {}
    for name in names:
        number, unique = 2, name
        while unique in taken:
            unique, number = f"{name} ({number})", number + 1
        taken[unique] = None
    return tuple(taken)
