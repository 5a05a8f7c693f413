"""Fourier transforms as products with constant matrices, and numbers made from their parameters alone."""

from __future__ import annotations

import numpy as np

from ...ops.binary import Add, Mul, Sub
from ...ops.index import Gather
from ...ops.linear import Linear
from ...ops.shape import Concat, Pad, Reshape, Transpose
from .entry import Entry
from .importer import Call, imports
from .move import sliced


def _wave(n: Call, size: int, rows: int, inverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts [rows, size] of e^(-2 pi i j k / size), conjugate and over size for the inverse."""
    n.im.afford(32 * size * rows, "a Fourier matrix")
    angle = 2 * np.pi * np.outer(np.arange(rows), np.arange(size)) / size
    return (np.cos(angle) / size, np.sin(angle) / size) if inverse else (np.cos(angle), -np.sin(angle))


def _transformed(n: Call, x: Entry, size: int, rows: int, inverse: bool) -> tuple[Entry, Entry]:
    """x [..., size, 1 or 2] -> real and imaginary parts [..., rows]."""
    real, imaginary = _wave(n, size, rows, inverse)
    c, s = n.known(real, x.dtype), n.known(imaginary, x.dtype)
    parts = [n(Reshape(x.shape[:-1]), sliced(n, x, len(x.shape) - 1, k, k + 1)) for k in range(x.shape[-1])]
    if len(parts) == 1:
        return n(Linear(), parts[0], c), n(Linear(), parts[0], s)
    re = n(Sub(), n(Linear(), parts[0], c), n(Linear(), parts[1], s))
    return re, n(Add(), n(Linear(), parts[0], s), n(Linear(), parts[1], c))


def _pair(n: Call, re: Entry, im: Entry) -> Entry:
    """[...] twice as [..., 2]."""
    shape = (*re.shape, 1)
    return n(Concat(len(shape) - 1), n(Reshape(shape), re), n(Reshape(shape), im))


@imports("DFT")
def dft(n: Call) -> Entry:
    """Over one axis, cut or padded to the given length; the axis is an operand since opset 20."""
    x = n.x()
    rank = len(x.shape)
    axis = n.axis(n.number(2, -2) if n.opset >= 20 else n.integer("axis", 1), rank)
    inverse, onesided = bool(n.integer("inverse", 0)), bool(n.integer("onesided", 0))
    if rank < 2 or x.shape[-1] not in (1, 2) or axis == rank - 1:
        raise n.refuse(f"x is {list(x.shape)}: real and imaginary parts are needed last")
    size = int(n.number(1, 2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis]))
    if size < 1:
        raise n.refuse(f"a transform of length {size}")
    if inverse and onesided:
        x = _mirrored(n, x, axis, size)
    given = x.shape[axis]
    if given > size:
        x = sliced(n, x, axis, 0, size)
    elif given < size:
        n.im.afford(8 * size, "padding")
        x = n(Pad(tuple(size - given if i == rank + axis else 0 for i in range(2 * rank))), x)
    order = (*(i for i in range(rank - 1) if i != axis), axis, rank - 1)
    turned = x if axis == rank - 2 else n(Transpose(order), x)
    rows = size // 2 + 1 if onesided and not inverse else size
    re, im = _transformed(n, turned, size, rows, inverse)
    y = n(Reshape((*re.shape, 1)), re) if inverse and onesided else _pair(n, re, im)
    return y if axis == rank - 2 else n(Transpose(tuple(order.index(i) for i in range(rank))), y)


def _mirrored(n: Call, x: Entry, axis: int, size: int) -> Entry:
    """The whole spectrum of a real signal from its first half: the rest is the conjugate, backwards."""
    if x.shape[-1] != 2:
        raise n.refuse("a one-sided inverse needs complex input")
    rows = np.arange(size)
    half = size // 2
    first = n(Gather(axis), x, n.known(np.where(rows <= half, rows, size - rows)))
    sign = np.ones((size, 2))
    sign[half + 1 :, 1] = -1
    shape = [1] * len(x.shape)
    shape[axis], shape[-1] = size, 2
    return n(Mul(), first, n.known(sign.reshape(shape), x.dtype))


@imports("STFT")
def stft(n: Call) -> Entry:
    """Frames by index, times the window, then a Fourier transform: [N, frames, frequencies, 2]."""
    x, step, window = n.x(), n.number(1), n.get(2)
    length = int(n.number(3, window.shape[0] if window is not None else 0))
    if len(x.shape) == 2:
        x = n(Reshape((*x.shape, 1)), x)
    if step is None or step < 1 or not 1 <= length <= x.shape[1]:
        raise n.refuse(f"frames of {length} every {step} of {list(x.shape)}")
    frames = (x.shape[1] - length) // step + 1
    n.im.afford(8 * frames * length, "frame positions")
    places = np.arange(frames)[:, None] * step + np.arange(length)
    cut = n(Gather(1), x, n.known(places.astype(np.int64)))  # [N, frames, length, 1 or 2]
    if window is not None:
        cut = n(Mul(), cut, n(Reshape((-1, 1)), window))
    rows = length // 2 + 1 if n.integer("onesided", 1) else length
    return _pair(n, *_transformed(n, cut, length, rows, False))


@imports("MelWeightMatrix")
def mel_weights(n: Call) -> np.ndarray:
    """[spectrogram bins, mel bins] of triangular filters (the ONNX standard's formula)."""
    from .tensors import dtype_name

    bins, size, rate, low, high = (n.number(i) for i in range(5))
    if None in (bins, size, rate, low, high) or not 1 <= bins <= 4096 or not 2 <= size <= 2**20:
        raise n.refuse(f"{bins} mel bins of a transform of {size}")
    spectrum = int(size) // 2 + 1
    n.im.afford(8 * spectrum * int(bins), "mel weights")
    first, last = 2595 * np.log10(1 + np.array([low, high]) / 700)
    # the standard divides the range by the number of edges, not of intervals
    mel = first + np.arange(int(bins) + 2) * (last - first) / (int(bins) + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    places = ((size + 1) * hertz // rate).astype(int)
    weights = np.zeros((spectrum, int(bins)))
    for i in range(int(bins)):
        lower, centre, upper = (int(p) for p in places[i : i + 3])
        for j in range(lower, min(centre + 1, spectrum)):
            weights[j, i] = 1.0 if centre == lower else (j - lower) / (centre - lower)
        for j in range(centre, min(upper, spectrum)):
            weights[j, i] = (upper - j) / (upper - centre)
    return weights.astype(dtype_name(n.integer("output_datatype", 1)))
