"""Reading and writing by index. What our ops lack is a gather or scatter of flat positions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...ops.arithmetic import Mod
from ...ops.binary import Add, Maximum, Minimum, Mul
from ...ops.compare import Equal, Greater, Less, Where
from ...ops.index import Gather, GatherElements, ScatterAdd, ScatterElements
from ...ops.quantise import Cast
from ...ops.reduce import ReduceSum
from ...ops.shape import Expand, Reshape
from ...types import FLOATS
from .entry import Entry, Known
from .importer import Call, imports
from .shape import reshaped

Put = Callable[[Entry, Entry], Entry]
MOST_ROUNDS = 64  # of a scatter whose indices repeat


@imports("Gather")
def gather(n: Call) -> Entry:
    """The same op."""
    x, index = n.x(0), n.x(1)
    axis = n.axis(n.integer("axis", 0), len(x.shape))
    _inside(n, index, x.shape[axis])
    if isinstance(index, Known) and index.array.size == x.shape[axis] == 1 and index.shape == ():
        return reshaped(n, x, (*x.shape[:axis], *x.shape[axis + 1 :]))
    return n(Gather(axis), x, index)


@imports("GatherElements")
def gather_elements(n: Call) -> Entry:
    """The same op."""
    x, index = n.x(0), n.x(1)
    axis = n.axis(n.integer("axis", 0), len(x.shape))
    _inside(n, index, x.shape[axis])
    return n(GatherElements(axis), x, index)


def _inside(n: Call, index: Entry, size: int) -> None:
    """Raise UserError for known indices beyond a dimension."""
    if isinstance(index, Known) and index.array.size:
        low, high = int(index.array.min()), int(index.array.max())
        if low < -size or high >= size:
            raise n.refuse(f"indices from {low} to {high} of a dimension of {size}")


def _positive(n: Call, index: Entry, sizes: np.ndarray) -> Entry:
    """Indices without negatives, which count from the end."""
    if isinstance(index, Known):
        return n.known(np.where(index.array < 0, index.array + sizes, index.array))
    wrapped = n(Add(), index, n.known(sizes, index.dtype))
    return n(Where(), n(Less(), index, n.scalar(0, index)), wrapped, index)


def _flat(n: Call, index: Entry, sizes: tuple[int, ...]) -> Entry:
    """Tuples of indices [..., k] as positions in a tensor of these k sizes: [...]."""
    strides = np.array([math.prod(sizes[i + 1 :]) for i in range(len(sizes))], np.int64)
    index = n(Cast("int64"), index) if index.dtype != "int64" else index
    index = _positive(n, index, np.array(sizes, np.int64))
    return n(ReduceSum((len(index.shape) - 1,), False), n(Mul(), index, n.known(strides)))


@imports("GatherND")
def gather_nd(n: Call) -> Entry:
    """Slices named by tuples of indices."""
    x, index, batch = n.x(0), n.x(1), n.integer("batch_dims", 0)
    depth = index.shape[-1] if index.shape else 0
    if not 0 <= batch < len(index.shape) or depth + batch > len(x.shape) or depth < 1:
        raise n.refuse(f"indices {list(index.shape)} of {list(x.shape)} with {batch} batch dimensions")
    sizes = x.shape[batch : batch + depth]
    rows = _flat(n, index, sizes)
    if batch:
        groups = math.prod(x.shape[:batch])
        start = n.arange(groups).reshape(*x.shape[:batch], *[1] * (len(rows.shape) - batch))
        rows = n(Add(), rows, n.known(start * math.prod(sizes)))
    _inside(n, rows, math.prod(x.shape[: batch + depth]))
    flat = n(Reshape((math.prod(x.shape[: batch + depth]), *x.shape[batch + depth :])), x)
    return n(Gather(0), flat, rows)


@imports("ScatterND")
def scatter_nd(n: Call) -> Entry:
    """Slices put where tuples of indices say."""
    x, index, updates = n.x(0), n.x(1), n.x(2)
    depth = index.shape[-1] if index.shape else 0
    if not 1 <= depth <= len(x.shape):
        raise n.refuse(f"indices {list(index.shape)} of {list(x.shape)}")
    rows = n(Reshape((-1,)), _flat(n, index, x.shape[:depth]))
    inner = math.prod(x.shape[depth:])
    count, size = math.prod(index.shape[:-1]), math.prod(x.shape[:depth])
    if updates.shape != (*index.shape[:-1], *x.shape[depth:]):
        raise n.refuse(f"updates {list(updates.shape)} for indices {list(index.shape)} of {list(x.shape)}")
    _inside(n, rows, size)
    flat, news = n(Reshape((size, inner)), x), n(Reshape((count, inner)), updates)

    def put(values: Entry, rows: Entry) -> Entry:
        return n(ScatterAdd(0, size), values, rows)

    ones = n.known(np.ones((1, 1), "float32"))
    return n(Reshape(x.shape), _combined(n, flat, news, rows, put, ones, (count, 1)))


@imports("ScatterElements", "Scatter")
def scatter_elements(n: Call) -> Entry:
    """Elements put where indices say along an axis."""
    x, index, updates = n.x(0), n.x(1), n.x(2)
    axis = n.axis(n.integer("axis", 0), len(x.shape))
    if index.shape != updates.shape or len(index.shape) != len(x.shape):
        raise n.refuse(f"updates {list(updates.shape)} for indices {list(index.shape)} of {list(x.shape)}")
    _inside(n, index, x.shape[axis])
    if isinstance(index, Known):
        index = n.known(np.where(index.array < 0, index.array + x.shape[axis], index.array))

    def put(values: Entry, rows: Entry) -> Entry:
        return n(ScatterElements(axis, x.shape), values, rows)

    ones = n.known(np.ones((1,) * len(x.shape), "float32"))
    if n.text("reduction", "none") in ("none", "add") or not isinstance(index, Known):
        return _combined(n, x, updates, index, put, ones, index.shape)
    return _flattened(n, x, updates, index, axis)


def _flattened(n: Call, x: Entry, updates: Entry, index: Known, axis: int) -> Entry:
    """Element by element in one dimension, where repeated positions can be told apart."""
    n.im.afford(8 * index.array.size * len(x.shape), "positions")
    places = list(np.indices(index.shape))
    places[axis] = index.array
    rows = n.known(np.ravel_multi_index(tuple(places), x.shape).reshape(-1))
    size = math.prod(x.shape)

    def put(values: Entry, rows: Entry) -> Entry:
        return n(ScatterAdd(0, size), values, rows)

    ones = n.known(np.ones(1, "float32"))
    flat = _combined(
        n, n(Reshape((-1,)), x), n(Reshape((-1,)), updates), rows, put, ones, (index.array.size,)
    )
    return n(Reshape(x.shape), flat)


def _combined(
    n: Call, x: Entry, updates: Entry, rows: Entry, put: Put, ones: Known, count: tuple[int, ...]
) -> Entry:
    """`x` with updates replaced, added, multiplied or compared in; `put` adds values to zeros at rows."""
    kind = n.text("reduction", "none")
    if kind == "add":
        return n(Add(), x, put(updates, rows))
    if kind == "none":
        hit = n(Greater(), put(n(Expand(count), ones), rows), n.scalar(0, ones))
        if x.dtype == "bool":
            return n(Where(), hit, n(Cast("bool"), put(n(Cast("int32"), updates), rows)), x)
        return n(Where(), hit, put(updates, rows), x)
    ops = {"mul": Mul(), "max": Maximum(), "min": Minimum()}
    if kind not in ops:
        raise n.refuse(f"reduction {kind!r} is none of none, add, mul, max, min")
    if not isinstance(rows, Known) or len(rows.shape) != 1:
        raise n.refuse(f"reduction {kind!r} needs indices that are known at import")
    for chosen in _rounds(n, rows.array):
        part = n.known(rows.array[chosen])
        news = put(n(Gather(0), updates, n.known(chosen)), part)
        hit = n(Greater(), put(n(Expand((len(chosen), *count[1:])), ones), part), n.scalar(0, ones))
        x = n(Where(), hit, n(ops[kind], x, news), x)
    return x


def _rounds(n: Call, rows: np.ndarray) -> list[np.ndarray]:
    """Positions in `rows` so split that no round names a row twice."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if rows.size else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(rows.size), 0))
    turn = np.arange(rows.size) - starts
    rounds = int(turn.max()) + 1 if rows.size else 0
    if rounds > MOST_ROUNDS:
        raise n.refuse(f"an index is repeated {rounds} times, at most {MOST_ROUNDS} are written out")
    return [np.sort(order[turn == k]) for k in range(rounds)]


@imports("TensorScatter")
def tensor_scatter(n: Call) -> Entry:
    """Rows written into a cache from a position on that each batch element has for itself."""
    cache, update, first = n.x(0), n.x(1), n.get(2)
    axis = n.axis(n.integer("axis", -2), len(cache.shape))
    if axis == 0 or len(update.shape) != len(cache.shape):
        raise n.refuse(f"{list(update.shape)} into {list(cache.shape)} along axis {axis}")
    lead = tuple(-1 if i == 0 else 1 for i in range(len(cache.shape)))
    steps = n.arange(update.shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(cache.shape))])
    start = n(Reshape(lead), first) if first is not None else n.known(np.zeros((1,) * len(lead), np.int64))
    rows = n(Add(), start, n.known(steps, start.dtype))
    if n.text("mode", "linear") == "circular":
        rows = n(Mod(), rows, n.scalar(cache.shape[axis], rows))

    def put(values: Entry, rows: Entry) -> Entry:
        return n(ScatterElements(axis, cache.shape), values, rows)

    ones = n.known(np.ones((1,) * len(cache.shape), "float32"))
    return _combined(n, cache, update, n(Expand(update.shape), rows), put, ones, update.shape)


@imports("OneHot")
def one_hot(n: Call) -> Entry:
    """`on` where the index is the position along a new axis, `off` elsewhere."""
    index, depth, values = n.x(0), n.number(1), n.x(2)
    depth = int(depth)
    rank = len(index.shape) + 1
    axis = n.axis(n.integer("axis", -1), rank)
    if values.shape != (2,) or depth < 1:
        raise n.refuse(f"depth {depth} and values {list(values.shape)}: two values are needed")
    if index.dtype in FLOATS:
        index = n(Cast("int64"), index)
    column = n(Reshape((*index.shape[:axis], 1, *index.shape[axis:])), _positive(n, index, np.array(depth)))
    places = n.arange(depth).reshape([-1 if i == axis else 1 for i in range(rank)])
    hit = n(Equal(), column, n.known(places, column.dtype))
    off, on = (n(Gather(0), values, n.known(i, "int64")) for i in (0, 1))
    return n(Where(), hit, on, off)


@imports("Compress")
def compress(n: Call) -> Entry:
    """Rows where a known condition holds."""
    x, _, condition = n.x(0), n.x(1), n.array(1)
    axis = n.integer("axis")
    assert condition is not None
    rows = np.flatnonzero(condition.reshape(-1))
    if axis is None:
        x, axis = n(Reshape((-1,)), x), 0
    axis = n.axis(axis, len(x.shape))
    if rows.size and rows.max() >= x.shape[axis]:
        raise n.refuse(f"the condition keeps row {rows.max()} of {x.shape[axis]}")
    return n(Gather(axis), x, n.known(rows))


@imports("NonZero")
def non_zero(n: Call) -> np.ndarray:
    """How many there are depends on the contents, which must be known."""
    x = n.array(0)
    assert x is not None
    return np.stack(np.nonzero(np.atleast_1d(x))).astype(np.int64)


@imports("Unique")
def unique(n: Call) -> tuple[np.ndarray, ...]:
    """How many there are depends on the contents, which must be known."""
    n.x(0)  # refused where it is left out
    x, axis = n.array(0), n.integer("axis")
    assert x is not None
    axis = None if axis is None else n.axis(axis, x.ndim)
    values, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not n.integer("sorted", 1):
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        values = np.take(values, order, axis=axis if axis is not None else 0)
        first, counts, inverse = first[order], counts[order], place[inverse]
    return values, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)
