"""The fast cost model: each kernel's loop counts times coefficients fitted to emulated runs (`costs.toml`).

A layer's features count how often each part of its kernel's loops runs, so that instructions and cycles are linear in
them. `python -m benchmarks.calibrate` measures random layers on the emulator, fits the coefficients by least squares
and prints the error on layers it did not fit. Everything computed here is modelled.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netwright.graph import Node, by_signature
from netwright.graph.ops.front_end.log_mel import QLogMel
from netwright.graph.ops.front_end.normalise import QNormalise
from netwright.graph.ops.index import Gather
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.conv_transpose import QConvTranspose
from netwright.graph.ops.int8.elementwise import QAdd, QFlip, QLookup, QMul, QPrelu, QRequantise, QSub
from netwright.graph.ops.int8.feed_forward import QFeedForward
from netwright.graph.ops.int8.lstm import QLstm
from netwright.graph.ops.int8.matmul import QMatmul
from netwright.graph.ops.int8.norm import QGroupNorm
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.int8.reduce import QArgMax, QExtreme, QMean, QSum
from netwright.graph.ops.int8.resize import QResizeBilinear
from netwright.graph.ops.int8.softmax import QSoftmax
from netwright.graph.ops.int8.svdf import QSvdf
from netwright.graph.ops.quantise import Dequantise, Quantise
from netwright.graph.ops.shape import Concat, Pad, Slice, Split, Transpose

from ..c.choice import by_channel, by_columns, is_block_mean, is_depthwise, is_plain_sum

_FAMILIES: dict[type, str] = {
    QAdd: "sum",
    QSub: "sum",
    QMul: "product",
    QPrelu: "product",
    QFlip: "lookup",
    QResizeBilinear: "resize_bilinear",
    QRequantise: "requantise",
    QLookup: "lookup",
    Concat: "copy",
    Split: "copy",
    Gather: "copy",
    Pad: "move",
    Slice: "move",
    Transpose: "move",
    Quantise: "quantise",
    Dequantise: "dequantise",
    QNormalise: "normalise",
}
Features = tuple[str, tuple[float, ...]]


@lru_cache(maxsize=8)
def coefficients(core: str) -> dict[str, Any]:
    """family -> {instructions, cycles, text} coefficient lists, and `base` for the program around the layers."""
    with Path(__file__).with_name("costs.toml").open("rb") as file:
        return dict(tomllib.load(file)[core])


@lru_cache(maxsize=8)
def kernels(core: str) -> tuple[dict[str, Any], dict[str, int], dict[str, int]]:
    """Bytes of code: kernel that layers share -> {text, call, stack, with}, function that comes with one -> bytes,
    code of layers that have their own -> bytes, and `around` them all."""
    with Path(__file__).with_name("kernels.toml").open("rb") as file:
        table = tomllib.load(file)[core]
    return dict(table["kernels"]), dict(table["functions"]), dict(table["layers"])


@lru_cache(maxsize=1024)
def shared_kernel(core: str, name: str) -> dict[str, Any]:
    """The row of a shared kernel; of a depthwise window that is not in the table, the nearest one's."""
    table = kernels(core)[0]
    if name in table:
        return dict(table[name])
    kind = re.fullmatch(r"nw_depthwise_(\d+)x(\d+)_(\d)(_clamped)?", name)
    assert kind is not None
    taps = int(kind[1]) * int(kind[2])
    side = min(range(1, 9), key=lambda k: abs(k * k - taps))
    return dict(table[f"nw_depthwise_{side}x{side}_{kind[3]}{kind[4] or ''}"])


class Price(NamedTuple):
    """What one layer costs: modelled."""

    instructions: float
    cycles: float
    text: int  # bytes of code, where it is the layer's own
    stack: int  # bytes


@lru_cache(maxsize=8)
def pricing(core: str) -> Callable[[Node], Price | None]:
    """What a layer costs on this core; None for what makes no code."""

    @by_signature
    def price(node: Node) -> Price | None:
        found = features(node)
        if found is None:
            return None
        family, values = found
        row = coefficients(core)[family]

        def total(kind: str, features: tuple[float, ...]) -> float:
            return sum(a * b for a, b in zip(row[kind], features, strict=True))

        text = kernels(core)[2].get(code(node, family), 0)
        return Price(total("instructions", values), total("cycles", values), text, int(row["stack"]))

    return price


def code(node: Node, family: str) -> str:
    """Which of a family's codes a layer gets: of a linear layer there are the parts that its sizes need."""
    if family != "linear":
        return family
    outputs, inputs = node.inputs[1].shape  # type: ignore[union-attr]
    parts = ("_fours" * (outputs >= 4), "_ones" * (outputs % 4 > 0), "_rest" * (inputs % 4 > 0))
    return family + "".join(parts)


@by_signature
def features(node: Node) -> Features | None:
    """The kernel family of a layer and its loop counts; None for what makes no code."""
    op = node.op
    if op.is_view:
        return None
    if isinstance(op, (QMean, QSum, QExtreme, QSoftmax, QArgMax)):
        return _rows(node)
    if isinstance(op, QLogMel):
        return _log_mel(node)
    if isinstance(op, (QMatmul, QLstm, QSvdf)):
        return _products(node)
    if isinstance(op, (QAttention, QFeedForward, QGroupNorm)):
        return _transformer(node)
    if isinstance(op, (QConv, QConvTranspose, QLinear, QMaxPool, QAveragePool)):
        family, values = _layer(node)
        samples = 1 if isinstance(op, QLinear) else node.output.shape[0]  # images are taken one after the other
        return family, tuple(samples * v for v in values)
    if isinstance(op, QAdd) and is_plain_sum(node):
        return "sums", (1.0, float(node.output.type.size))
    # whatever else there is moves elements
    return _FAMILIES.get(type(op), "move"), (1.0, float(sum(v.type.size for v in node.outputs)))


def _rows(node: Node) -> Features:
    """Reductions: how many results or rows, and how many elements are read for them."""
    read, made = node.inputs[0].type.size, node.output.type.size  # type: ignore[union-attr]
    if isinstance(node.op, QSoftmax):
        return "softmax", (1.0, float(read // node.output.shape[-1]), float(read))
    shared = isinstance(node.op, QMean) and is_block_mean(node)
    family = "arg_max" if isinstance(node.op, QArgMax) else "mean" if shared else "extreme"
    return family, (1.0, float(made), float(read))


def _log_mel(node: Node) -> Features:
    """Frames: complex points that are loaded, butterflies, weights of filters, results."""
    _, roots, _, weights, _ = (v.shape for v in node.inputs[1:] if v is not None)
    _, frames, mels, _ = node.output.shape
    stages = roots[0].bit_length() - 3  # by roots other than 1 and -i
    counted = (1, roots[0], roots[0] * stages / 2, weights[0], mels)
    return "log_mel", (1.0, *(float(frames * v) for v in counted))


def _products(node: Node) -> Features:
    """Matrix products inside larger kernels: results, and products four at a time and one by one."""
    x = node.inputs[0]
    assert x is not None
    if isinstance(node.op, QMatmul):
        return "matmul", (1.0, float(node.output.type.size), float(node.output.type.size * x.shape[-1]))
    if isinstance(node.op, QLstm):
        n, steps, hidden = node.output.shape
        cells = n * steps * hidden
        lengths = (x.shape[2], hidden)
        whole, rest = (4 * cells * sum(f(k) for k in lengths) for f in (lambda k: k // 4, lambda k: k % 4))
        return "lstm", (1.0, float(cells), float(whole), float(rest))
    w, time = node.inputs[2], node.inputs[3]
    assert w is not None and time is not None
    filters, rows = w.shape[0], x.shape[0]
    return "svdf", tuple(
        float(v)
        for v in (
            1,
            node.output.type.size,
            rows * filters,
            rows * filters * (w.shape[1] // 4),
            rows * filters * (w.shape[1] % 4),
            rows * time.type.size,
        )
    )


def _transformer(node: Node) -> Features:
    """Attention: rows of scores, and in blocks the products that make and weigh them; linear pairs: both layers'
    counts and what goes through the table; norms: groups and elements."""
    op, x = node.op, node.inputs[0]
    assert x is not None
    if isinstance(op, QAttention):
        keys = node.inputs[1].shape[1]  # type: ignore[union-attr]
        rows = node.output.shape[0] * node.output.shape[1] * op.heads
        counted = (
            1,
            op.width,
            keys,
            (keys // 4) * (op.width // 4),
            (keys % 4) * (op.width // 4),
            keys * (op.width % 4),
            op.depth,
            (keys // 2) * (op.depth // 4),
            (keys % 2) * (op.depth // 4),
            keys * (op.depth % 4),
        )
        return "attention", (1.0, *(float(rows * v) for v in counted))
    if isinstance(op, QFeedForward):
        (rows, i), hidden, o = x.shape, node.inputs[1].shape[0], node.output.shape[1]  # type: ignore[union-attr]
        both = zip(_linear(rows, i, hidden), _linear(rows, hidden, o))
        return "feed_forward", (1.0, float(rows), *map(sum, both), float(rows * hidden * (node.inputs[4] is not None)))
    assert isinstance(op, QGroupNorm)
    return "norm", (1.0, float(x.shape[0] * op.groups), float(x.type.size))


def _linear(rows: int, i: int, o: int) -> tuple[float, ...]:
    """Of a linear layer: results, blocks of four of them or one, and products by fours and one by one in these."""
    four, one = o // 4, o % 4
    counted = (o, four + one, four * (i // 4), one * (i // 4), (4 * four + one) * (i % 4))
    return tuple(float(rows * v) for v in counted)


def _layer(node: Node) -> Features:
    op = node.op
    if isinstance(op, QConv):
        return _conv(node, op)
    if isinstance(op, QConvTranspose):
        return _conv_transpose(node, op)
    if isinstance(op, QLinear):
        rows, i = node.inputs[0].shape  # type: ignore[union-attr]
        return "linear", (1.0, *_linear(rows, i, node.output.shape[1]))
    assert isinstance(op, (QMaxPool, QAveragePool))
    _, h, w, c = node.inputs[0].shape  # type: ignore[union-attr]
    _, oh, ow, _ = node.output.shape
    ys, xs = (_reach(n, k, s, p, 1, o) for n, k, s, p, o in zip((h, w), op.kernel, op.stride, op.padding, (oh, ow)))
    inside = _total(ys) * _total(xs)
    taps = oh * ow * math.prod(op.kernel)
    family = "max_pool" if isinstance(op, QMaxPool) else "average_pool"
    return family, (1.0, float(oh * ow * c), float(oh * ow * c * op.kernel[0]), float(taps * c), float(inside * c))


def _conv(node: Node, op: QConv) -> Features:
    _, h, w, c = node.inputs[0].shape  # type: ignore[union-attr]
    o, kh, kw, per_group = node.inputs[1].shape  # type: ignore[union-attr]
    _, oh, ow, _ = node.output.shape
    if is_depthwise(node) and by_channel(node):
        return _depthwise(node, op)
    ys = _reach(h, kh, op.stride[0], op.padding[0], op.dilation[0], oh)
    xs = _reach(w, kw, op.stride[1], op.padding[1], op.dilation[1], ow)
    rows = _total(ys)
    pixels, inside = oh * ow, rows * _total(xs)
    if op.groups > 1:
        if is_depthwise(node):
            return "depthwise_any", (1.0, float(pixels * o), float(pixels * o * kh * kw), float(inside * o))
        return "grouped", tuple(
            float(v)
            for v in (
                1,
                pixels * o,
                pixels * o * kh * kw,
                inside * o,
                inside * o * (per_group // 4),
                inside * o * (per_group % 4),
            )
        )
    run = -(-kw * c // 4)
    whole = rows * xs[kw] if op.dilation[1] == 1 else 0  # rows of windows that borders leave
    cut = pixels * kh - whole
    taps, seen = cut * kw, inside - whole * kw  # of those rows; of the image, not of its borders
    by_four, by_one = ((taps, seen, c // 4), (0, 0, 0)) if c % 4 == 0 else ((0, 0, 0), (taps, seen, c))
    pairs, halves = -(-pixels // 2), o // 2
    return "conv", tuple(
        float(v)
        for v in (
            1,
            pairs,
            pixels * kh,
            whole * run,
            *(v for taps, seen, size in (by_four, by_one) for v in (taps, seen * size, (taps - seen) * size)),
            pairs * halves,
            pairs * halves * kh * run,
            pairs * (o % 2),
            pairs * (o % 2) * kh * run,
            pixels * o * _clamped(op),
        )
    )


def _depthwise(node: Node, op: QConv) -> Features:
    """One channel after the other: rows of elements taken in, sums of four outputs, results."""
    (_, h, w, c), (_, kh, kw, _), (_, oh, ow, _) = node.inputs[0].shape, node.inputs[1].shape, node.output.shape  # type: ignore[union-attr]
    if by_columns(node):
        h, w, kh, kw, oh, ow = w, h, kw, kh, ow, oh
    taken = (oh - 1) * op.stride[0] + kh
    rows = oh * kh
    return "depthwise", tuple(
        float(c * v)
        for v in (
            1 / c,
            1,
            kh * (kw // 2 + 1),
            taken,
            min(taken, h) * (w // 4),
            min(taken, h) * (w % 4),
            rows,
            rows * -(-ow // 4),
            rows * -(-ow // 4) * (op.stride[0] - 1),
            rows * -(-ow // 4) * (kw // 2 + 1),
            oh * ow,
            oh * ow * _clamped(op),
        )
    )


def _clamped(op: QConv) -> bool:
    return (op.low, op.high) != (-128, 127)


def _conv_transpose(node: Node, op: QConvTranspose) -> Features:
    _, h, w, c = node.inputs[0].shape  # type: ignore[union-attr]
    o, kh, kw, _ = node.inputs[1].shape  # type: ignore[union-attr]
    _, oh, ow, _ = node.output.shape
    rows = _total(_taps(h, kh, op.stride[0], op.padding[0], oh))
    inside = rows * _total(_taps(w, kw, op.stride[1], op.padding[1], ow))
    pixels, blocks, four, one = oh * ow, o // 4 + o % 4, o // 4, o % 4
    return "conv_transpose", tuple(
        float(v)
        for v in (
            1,
            pixels * o,
            pixels * blocks,
            rows * ow * blocks,
            inside * blocks,
            inside * (c // 4) * four,
            inside * (c // 4) * one,
            inside * (c % 4) * four,
            inside * (c % 4) * one,
        )
    )


def _taps(size: int, kernel: int, stride: int, before: int, out: int) -> Counter[int]:
    """How many taps of a transposed convolution meet an input, and at how many positions of the output so many do."""

    def at(i: np.ndarray) -> np.ndarray:
        at = i + before
        return np.minimum(size - 1, at // stride) - np.maximum(0, -((kernel - 1 - at) // stride)) + 1

    return _counted(at, out)


@lru_cache(maxsize=4096)
def _reach(size: int, kernel: int, stride: int, before: int, dilation: int, out: int) -> Counter[int]:
    """How many of a row's (or column's) taps fall inside the input, and at how many output positions so many do."""

    def at(i: np.ndarray) -> np.ndarray:
        start = i * min(stride, _FAR) - before
        step = min(dilation, _FAR)
        return np.minimum(kernel, -((start - size) // step)) - np.maximum(0, -(start // step))

    return _counted(at, out)


_FAR = 1 << 41  # a stride or dilation that leaves any input at once
_EDGE = 1 << 14  # output positions at either end that are looked at one by one


def _counted(taps: Callable[[np.ndarray], np.ndarray], out: int) -> Counter[int]:
    """Number of taps -> number of positions. Between two long edges all positions are taken to be as the middle one:
    only what no microcontroller holds is that large, and the time of a cost must not grow with it."""
    if out <= 2 * _EDGE:
        places, middle = np.arange(out), 0
    else:
        middle = out - 2 * _EDGE
        places = np.concatenate([np.arange(_EDGE), np.arange(out - _EDGE, out)])
    numbers, times = np.unique(np.maximum(0, taps(places.astype(np.int64))), return_counts=True)
    found = Counter(dict(zip(numbers.tolist(), times.tolist())))
    if middle:
        found[max(0, int(taps(np.array([out // 2], np.int64))[0]))] += middle
    return found


def _total(counted: Counter[int]) -> int:
    return sum(taps * times for taps, times in counted.items())
