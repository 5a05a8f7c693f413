"""What ONNX Runtime adds to the standard: its quantiser's operators and those that its optimiser fuses."""

from __future__ import annotations

from ...ops.activation import Gelu
from ...ops.binary import Add, Mul
from ...ops.linear import Linear
from ...ops.norm import LayerNorm
from ...ops.pool import GlobalAveragePool
from ...ops.quantise import Cast
from ...ops.shape import Concat, Reshape, Transpose
from ...ops.softmax import Softmax
from ...ops.unary import Clip, HardSigmoid, LeakyRelu, Relu, Sigmoid, Tanh
from .conv import conv
from .entry import Entry, Known
from .importer import Call, imports
from .linear import product
from .pool import averaged, geometry
from .quantise import MICROSOFT, dequantised, quantised


@imports("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def qlinear_binary(n: Call) -> Entry:
    """Two operands with scale and zero point each, then the result's."""
    a, b = dequantised(n, n.x(0), n.x(1), n.get(2)), dequantised(n, n.x(3), n.x(4), n.get(5))
    y = n(Add() if n.op_type == "QLinearAdd" else Mul(), a, b)
    return quantised(n, y, n.x(6), n.get(7), n.x(0).dtype)


@imports("QLinearSigmoid", "QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_unary(n: Call) -> Entry:
    """One operand."""
    x = dequantised(n, n.x(0), n.x(1), n.get(2))
    y = n(Sigmoid(), x) if n.op_type == "QLinearSigmoid" else n(LeakyRelu(n.real("alpha", 0.01)), x)
    return quantised(n, y, n.x(3), n.get(4), n.x(0).dtype)


@imports("QLinearGlobalAveragePool", "QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(n: Call) -> Entry:
    """Channels first only."""
    if n.integer("channels_last", 0):
        raise n.refuse("channels_last=1 is not supported: quantise the model channels first")
    x = dequantised(n, n.x(0), n.x(1), n.get(2))
    if n.op_type == "QLinearGlobalAveragePool":
        y = n(GlobalAveragePool(), x)
    else:
        y = averaged(n, x, geometry(n, x), bool(n.integer("count_include_pad", 0)))
    return quantised(n, y, n.x(3), n.get(4), n.x(0).dtype)


@imports("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(n: Call) -> Entry:
    """The result's scale and zero point, then three inputs a tensor."""
    parts = [dequantised(n, n.x(i), n.x(i + 1), n.get(i + 2)) for i in range(2, len(n), 3)]
    axis = n.axis(n.integer("axis", 0), len(parts[0].shape))
    return quantised(n, n(Concat(axis), *parts), n.x(0), n.get(1), n.x(2).dtype)


@imports("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(n: Call) -> Entry:
    """Over the last axis, or over one."""
    x = dequantised(n, n.x(0), n.x(1), n.get(2))
    axis = n.axis(n.integer("axis", -1), len(x.shape))
    if n.integer("opset", 13) < 13 and axis != len(x.shape) - 1:
        raise n.refuse("a softmax over several axes: export with opset 13 or later")
    return quantised(n, n(Softmax(axis), x), n.x(3), n.get(4), n.x(0).dtype)


@imports("QGemm", domain=MICROSOFT)
def q_gemm(n: Call) -> Entry:
    """Two matrices with scale and zero point each, an int32 bias in steps of their product, then the result's."""
    if n.integer("transA", 0) or n.real("alpha", 1.0) != 1:
        raise n.refuse("transA and alpha are not supported")
    turned = bool(n.integer("transB", 0))
    x = dequantised(n, n.x(0), n.x(1), n.get(2))
    w = dequantised(n, n.x(3), n.x(4), n.get(5), axis=0 if turned else 1)
    w = w if turned else n(Transpose((1, 0)), w)
    bias = n.get(6)
    if bias is not None:
        step = n(Mul(), n(Reshape((-1,)), n.x(1)), n(Reshape((-1,)), n.x(4)))
        reals = n(Mul(), n(Cast(step.dtype), n(Reshape((-1,)), bias)), step)
        bias = Known(reals.array, bias.name, True) if isinstance(reals, Known) and isinstance(bias, Known) else reals
    y = n(Linear(), x, w, bias)
    return y if n.get(7) is None else quantised(n, y, n.x(7), n.get(8), n.x(0).dtype)


@imports("DynamicQuantizeMatMul", "MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_to_float(n: Call) -> Entry:
    """A product with quantised weights; what the first operand loses in between is kept by quantising it alike."""
    if n.op_type == "DynamicQuantizeMatMul":
        from .quantise import dynamic_quantize_linear

        q, scale, zero = dynamic_quantize_linear(n)
        a = dequantised(n, q, scale, zero)
        b, bias = dequantised(n, n.x(1), n.x(2), n.get(3), axis=-1), n.get(4)
    else:
        a = dequantised(n, n.x(0), n.x(2), n.get(4), axis=-2)
        b, bias = dequantised(n, n.x(1), n.x(3), n.get(5), axis=-1), n.get(6)
    y = product(n, a, b)
    return n(Add(), y, bias) if bias is not None else y


# what its optimiser fuses


@imports("Gelu", "FastGelu", "BiasGelu", "QuickGelu", domain=MICROSOFT)
def gelu(n: Call) -> Entry:
    """Exact, by tanh, or x * sigmoid(alpha * x); some with a bias before."""
    x = n.x()
    if n.op_type in ("FastGelu", "BiasGelu") and n.get(1) is not None:
        x = n(Add(), x, n.x(1))
    if n.op_type == "QuickGelu":
        return n(Mul(), x, n(Sigmoid(), n(Mul(), x, n.scalar(n.real("alpha", 1.702), x))))
    return n(Gelu(n.op_type == "FastGelu"), x)


@imports("FusedConv", domain=MICROSOFT)
def fused_conv(n: Call) -> Entry:
    """A convolution, a sum, an activation."""
    y = conv(n)
    if n.get(3) is not None:
        y = n(Add(), y, n.x(3))
    return _activated(n, y)


@imports("FusedGemm", domain=MICROSOFT)
def fused_gemm(n: Call) -> Entry:
    """A matrix product and an activation."""
    from .linear import gemm

    return _activated(n, gemm(n))


def _activated(n: Call, y: Entry) -> Entry:
    name = n.text("activation", "")
    alone = n.real("activation_alpha", 0.01), n.real("activation_beta", 0.0)
    parameters = n.several("activation_params", float) or alone
    plain = {"Relu": Relu, "Sigmoid": Sigmoid, "Tanh": Tanh}
    if not name:
        return y
    if name in plain:
        return n(plain[name](), y)
    if name == "LeakyRelu":
        return n(LeakyRelu(parameters[0]), y)
    if name == "Clip" and len(parameters) == 2:
        return n(Clip(*parameters), y)
    if name == "HardSigmoid" and len(parameters) == 2:
        return n(HardSigmoid(*parameters), y)
    raise n.refuse(f"activation {name!r} is not supported")


@imports("FusedMatMul", domain=MICROSOFT)
def fused_matmul(n: Call) -> Entry:
    """alpha * A' B', transposed in the last two axes."""
    if n.integer("transBatchA", 0) or n.integer("transBatchB", 0):
        raise n.refuse("transBatchA and transBatchB are not supported")
    operands = []
    for index, name in enumerate(("transA", "transB")):
        x = n.x(index)
        rank = len(x.shape)
        if n.integer(name, 0) and rank > 1:
            x = n(Transpose((*range(rank - 2), rank - 1, rank - 2)), x)
        operands.append(x)
    y, alpha = product(n, *operands), n.real("alpha", 1.0)
    return y if alpha == 1 else n(Mul(), y, n.scalar(alpha, y))


@imports("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_norm(n: Call) -> tuple[Entry | None, ...]:
    """layer_norm(x + skip + bias), and that sum as the last result."""
    total = n(Add(), n.x(0), n.x(1))
    if n.get(4) is not None:
        total = n(Add(), total, n.x(4))
    y = n(LayerNorm(n.real("epsilon", 1e-12), 1), total, n.x(2), n.get(3))
    return y, None, None, total
