"""Convolutions, matrix products, embeddings."""

from __future__ import annotations

from typing import Any

from ...graph import Value
from ...ops.binary import Add, Mul
from ...ops.common import scalar
from ...ops.conv import Conv, ConvTranspose
from ...ops.index import Gather
from ...ops.linear import Einsum, Linear, Matmul
from ...ops.reduce import ReduceMax, ReduceMean, ReduceSum
from ...ops.shape import Transpose
from .importer import Import, imports


def per_axis(given: Any, rank: int) -> tuple[int, ...]:
    """One number an axis, from torch's list or single number."""
    numbers = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    return tuple(int(n) for n in (numbers * rank if len(numbers) == 1 else numbers))


@imports("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution")
def convolution(im: Import, a: Any) -> Value:
    """Strides, dilations, groups; `same` padding puts the odd element at the end."""
    w = im.value(a.weight)
    rank = len(w.shape) - 2
    if rank > 2:
        im.refuse("convolution over three dimensions", "use one or two")
    x = im.value(a.input)
    single = len(x.shape) == rank + 1
    x = im.reshape(x, (1, *x.shape)) if single else x
    stride, dilation = per_axis(a.stride, rank), per_axis(a.dilation, rank)
    if isinstance(a.padding, str):
        totals = [d * (k - 1) if a.padding == "same" else 0 for d, k in zip(dilation, w.shape[2:])]
        padding = (*(t // 2 for t in totals), *(t - t // 2 for t in totals))
    else:
        padding = per_axis(a.padding, rank) * 2
    if "transpose" in im.op or getattr(a, "transposed", False):
        extra = per_axis(a.output_padding, rank)
        op: Any = ConvTranspose(stride, padding, dilation, a.groups, extra)
    else:
        op = Conv(stride, padding, dilation, a.groups)
    y = im.b(op, x, w, *([im.value(a.bias)] if a.bias is not None else []))
    return im.reshape(y, y.shape[1:]) if single else y


@imports("linear")
def linear(im: Import, a: Any) -> Value:
    """The same op; weights that are no matrix are a product with a vector."""
    x, w = im.value(a.input), im.value(a.weight)
    if len(w.shape) == 1:
        w = im.reshape(w, (1, w.shape[0]))
        bias = im.reshape(im.value(a.bias), (1,)) if a.bias is not None else None
        return im.reshape(im.b(Linear(), x, w, bias), im.shape)
    return im.b(Linear(), x, w, *([im.value(a.bias)] if a.bias is not None else []))


def turned(im: Import, x: Value) -> Value:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return im.b(Transpose((*range(rank - 2), rank - 1, rank - 2)), x)


@imports("matmul", "mm", "bmm", "mv", "dot", "linalg_matmul")
def matmul(im: Import, a: Any) -> Value:
    """Vectors become matrices of one row or column."""
    x = im.value(a.self)
    y = im.value(next(getattr(a, n) for n in ("other", "mat2", "vec", "tensor") if hasattr(a, n)))
    x = im.reshape(x, (1, *x.shape)) if len(x.shape) == 1 else x
    y = im.reshape(y, (*y.shape, 1)) if len(y.shape) == 1 else y
    return im.reshape(im.b(Matmul(), x, y), im.shape)


@imports("addmm", "baddbmm", "addmv")
def addmm(im: Import, a: Any) -> Value:
    """beta * bias + alpha * product."""
    names = {"addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"), "addmv": ("mat", "vec")}
    x, y = (im.value(getattr(a, name)) for name in names[im.op])
    y = im.reshape(y, (*y.shape, 1)) if len(y.shape) == 1 else y
    product = im.reshape(im.b(Matmul(), x, y), im.shape)
    if a.alpha != 1:
        product = im.b(Mul(), product, scalar(im.b, a.alpha, product))
    if a.beta == 0:
        return product
    bias = im.value(a.self)
    bias = im.b(Mul(), bias, scalar(im.b, a.beta, bias)) if a.beta != 1 else bias
    return im.b(Add(), product, bias)


@imports("einsum")
def einsum(im: Import, a: Any) -> Value:
    """Two operands, or one summed and turned. Letters only; no ellipsis, no repeated letter in a term."""
    left, arrow, result = a.equation.replace(" ", "").partition("->")
    terms = left.split(",")
    letters = "".join(terms)
    result = result if arrow else "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
    if "." in a.equation or len(terms) > 2 or any(len(set(t)) < len(t) for t in terms):
        im.refuse(f"einsum {a.equation!r}", "write it with one or two operands, plain letters and no repeats in a term")
    values = im.operands(*a.tensors) if len(terms) == 2 else [im.value(a.tensors[0])]
    if len(terms) == 2:
        return im.b(Einsum(f"{terms[0]},{terms[1]}->{result}"), *values)
    gone = tuple(i for i, c in enumerate(terms[0]) if c not in result)
    kept = [c for c in terms[0] if c in result]
    y = im.b(ReduceSum(gone, False), values[0]) if gone else values[0]
    order = tuple(kept.index(c) for c in result)
    return y if order == tuple(range(len(order))) else im.b(Transpose(order), y)


@imports("bilinear", "_trilinear")
def bilinear(im: Import, a: Any) -> Value:
    """x [.., I], w [O, I, J], y [.., J] -> x w y + bias [.., O]."""
    if im.op == "_trilinear":
        im.refuse("a product of three tensors", "use nn.Bilinear")
    x, y, w = im.value(a.input1), im.value(a.input2), im.value(a.weight)
    x, y = im.reshape(x, (-1, x.shape[-1])), im.reshape(y, (-1, y.shape[-1]))
    half = im.b(Einsum("bi,oij->boj"), x, w)
    product = im.reshape(im.b(Einsum("boj,bj->bo"), half, y), im.shape)
    return product if a.bias is None else im.b(Add(), product, im.value(a.bias))


@imports("embedding_bag")
def embedding_bag(im: Import, a: Any) -> Any:
    """Sum, mean or maximum of the rows of bags of one size."""
    indices, offsets = im.value(a.indices), im.known(a.offsets, "where bags begin")
    bags = len(offsets) - int(a.include_last_offset)
    size = indices.type.size // max(1, bags)
    if offsets.tolist()[:bags] != list(range(0, bags * size, size)) or bags * size != indices.type.size:
        im.refuse("bags of several sizes", "pass indices as [bags, size]")
    if a.per_sample_weights is not None or a.padding_idx not in (None, -1):
        im.refuse("an embedding bag with weights or padding", "use nn.Embedding, a mask and a sum")
    rows = im.b(Gather(), im.value(a.weight), im.reshape(indices, (bags, size)))
    return im.b((ReduceSum, ReduceMean, ReduceMax)[a.mode]((1,), False), rows), None, None, None


@imports("embedding")
def embedding(im: Import, a: Any) -> Value:
    """Rows of a table."""
    return im.b(Gather(), im.value(a.weight), im.value(a.indices))
