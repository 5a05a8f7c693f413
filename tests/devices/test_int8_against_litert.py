"""Our integer arithmetic, byte for byte against LiteRT's reference kernels, on random layers."""

from __future__ import annotations

import litert
import numpy as np
import pytest

from netwright.graph import OPS, Quant, Type


def quant(rng: np.random.Generator, low: float = 0.004, high: float = 0.1) -> Quant:
    return Quant(float(np.float32(rng.uniform(low, high))), int(rng.integers(-128, 128)))


def int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TFLite's SAME: before and after."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("depthwise", [False, True])
def test_convolution_is_byte_equal(seed: int, depthwise: bool) -> None:
    rng = np.random.default_rng([seed, depthwise])
    h, w, c, o = (int(v) for v in rng.integers(3, 11, 4))
    k, stride, same, relu = (
        int(rng.choice([1, 3])),
        int(rng.integers(1, 3)),
        bool(rng.integers(2)),
        bool(rng.integers(2)),
    )
    o = c if depthwise else o
    x, weights = int8(rng, 1, h, w, c), np.maximum(int8(rng, o, k, k, 1 if depthwise else c), -127)
    scale = rng.uniform(0.0005, 0.01, o).astype(np.float32)
    bias = rng.integers(-3000, 3000, o).astype(np.int32)
    xq, out = quant(rng), quant(rng, 0.01, 0.3)
    top, bottom = same_padding(h, k, stride) if same else (0, 0)
    left, right = same_padding(w, k, stride) if same else (0, 0)
    op = OPS["q_conv"](
        stride=(stride,) * 2,
        padding=(top, left, bottom, right),
        groups=c if depthwise else 1,
        x=xq,
        out=out,
        low=max(-128, out.zero) if relu else -128,
    )
    ours = op.numpy(x, weights, scale, bias)
    theirs = litert.conv(x, weights, scale, bias, xq, out, stride, same, ours.shape, relu, depthwise)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
def test_elementwise_is_byte_equal(seed: int, kind: str) -> None:
    rng = np.random.default_rng([seed, *kind.encode()])
    shape = tuple(int(v) for v in rng.integers(2, 9, 4))
    other = (1, 1, 1, shape[3]) if seed % 3 == 0 else shape
    x, y, xq, yq = int8(rng, *shape), int8(rng, *other), quant(rng), quant(rng)
    out = quant(rng, 0.001, 0.01) if kind == "MUL" else quant(rng, 0.02, 0.2)
    ours = OPS[f"q_{kind.lower()}"](x=xq, y=yq, out=out).numpy(x, y)
    assert np.array_equal(ours, litert.binary(kind, x, y, xq, yq, out))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pooling_is_byte_equal(seed: int, kind: str) -> None:
    rng = np.random.default_rng([seed, *kind.encode()])
    h, w, c = (int(v) for v in rng.integers(4, 12, 3))
    k, stride, same = int(rng.integers(2, 4)), int(rng.integers(1, 3)), bool(rng.integers(2))
    x, xq = int8(rng, 1, h, w, c), quant(rng)
    (top, bottom), (left, right) = (same_padding(n, k, stride) if same else (0, 0) for n in (h, w))
    op = OPS["q_max_pool" if kind.startswith("MAX") else "q_average_pool"](
        kernel=(k, k), stride=(stride, stride), padding=(top, left, bottom, right)
    )
    ours = op.numpy(x)
    assert op.types(Type(x.shape, "int8", xq))[0].shape == ours.shape
    assert np.array_equal(ours, litert.pool(kind, x, xq, k, stride, same, ours.shape))


@pytest.mark.parametrize("seed", range(20))
def test_change_of_scale_is_byte_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, xq, out = int8(rng, 1, 300), quant(rng), quant(rng)
    assert np.array_equal(OPS["q_requantise"](x=xq, out=out).numpy(x), litert.requantise(x, xq, out))


@pytest.mark.parametrize("seed", range(30))
def test_softmax_is_byte_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # past 511 equal elements the peer stops with an assertion
    shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 10, 100, 500])))
    xq, beta = quant(rng, *[(1e-4, 1e-3), (0.004, 0.1), (0.1, 1.0), (1.0, 40.0)][seed % 4]), (1.0, 0.5, 2.0)[seed % 3]
    x = int8(rng, *shape) // (1 if seed % 2 else 16)
    assert np.array_equal(OPS["q_softmax"](xq, beta).numpy(x), litert.softmax(x, xq, beta))


def test_softmax_of_more_equal_elements_than_int8_can_tell_from_zero_is_zero() -> None:
    assert (OPS["q_softmax"](Quant(0.1, 0)).numpy(np.zeros((1, 4095), np.int8)) == -128).all()
    with pytest.raises(ValueError, match="1 to 4095"):
        OPS["q_softmax"](Quant(0.1, 0)).types(Type((1, 4096), "int8", Quant(0.1, 0)))


@pytest.mark.parametrize("seed", range(40))
def test_mean_over_space_is_byte_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, xq, out = int8(rng, 1, *(int(v) for v in rng.integers(1, 20, 3))), quant(rng), quant(rng, 0.0005, 0.1)
    keepdims = bool(seed % 2)
    assert np.array_equal(OPS["q_mean"]((1, 2), keepdims, xq, out).numpy(x), litert.mean(x, xq, out, keepdims))


@pytest.mark.parametrize("seed", range(40))
def test_transposed_convolution_is_byte_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    h, w, c, o, kh, kw = (int(v) for v in (*rng.integers(1, 7, 4), *rng.integers(1, 5, 2)))
    stride, same = tuple(int(v) for v in rng.integers(1, 4, 2)), bool(seed % 2)
    x, weights = int8(rng, 1, h, w, c), np.maximum(int8(rng, o, kh, kw, c), -127)
    scale = rng.uniform(0.0005, 0.01, o).astype(np.float32)
    bias = rng.integers(-3000, 3000, o).astype(np.int32)
    xq, out = quant(rng), quant(rng, 0.01, 0.3)
    # SAME makes size * stride; VALID leaves the size to the model
    cut = [max(0, k - s) if same else 0 for k, s in zip((kh, kw), stride)]
    more = tuple(max(0, s - k) if same else int(rng.integers(0, s)) for k, s in zip((kh, kw), stride))
    padding = (cut[0] // 2, cut[1] // 2, cut[0] - cut[0] // 2, cut[1] - cut[1] // 2)
    ours = OPS["q_conv_transpose"](stride, padding, more, xq, out).numpy(x, weights, scale, bias)
    theirs = litert.conv_transpose(x, weights, scale, bias, xq, out, stride, same, ours.shape)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(10))
def test_arg_max_is_equal_also_among_equals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, axis = int8(rng, 1, 3, 4, 9) // (1 if seed % 2 else 40), int(rng.integers(0, 4))
    ours = OPS["q_arg_max"](axis).numpy(x)
    assert np.array_equal(ours, litert.arg_max(x, quant(rng), axis, ours.shape))


@pytest.mark.parametrize("seed", range(10))
def test_ends_are_bit_equal_also_at_halves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    out = quant(rng, 0.001, 1.0)
    scale = np.float32(out.scale)
    halves = scale * (np.arange(-300, 300) + 0.5).astype(np.float32)
    below = np.float32([0.49999997, -0.49999997]) * scale  # adding a half in float32 would give one
    x = np.concatenate([halves, below, rng.normal(0, 60 * scale, 500).astype(np.float32)])[None]
    assert np.array_equal(OPS["quantise"](out).numpy(x), litert.quantise(x, out))
    codes = np.arange(-128, 128, dtype=np.int8)[None]
    assert np.array_equal(OPS["dequantise"](out).numpy(codes), litert.dequantise(codes, out))
