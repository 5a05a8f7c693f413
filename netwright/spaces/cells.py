"""What cell spaces are made of: operations on an edge, and a stack of cells over the outputs of the last two.

Every operation is a function (b, x, width, stride) -> value over images [1, C, H, W] -> [1, width, H', W'], where H' is
H divided by the stride, rounded up. Order of a convolution: ReLU, convolution, batch norm (Zoph et al. 2018, appendix
A.3). Names follow Liu et al. 2019, "DARTS", section 3, except where a space says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from netwright.graph import Builder, Type, Value
from netwright.graph.builder import live
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.pool import AveragePool, MaxPool
from netwright.graph.ops.shape import TO_END, Concat, Slice
from netwright.graph.ops.unary import Relu
from netwright.spaces import blocks
from netwright.spaces.cell import CellPlan

Operation = Callable[[Builder, Value, int, int], Value]
RELU, JOIN = Relu(), Concat(1)


def need_images(x: Type, space: str) -> None:
    """ValueError unless x is [1, C, H, W]."""
    if len(x.shape) != 4:
        raise ValueError(f'the space "{space}" needs images [1, C, H, W], not {x}')


@lru_cache(maxsize=1024)
def window(kernel: tuple[int, int], stride: tuple[int, int], dilation: int, groups: int) -> Conv:
    """A convolution padded so that stride 1 keeps the size and stride s divides it, rounding up."""
    pads = tuple((k - 1) * dilation // 2 for k in kernel)
    return Conv(stride, pads * 2, (dilation,) * 2, groups)


def convolved(
    b: Builder,
    x: Value,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: int = 1,
    groups: int = 1,
    name: str = "",
) -> Value:
    """The convolution alone, without bias."""
    weight = b.param(f"{name}weight", (width, x.shape[1] // groups, *kernel), init=blocks.HE)
    return b(window(kernel, stride, dilation, groups), x, weight, name=f"{name}conv")


def relu_conv(b: Builder, x: Value, width: int, kernel: int = 1, stride: int = 1, dilation: int = 1) -> Value:
    """ReLU, dense convolution, batch norm."""
    y = convolved(b, b(RELU, x, name="relu"), width, (kernel,) * 2, (stride,) * 2, dilation)
    return blocks.norm(b, y)


def conv_norm(b: Builder, x: Value, width: int, kernel: int, stride: int = 1) -> Value:
    """Dense convolution and batch norm, as stems begin."""
    return blocks.norm(b, convolved(b, x, width, (kernel,) * 2, (stride,) * 2))


def dense(kernel: int, dilation: int = 1) -> Operation:
    """A dense convolution of this size."""
    return lambda b, x, width, stride: relu_conv(b, x, width, kernel, stride, dilation)


def separable(kernel: int, dilation: int = 1, times: int = 2) -> Operation:
    """Depthwise, then pointwise convolution, `times` in a row; the first takes the stride."""

    def apply(b: Builder, x: Value, width: int, stride: int) -> Value:
        for turn in range(times):
            with b.scope(f"sep{turn}"):
                step = (stride if turn == 0 else 1,) * 2
                y, channels = b(RELU, x, name="relu"), x.shape[1]
                y = convolved(b, y, channels, (kernel,) * 2, step, dilation, channels, "depthwise_")
                x = blocks.norm(b, convolved(b, y, width, (1, 1), name="pointwise_"))
        return x

    return apply


def factorised(kernel: int) -> Operation:
    """1 x k, then k x 1, each with its share of the stride."""

    def apply(b: Builder, x: Value, width: int, stride: int) -> Value:
        y = convolved(b, b(RELU, x, name="relu"), width, (1, kernel), (1, stride), name="row_")
        return blocks.norm(b, convolved(b, y, width, (kernel, 1), (stride, 1), name="column_"))

    return apply


def inverted(kernel: int, expand: int = 1) -> Operation:
    """An inverted residual without its shortcut, which the cell decides: expand, depthwise, project."""

    def apply(b: Builder, x: Value, width: int, stride: int) -> Value:
        y, inner = x, x.shape[1] * expand
        if expand != 1:
            with b.scope("expand"):
                y = relu_conv(b, y, inner)
        with b.scope("depthwise"):
            y = blocks.norm(
                b, convolved(b, b(RELU, y, name="relu"), inner, (kernel,) * 2, (stride,) * 2, groups=inner)
            )
        with b.scope("project"):
            return relu_conv(b, y, width)

    return apply


def pool(kind: str, kernel: int = 3) -> Operation:
    """Maximum or average; padding never counts. A 1x1 convolution follows where the width is another."""
    op = (MaxPool if kind == "max" else AveragePool)

    def apply(b: Builder, x: Value, width: int, stride: int) -> Value:
        y = b(op((kernel,) * 2, (stride,) * 2, (kernel // 2,) * 4), x, name=kind)
        return y if x.shape[1] == width else conv_norm(b, y, width, 1)

    return apply


def halved(b: Builder, x: Value, width: int) -> Value:
    """Factorised reduction: two 1x1 convolutions of stride 2, the second shifted by one pixel, side by side."""
    y = b(RELU, x, name="relu")
    sizes = x.shape[2:]
    shift = tuple(int(n > 1) for n in sizes)
    cut = Slice((0, 0, *shift), (TO_END, x.shape[1], *sizes))
    right = b(cut, y, name="shifted") if any(shift) else y
    short = tuple(n % 2 if n > 1 else 0 for n in sizes)
    first = convolved(b, y, width - width // 2, (1, 1), (2, 2), name="even_")
    weight = b.param("odd_weight", (width // 2, x.shape[1], 1, 1), init=blocks.HE)
    second = b(Conv((2, 2), (0, 0, *short), (1, 1)), right, weight, name="odd_conv")
    return blocks.norm(b, b(JOIN, first, second, name="halves"))


def skip(b: Builder, x: Value, width: int, stride: int) -> Value:
    """Identity; factorised reduction where it has a stride (DARTS)."""
    return x if stride == 1 else halved(b, x, width)


class Style(NamedTuple):
    """What sets one family of cells apart from another.

    ops      the operation of every name
    concat   "all": every node is an output; "unused": those that no other node reads
    adapt    True: the earlier input always passes a 1x1 convolution (DARTS); False: only where it must (NASNet)
    also     states that are outputs beside those, for normal and for reduction cells
    """

    ops: Mapping[Any, Operation]
    concat: str = "all"
    adapt: bool = True
    also: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


class Placed(NamedTuple):
    """A cell in the stack. After one that is `passed`, the earlier input of the next is what it was for this one."""

    name: str
    plan: CellPlan
    width: int
    reduction: bool = False
    passed: bool = False


def cell(
    b: Builder, plan: CellPlan, earlier: Value, current: Value, width: int, reduction: bool, style: Style
) -> Value:
    """One cell over the outputs of the two before it: [1, outputs * width, H', W'].

    Stride 2 stands on the edges that leave the cell's inputs, in a reduction only.
    """
    outputs = plan.unused if style.concat == "unused" else tuple(range(2, 2 + len(plan.nodes)))
    outputs = tuple(sorted({*outputs, *style.also[reduction]}))
    read = {state for node in plan.nodes for state in node.inputs} | set(outputs)
    states: list[Value | None] = [None, None]
    if 0 in read:
        with b.scope("earlier"):
            states[0] = _earlier(b, earlier, current, width, style.adapt)
    if 1 in read:
        with b.scope("current"):
            states[1] = relu_conv(b, current, width)
    for number, node in enumerate(plan.nodes):
        with b.scope(f"node{number}"):
            states.append(_node(b, node.inputs, node.ops, node.combine, states, width, reduction, style.ops))
    joined = [_fit(b, states, state, width, reduction) for state in outputs]
    return b(JOIN, *joined, name="joined") if len(joined) > 1 else joined[0]


def _earlier(b: Builder, earlier: Value, current: Value, width: int, always: bool) -> Value:
    """The output of the cell before last, in the last one's size; the stem, in the first cell, as it is."""
    if earlier is current and not always:
        return earlier
    if earlier.shape[2:] != current.shape[2:]:
        return halved(b, earlier, width)
    return relu_conv(b, earlier, width) if always or earlier.shape[1] != width else earlier


def _node(
    b: Builder,
    inputs: Sequence[int],
    ops: Sequence[Any],
    combine: Any,
    states: Sequence[Value | None],
    width: int,
    reduction: bool,
    table: Mapping[Any, Operation],
) -> Value:
    parts = []
    for state, op in zip(inputs, ops, strict=True):
        x = states[state]
        assert x is not None
        with b.scope(f"from{state}.{op}"):
            parts.append(table[op](b, x, width, 2 if reduction and state < 2 else 1))
    if combine == "concat":
        return relu_conv(b, b(JOIN, *parts, name="concat"), width)
    y = parts[0]
    for part in parts[1:]:
        y = b(blocks.ADD, y, part, name="add")
    return y


def _fit(b: Builder, states: Sequence[Value | None], state: int, width: int, reduction: bool) -> Value:
    """A state as an output, in the cell's width; an input of a reduction is reduced first."""
    x = states[state]
    assert x is not None
    if x.shape[1] == width and (state >= 2 or not reduction):
        return x
    with b.scope(f"out{state}"):
        return halved(b, x, width) if reduction else relu_conv(b, x, width)


def stack(b: Builder, earlier: Value, current: Value, placed: Iterable[Placed], style: Style) -> Value:
    """Cells one upon the other."""
    for name, plan, width, reduction, passed in placed:
        with b.scope(name):
            made = cell(b, plan, earlier, current, width, reduction, style)
        earlier, current = (earlier if passed else current), made
    return current


def finish(b: Builder, x: Value, outputs: int) -> Any:
    """Global average, classifier; what no output needs (a cell whose input nobody reads) is dropped."""
    return live(blocks.finish(b, blocks.head(b, x, outputs)))
