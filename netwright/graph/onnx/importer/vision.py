"""Sampling at computed places, windows back into images, small determinants."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ...ops.binary import Add, Mul, Sub
from ...ops.compare import And, GreaterEqual, LessEqual, Where
from ...ops.index import GatherElements, ScatterAdd
from ...ops.linear import Matmul
from ...ops.quantise import Cast
from ...ops.shape import Expand, Reshape, Transpose
from ...ops.unary import Abs, Clip, Floor, Round
from .entry import Entry
from .importer import Call, imports
from .move import sliced

LARGEST_DETERMINANT = 4


@imports("Det")
def determinant(n: Call) -> Entry:
    """By Leibniz' sum over permutations, for small matrices."""
    x = n.x()
    size = x.shape[-1] if len(x.shape) >= 2 else 0
    if not 1 <= size <= LARGEST_DETERMINANT or x.shape[-2] != size:
        raise n.refuse(f"of {list(x.shape)}: square matrices of up to {LARGEST_DETERMINANT} rows are supported")
    flat = n(Reshape((*x.shape[:-2], size * size)), x)
    cells = [n(Reshape(x.shape[:-2]), sliced(n, flat, len(x.shape) - 2, k, k + 1)) for k in range(size * size)]
    total: Entry | None = None
    for order in itertools.permutations(range(size)):
        product = cells[order[0]]
        for row in range(1, size):
            product = n(Mul(), product, cells[row * size + order[row]])
        odd = sum(a > b for a, b in itertools.combinations(order, 2)) % 2
        total = product if total is None else n(Sub() if odd else Add(), total, product)
    assert total is not None
    return total


@imports("Col2Im")
def columns_to_image(n: Call) -> Entry:
    """Columns [N, C * prod(block), L] added where a sliding window took them from."""
    x, image, block = n.x(), n.ints(1), n.ints(2)
    rank = len(image or ())
    stride, dilation = n.several("strides") or (1,) * rank, n.several("dilations") or (1,) * rank
    pads = n.several("pads") or (0,) * 2 * rank
    if image is None or block is None or len(x.shape) != 3 or not len(block) == len(stride) == len(dilation) == rank:
        raise n.refuse(f"x {list(x.shape)}, image {image}, block {block}")
    taps = math.prod(block)
    padded = tuple(image[i] + pads[i] + pads[rank + i] for i in range(rank))
    counts = tuple((padded[i] - dilation[i] * (block[i] - 1) - 1) // stride[i] + 1 for i in range(rank))
    if taps < 1 or x.shape[1] % taps or math.prod(counts) != x.shape[2] or min(counts) < 1:
        raise n.refuse(f"{list(x.shape)} is not what windows of {list(block)} take from {list(image)}")
    n.im.afford(8 * taps * x.shape[2] * rank, "window positions")
    tap, place = np.indices(block).reshape(rank, -1, 1), np.indices(counts).reshape(rank, 1, -1)
    where = [tap[i] * dilation[i] + place[i] * stride[i] for i in range(rank)]  # each [taps, L]
    rows = np.ravel_multi_index(tuple(where), padded).reshape(-1)
    flat = n(Reshape((0, x.shape[1] // taps, taps * x.shape[2])), x)
    y = n(Reshape((0, x.shape[1] // taps, *padded)), n(ScatterAdd(2, math.prod(padded)), flat, n.known(rows)))
    for i in range(rank):
        y = sliced(n, y, 2 + i, pads[i], pads[i] + image[i])
    return y


@imports("AffineGrid")
def affine_grid(n: Call) -> Entry:
    """theta [N, d, d + 1] times a regular grid: [N, *size, d]."""
    theta, size = n.x(), n.ints(1)
    if size is None or len(size) not in (4, 5) or theta.shape[1:] != (len(size) - 2, len(size) - 1):
        raise n.refuse(f"theta {list(theta.shape)} and size {list(size or ())}")
    n.im.afford(8 * math.prod(size[2:]) * len(size), "a grid")
    lines = []
    for count in size[2:]:
        step = 2 / (count - 1) if n.integer("align_corners", 0) and count > 1 else 2 / count
        lines.append(-1 + (0 if n.integer("align_corners", 0) else step / 2) + step * np.arange(count))
    mesh = np.meshgrid(*lines, indexing="ij")[::-1]  # x first
    grid = np.stack([*mesh, np.ones_like(mesh[0])], -1).reshape(-1, len(size) - 1)
    turned = n(Transpose((0, 2, 1)), theta)
    return n(Reshape((0, *size[2:], len(size) - 2)), n(Matmul(), n.known(grid[None], theta.dtype), turned))


@imports("GridSample")
def grid_sample(n: Call) -> Entry:
    """x [N, C, H, W] at grid [N, H', W', 2] (x then y, from -1 to 1): [N, C, H', W']."""
    x, grid = n.x(0), n.x(1)
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(n.text("mode", "linear"), n.text("mode", "linear"))
    edge = n.text("padding_mode", "zeros")
    if len(x.shape) != 4 or len(grid.shape) != 4 or grid.shape[3] != 2:
        raise n.refuse(f"x {list(x.shape)} and grid {list(grid.shape)}: images of two dimensions are supported")
    if mode not in ("linear", "nearest", "cubic") or edge not in ("zeros", "border", "reflection"):
        raise n.refuse(f"mode {mode!r} with padding_mode {edge!r}")
    height, width = x.shape[2:]
    at = [_pixels(n, sliced(n, grid, 3, k, k + 1), size) for k, size in ((1, height), (0, width))]
    at = [n(Reshape((-1, grid.shape[1] * grid.shape[2])), v) for v in at]  # [N, H' * W'] of y, x
    if mode == "nearest":
        y = _at(n, x, n(Round(), at[0]), n(Round(), at[1]), edge)
    else:
        y = _interpolated(n, x, at, mode, edge)
    return n(Reshape((-1, x.shape[1], *grid.shape[1:3])), y)


def _pixels(n: Call, v: Entry, size: int) -> Entry:
    """-1 .. 1 as positions of pixels."""
    one = n(Add(), v, n.scalar(1, v))
    if n.integer("align_corners", 0):
        return n(Mul(), one, n.scalar((size - 1) / 2, v))
    return n(Sub(), n(Mul(), one, n.scalar(size / 2, v)), n.scalar(0.5, v))


def _interpolated(n: Call, x: Entry, at: list[Entry], mode: str, edge: str) -> Entry:
    """Neighbours weighted by distance: 2 x 2, or 4 x 4 with Keys' cubic of a = -0.75."""
    if mode == "linear" and edge != "zeros":
        at = [_folded(n, v, size, edge) for v, size in zip(at, x.shape[2:])]
    corner = [n(Floor(), v) for v in at]
    taps = (0, 1) if mode == "linear" else (-1, 0, 1, 2)
    weights = [[_weight(n, n(Sub(), v, c), tap, mode) for tap in taps] for v, c in zip(at, corner)]
    total: Entry | None = None
    for (i, dy), (j, dx) in itertools.product(enumerate(taps), repeat=2):
        row, column = n(Add(), corner[0], n.scalar(dy, corner[0])), n(Add(), corner[1], n.scalar(dx, corner[1]))
        weight = n(Mul(), weights[0][i], weights[1][j])
        part = n(Mul(), _at(n, x, row, column, edge), n(Reshape((-1, 1, weight.shape[1])), weight))
        total = part if total is None else n(Add(), total, part)
    assert total is not None
    return total


def _weight(n: Call, rest: Entry, tap: int, mode: str) -> Entry:
    one = n.scalar(1, rest)
    if mode == "linear":
        return rest if tap else n(Sub(), one, rest)
    far = n(Abs(), n(Sub(), rest, n.scalar(tap, rest)))
    near, a = tap in (0, 1), -0.75
    terms = (a + 2, -(a + 3), 0.0, 1.0) if near else (a, -5 * a, 8 * a, -4 * a)
    value: Entry = n.scalar(terms[0], rest)
    for term in terms[1:]:
        value = n(Add(), n(Mul(), value, far), n.scalar(term, rest))
    return value


def _folded(n: Call, v: Entry, size: int, edge: str) -> Entry:
    """A position brought inside by clamping or by reflection."""
    if edge == "reflection":
        low, span = (0.0, size - 1.0) if n.integer("align_corners", 0) else (-0.5, float(size))
        if span <= 0:
            return n(Mul(), v, n.scalar(0, v))
        period = n.scalar(2 * span, v)
        moved = n(Sub(), v, n.scalar(low, v))
        turns = n(Floor(), n(Mul(), moved, n.scalar(1 / (2 * span), v)))
        rest = n(Sub(), moved, n(Mul(), turns, period))  # 0 .. 2 * span
        back = n(Sub(), n.scalar(span, v), n(Abs(), n(Sub(), rest, n.scalar(span, v))))
        v = n(Add(), back, n.scalar(low, v))
    return n(Clip(0.0, size - 1.0), v)


def _at(n: Call, x: Entry, row: Entry, column: Entry, edge: str) -> Entry:
    """x [N, C, H, W] at whole positions [N, P] -> [N, C, P]."""
    height, width = x.shape[2:]
    inside: Entry | None = None
    if edge == "zeros":
        for v, size in ((row, height), (column, width)):
            here = n(And(), n(GreaterEqual(), v, n.scalar(0, v)), n(LessEqual(), v, n.scalar(size - 1, v)))
            inside = here if inside is None else n(And(), inside, here)
        row, column = n(Clip(0.0, height - 1.0), row), n(Clip(0.0, width - 1.0), column)
    else:
        row, column = _folded(n, row, height, edge), _folded(n, column, width, edge)
    rows, columns = n(Cast("int64"), row), n(Cast("int64"), column)
    place = n(Add(), n(Mul(), rows, n.scalar(width, rows)), columns)
    count = place.shape[1]
    index = n(Expand((place.shape[0], x.shape[1], count)), n(Reshape((-1, 1, count)), place))
    found = n(GatherElements(2), n(Reshape((0, x.shape[1], height * width)), x), index)
    if inside is None:
        return found
    return n(Where(), n(Reshape((-1, 1, count)), inside), found, n.scalar(0, found))
