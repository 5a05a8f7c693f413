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
