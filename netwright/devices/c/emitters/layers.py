"""Convolutions and fully connected layers."""

from __future__ import annotations

import numpy as np

from netwright.graph import Node, Value
from netwright.graph.ops.int8.arithmetic import multipliers, multiply_by_multiplier
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.conv_transpose import QConvTranspose

from ..choice import SHAPE_BYTES, ChosenConv, by_channel, by_columns, by_fours, is_depthwise, kernel
from ..source import Body, Writer, emits, scratch

Ends = tuple[np.ndarray, np.ndarray, np.ndarray]


def _plain_ends(writer: Writer, node: Node) -> Ends:
    """(bias, multiplier, shift) of each output."""
    op = node.op
    assert isinstance(op, (QConv, QConvTranspose))
    return writer.array(node.inputs[3]), *multipliers(op.x, writer.array(node.inputs[2]), op.out, op.float_product)


def _constants(writer: Writer, name: str, weights: np.ndarray, ends: Ends) -> tuple[str, int]:
    """The four constant arrays of a layer as arguments, and their bytes."""
    bias, multiplier, shift = ends
    arrays: dict[str, np.ndarray] = {
        "weight": weights.astype(np.int8),
        "bias": bias.astype(np.int32),
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
    }
    names = [writer.constant(f"{name}_{part}", array) for part, array in arrays.items()]
    return ", ".join(names), sum(a.nbytes for a in arrays.values())


WIDE = 64  # NW_WIDE of conv.h
CONTEXT = 36  # bytes of nw_conv_context on a 32-bit core
FOUR = 48  # bytes of nw_four


def _ends(writer: Writer, node: Node) -> Ends:
    """(bias, multiplier, down) of each output; down as nw_conv_finish has it: the shift to the right, less one, and
    WIDE less where a sum may leave 30 bits.

    An output whose weights are all zero is a constant, often of an enormous bias: it gets a small one that gives the
    same.
    """
    op, weights = node.op, writer.array(node.inputs[1]).astype(np.int64)
    assert isinstance(op, QConv)
    multiplier, shift = multipliers(op.x, writer.array(node.inputs[2]), op.out, op.float_product)
    bias = writer.array(node.inputs[3]).astype(np.int64)
    dead = (weights == op.w_zero).reshape(len(weights), -1).all(1)
    constant = np.clip(multiply_by_multiplier(bias, multiplier, shift), -128 - op.out.zero, 127 - op.out.zero)
    bias, multiplier = np.where(dead, 4 * constant, bias), np.where(dead, 1 << 30, multiplier)
    shift = np.where(dead, -1, shift)
    largest = max(127 - op.x.zero, op.x.zero + 128)
    sums = np.abs(weights - op.w_zero).reshape(len(weights), -1).sum(1) * largest
    wide = np.abs(bias) + sums >= 1 << 30
    return bias, multiplier, -1 - np.where(multiplier == 0, -1, shift) - WIDE * wide


def stream(weights: np.ndarray, zero: int, bias: np.ndarray, multiplier: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The constants of a convolution in the order that nw_conv reads them, as bytes.

    Rows of a kernel [O, Kh, Kw, C] are filled up to whole groups of four (with their zero point, since what is read
    there may be anything). For two outputs at a time: weights side by side in each group, 24 bits of bias above a shift
    each, multipliers. At the end what 24 bits do not hold of a bias: of every output whose shift is WIDE less, which
    those are made whose bias is so large.
    """
    o, kh, kw, c = weights.shape
    run = -(-kw * c // 4) * 4
    rows = np.full((o, kh, run), zero, np.int8)
    rows[:, :, : kw * c] = weights.reshape(o, kh, kw * c)
    groups = rows.reshape(o, -1, 4)
    held = ((bias + (1 << 23)) & 0xFFFFFF) - (1 << 23)
    down = down - WIDE * ((held != bias) & (down >= -WIDE // 2))
    ends = np.stack([held * 256 + (down & 255), multiplier], 1)  # [O, 2]
    pairs, size = o // 2, kh * run
    together = groups[: 2 * pairs].reshape(pairs, 2, size // 4, 4).transpose(0, 2, 1, 3).reshape(pairs, 2 * size)
    closing = _bytes(ends[: 2 * pairs].reshape(pairs, 2, 2).transpose(0, 2, 1)).reshape(pairs, 16)
    flat = [np.concatenate([together, closing], axis=1).reshape(-1)]
    if o % 2:
        flat += [groups[-1].reshape(-1), _bytes(ends[-1])]
    return np.concatenate([*flat, _bytes((bias - held)[down < -WIDE // 2])])


def _bytes(words: np.ndarray) -> np.ndarray:
    """Words of 32 bits, one after the other."""
    return np.ascontiguousarray(words.astype("<i4")).view(np.int8).reshape(-1)


def _side_by_side(groups: np.ndarray, width: int) -> np.ndarray:
    """[O, groups, 4] with `width` outputs next to one another in each group, those left over one by one; flat."""
    o = len(groups) // width * width
    together = groups[:o].reshape(-1, width, *groups.shape[1:]).transpose(0, 2, 1, 3)
    return np.concatenate([together.reshape(-1), groups[o:].reshape(-1)])


@scratch(QConv, ChosenConv)
def conv_scratch(node: Node) -> int:
    """Two gathered windows of 16 bits; of a depthwise convolution the taps of one channel or four, and the rows that
    they cover."""
    op, w = node.op, node.inputs[1]
    assert isinstance(op, QConv) and w is not None
    _, kh, kw, c = w.shape
    if by_fours(node):
        return FOUR + kh * (8 * kw + 4 * ((node.output.shape[2] - 1) * op.stride[1] + kw))
    if by_channel(node):
        long = node.output.shape[2]
        if by_columns(node):
            kh, kw, long = kw, kh, node.output.shape[1]
        pairs, outputs = kw // 2 + 1, -(-long // 4) * 4
        return 2 * kh * (4 * pairs + outputs * op.stride[1] + 2 * pairs)
    return 0 if op.groups > 1 else 4 * kh * (-(-kw * c // 4) * 4) + CONTEXT


def each_sample(node: Node, call: str) -> str:
    """A kernel's call for one sample, for every sample there is."""
    x, y = node.inputs[0], node.output
    assert x is not None
    n = x.shape[0]
    if n == 1:
        return f"    {call}"
    one = call.replace("(x0, y0,", f"(x0 + n * {x.type.size // max(n, 1)}, y0 + n * {y.type.size // max(n, 1)},")
    return f"    for (int32_t n = 0; n < {n}; n++)\n        {one}"


@emits(QConv, ChosenConv)
def conv(writer: Writer, node: Node) -> Body:
    op = node.op
    assert isinstance(op, QConv)
    x, y, weights = node.inputs[0], node.output, writer.array(node.inputs[1])
    assert x is not None
    _, h, w, c = x.shape
    o, kh, kw, _ = weights.shape
    shape = {
        "h": h,
        "w": w,
        "c": c,
        "oh": y.shape[1],
        "ow": y.shape[2],
        "o": o,
        "kh": kh,
        "kw": kw,
        "sh": op.stride[0],
        "sw": op.stride[1],
        "dh": op.dilation[0],
        "dw": op.dilation[1],
        "top": op.padding[0],
        "left": op.padding[1],
        "x_zero": op.x.zero,
        "w_zero": op.w_zero,
        "y_zero": op.out.zero,
        "low": op.low,
        "high": op.high,
    }
    depthwise = is_depthwise(node)
    plain = op.groups == 1
    shape["backward"] = int(node in writer.where.backward)
    fields = ", ".join(f".{k} = {v}" for k, v in shape.items())
    if plain:
        packed = stream(weights, op.w_zero, *_ends(writer, node))
        name, size = writer.constant(f"{node.name}_constants", packed, aligned=True), packed.nbytes
        call = f"nw_conv(x0, y0, {name}, scratch, &s)"
    elif by_fours(node):
        bias, multiplier, down = _ends(writer, node)
        start = _wrapped(bias - op.x.zero * weights.astype(np.int64).reshape(o, -1).sum(1))
        names, size = _constants(writer, node.name, weights[..., 0].transpose(1, 2, 0), (start, multiplier, down))
        call = _fours_call(writer, node, names)
    else:
        if by_channel(node):
            bytes_of = {"sh": w * c, "sw": c, "dh": y.shape[2] * o, "dw": o}
            if by_columns(node):
                weights = weights.transpose(0, 2, 1, 3)
                shape |= {"h": w, "w": h, "oh": y.shape[2], "ow": y.shape[1], "kh": kw, "kw": kh}
                shape |= {"top": op.padding[1], "left": op.padding[0]}
                bytes_of = {"sh": c, "sw": w * c, "dh": o, "dw": y.shape[2] * o}
            fields = ", ".join(f".{k} = {v}" for k, v in (shape | bytes_of).items())
        names, size = _constants(writer, node.name, weights, (_ends if depthwise else _plain_ends)(writer, node))
        if depthwise:
            call = _depthwise_call(writer, node, names)
        else:
            call = f"nw_conv_grouped(x0, y0, {names}, &s, {op.groups})"
    body = f"    static const nw_conv_shape s = {{{fields}}};\n{each_sample(node, call)};"
    header = "depthwise_fours.h" if by_fours(node) else "depthwise.h" if depthwise else "conv.h"
    return Body(body, (header,), size + SHAPE_BYTES)


def _wrapped(numbers: np.ndarray) -> np.ndarray:
    """Modulo 2^32, as sums on 32 bits are."""
    return numbers.astype(np.uint32).view(np.int32)


def _fours_call(writer: Writer, node: Node, constants: str) -> str:
    """The call of a depthwise layer four channels at a time, and the kernel for its size and stride."""
    op, w, name = node.op, node.inputs[1], kernel(node)
    assert isinstance(op, QConv) and w is not None and name is not None
    writer.helper(
        name,
        f"NW_KERNEL void {name}(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *start,\n"
        "    const int32_t *multiplier, const int8_t *shift, int16_t *scratch, const nw_conv_shape *s)\n{\n"
        f"    nw_depthwise_fours(x, y, w, start, multiplier, shift, scratch, s, {w.shape[1]}, {w.shape[2]}, "
        f"{op.stride[0]},\n                       {_end(op)});\n}}",
    )
    return f"{name}(x0, y0, {constants}, scratch, &s)"


def _end(op: QConv) -> str:
    """C of the end of a layer, with constants where a clamp is that of int8."""
    clamped = (op.low, op.high) != (-128, 127)
    return f"(nw_end){{s->y_zero, {'s->low, s->high' if clamped else '-128, 127'}}}"


def _depthwise_call(writer: Writer, node: Node, constants: str) -> str:
    """The call of a depthwise layer, and the kernel for what it shares with others."""
    op, w, name = node.op, node.inputs[1], kernel(node)
    assert isinstance(op, QConv) and w is not None and name is not None
    _, kh, kw, _ = w.shape
    if by_columns(node):
        kh, kw = kw, kh
    end = _end(op)
    if by_channel(node):
        writer.helper(
            name,
            f"NW_KERNEL void {name}(const int8_t *x, int8_t *y, const int8_t *w, int16_t *scratch,\n"
            "    const nw_conv_shape *s, int32_t start, int32_t multiplier, int32_t shift)\n{\n"
            f"    nw_depthwise_channel(x, y, w, scratch, s, start, multiplier, shift, {kh}, {kw}, {op.stride[0]},\n"
            f"                         {end});\n}}",
        )
        return f"nw_depthwise(x0, y0, {constants}, scratch, &s, {name}, {kh * kw}, {conv_scratch(node) // 2})"
    writer.helper(
        name,
        f"NW_KERNEL void {name}(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,\n"
        "    const int32_t *multiplier, const int8_t *shift, const nw_conv_shape *s)\n{\n"
        f"    nw_depthwise_any(x, y, w, bias, multiplier, shift, s, {end});\n}}",
    )
    return f"{name}(x0, y0, {constants}, &s)"


@emits(QConvTranspose)
def conv_transpose(writer: Writer, node: Node) -> Body:
    op, x, y, weights = node.op, node.inputs[0], node.output, writer.array(node.inputs[1])
    assert isinstance(op, QConvTranspose) and x is not None
    shape = {
        "h": x.shape[1],
        "w": x.shape[2],
        "c": x.shape[3],
        "oh": y.shape[1],
        "ow": y.shape[2],
        "o": y.shape[3],
        "kh": weights.shape[1],
        "kw": weights.shape[2],
        "sh": op.stride[0],
        "sw": op.stride[1],
        "top": op.padding[0],
        "left": op.padding[1],
        "x_zero": op.x.zero,
        "w_zero": op.w_zero,
        "y_zero": op.out.zero,
        "low": op.low,
        "high": op.high,
    }
    names, size = _constants(writer, node.name, weights, _plain_ends(writer, node))
    fields = ", ".join(f".{k} = {v}" for k, v in shape.items())
    call = each_sample(node, f"nw_conv_transpose(x0, y0, {names}, s);")
    body = f"    const nw_transpose_shape s = {{{fields}}};\n{call}"
    return Body(body, ("conv_transpose.h",), size)


def linear_arguments(
    writer: Writer, name: str, op: QLinear, rows: int, weight: Value | None, scale: Value | None, bias: Value | None
) -> tuple[str, str, int]:
    """Of a linear layer on `rows` rows: its constants as arguments of nw_linear, the fields of its nw_linear_shape, and
    the bytes of its constants."""
    weights = writer.array(weight)
    o, i = weights.shape
    filled = np.zeros((o, -(-i // 4) * 4), weights.dtype)
    filled[:, :i] = weights
    multiplier, shift = multipliers(op.x, writer.array(scale), op.out)
    alike = len({*zip(multiplier.tolist(), shift.tolist())}) == 1  # weights of one scale
    used = slice(1 if alike else None)
    ends = writer.array(bias), multiplier[used], shift[used]
    names, size = _constants(writer, name, _side_by_side(filled.reshape(o, -1, 4), 4), ends)
    fields = (
        f".n = {rows}, .i = {i}, .o = {o}, .x_zero = {op.x.zero}, .w_zero = {op.w_zero}, "
        f".y_zero = {op.out.zero}, .low = {op.low}, .high = {op.high}, .step = {int(not alike)}"
    )
    return names, fields, size


@emits(QLinear)
def linear(writer: Writer, node: Node) -> Body:
    op, (x, *rest) = node.op, node.inputs
    assert isinstance(op, QLinear) and x is not None
    names, fields, size = linear_arguments(writer, node.name, op, x.shape[0], *rest)
    body = f"    const nw_linear_shape s = {{{fields}}};\n    nw_linear(x0, y0, {names}, s);"
    return Body(body, ("linear.h",), size)
