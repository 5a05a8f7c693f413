"""Orion's thirteen kernels as MIL written by hand from its tables (Orion 2026, sections 3, 8 to 10), and what they compute.

Four of GPT-2, six of training, and three small ones, which the paper counts but does not list: a final layer norm, a
bare add, a linear layer with an adapter as input. Sizes are small; names of outputs are the published ones. Every
reference is PyTorch in fp32 on the same fp16 weights, the backward ones by its automatic differentiation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mil_programs import Writer, attention, causal, gelu_tanh, layer_norm
from torch.nn import functional as F

from netwright.devices.ane.mil import Program

D, HEADS, HIDDEN, S = 32, 2, 48, 16  # channels, heads, hidden channels, positions
SCALE = (D // HEADS) ** -0.5
Arrays = dict[str, np.ndarray]

rng = np.random.default_rng(3)


def weight(*shape: int) -> np.ndarray:
    return (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float16).astype(np.float32)


GAIN, SHIFT = 1 + weight(D) / 4, weight(D)
WQ, WK, WV, WO = (weight(D, D) for _ in range(4))
W1, W3, W2 = weight(HIDDEN, D), weight(HIDDEN, D), weight(D, HIDDEN)
BIAS = {name: weight(size) for name, size in (("q", D), ("k", D), ("v", D), ("o", D), ("up", HIDDEN), ("down", D))}


@dataclass(frozen=True)
class Kernel:
    """A program in `build(writer)`, returning its outputs' names in the published order.

    Attributes:
        inputs: name -> channels of [1, C, 1, S], or a shape.
        dtype: of inputs and outputs.
        reference: input arrays -> output arrays by name.
        ops: what the tables say of its operations; constants do not count.
    """

    build: Callable[[Writer], tuple[str, ...]]
    inputs: Mapping[str, int | tuple[int, ...]]
    reference: Callable[..., Arrays]
    ops: Counter[str]
    dtype: str = "fp16"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {n: (1, c, 1, S) if isinstance(c, int) else c for n, c in self.inputs.items()}

    def program(self, folder: Path) -> Program:
        w = Writer(folder)
        for name, shape in self.shapes().items():
            w.input(name, *shape, dtype=self.dtype)
        return w.program(*self.build(w))


LAYER_NORM = Counter(reduce_mean=2, sub=1, mul=3, add=2, pow=1)
RMS_NORM = Counter(mul=4, reduce_sum=1, add=1, pow=1)
LINEAR, BIASED = Counter(conv=1), Counter(conv=1, add=1)
ATTENTION = Counter(reshape=4, transpose=4, matmul=2, mul=1, add=1, softmax=1)
GELU = Counter(mul=6, add=2, tanh=1)
GATE = Counter(sigmoid=1, mul=2)


def times(count: int, ops: Counter[str]) -> Counter[str]:
    return Counter({op: n * count for op, n in ops.items()})


def half(w: Writer, x: str) -> str:
    return w.op("cast", x=x, dtype="fp16")


def single(w: Writer, **values: str) -> tuple[str, ...]:
    return tuple(w.op("cast", result=name, x=x, dtype="fp32") for name, x in values.items())


def biased(w: Writer, x: str, matrix: np.ndarray, name: str) -> str:
    return w.op("add", x=w.linear(x, matrix), y=w.weight(BIAS[name].reshape(1, -1, 1, 1)))


def named(w: Writer, x: str, matrix: np.ndarray, name: str) -> str:
    return w.conv(x, matrix.reshape(*matrix.shape, 1, 1), result=name)


def slices(w: Writer, x: str, *channels: int) -> list[str]:
    """Consecutive channels of a packed input."""
    ends = np.cumsum(channels)
    return [w.op("slice_by_index", x=x, begin=[0, int(e) - c, 0, 0], end=[1, int(e), 1, S]) for e, c in zip(ends, channels)]


def split(w: Writer, x: str) -> str:
    """[1, d, 1, S] -> [1, heads, S, d / heads]"""
    return w.op("transpose", x=w.op("reshape", x=x, shape=[1, HEADS, D // HEADS, S]), perm=[0, 1, 3, 2])


def merged(w: Writer, x: str, name: str) -> str:
    return w.op("reshape", result=name, x=w.op("transpose", x=x, perm=[0, 1, 3, 2]), shape=[1, D, 1, S])


def rms(w: Writer, x: str, name: str) -> str:
    total = w.op("reduce_sum", x=w.op("mul", x=x, y=x), axes=[1], keep_dims=True)
    scale = w.op("pow", x=w.op("add", x=w.op("mul", x=total, y=1 / D), y=1e-5), y=-0.5)
    return w.op("mul", result=name, x=w.op("mul", x=x, y=scale), y=w.weight(GAIN.reshape(1, D, 1, 1)))


def product(w: Writer, x: str, y: str, tx: bool = False, ty: bool = False) -> str:
    return w.op("matmul", x=x, y=y, transpose_x=tx, transpose_y=ty)


# the references: columns are positions, [channels, S]


def t(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.asarray(array, np.float32))


def columns(x: np.ndarray) -> torch.Tensor:
    return t(x)[0, :, 0, :]


def out(**values: torch.Tensor) -> Arrays:
    return {name: v.detach().numpy()[None, :, None, :] for name, v in values.items()}


def normed(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x.T, (D,), t(GAIN), t(SHIFT), 1e-5).T


def rmsed(x: torch.Tensor) -> torch.Tensor:
    return t(GAIN)[:, None] * x * (x.square().mean(0) + 1e-5).rsqrt()


def affine(x: torch.Tensor, matrix: np.ndarray, name: str) -> torch.Tensor:
    return t(matrix) @ x + t(BIAS[name])[:, None]


def by_head(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(HEADS, D // HEADS, S).mT


def flat(x: torch.Tensor) -> torch.Tensor:
    return x.mT.reshape(D, S)


def weights_of(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return (by_head(q) @ by_head(k).mT * SCALE + t(causal(S))).softmax(-1)


def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return flat(weights_of(q, k) @ by_head(v))


# GPT-2


def prefill_attention(w: Writer) -> tuple[str, ...]:
    x = half(w, "x")
    n = layer_norm(w, x, GAIN, SHIFT)
    q, k, v = (biased(w, n, m, name) for m, name in ((WQ, "q"), (WK, "k"), (WV, "v")))
    o = biased(w, attention(w, q, k, v, HEADS, causal(S)), WO, "o")
    return single(w, hidden=w.op("add", x=x, y=o), k_cache=k, v_cache=v)


def prefill_attention_reference(x: np.ndarray) -> Arrays:
    n = normed(columns(x))
    q, k, v = (affine(n, m, name) for m, name in ((WQ, "q"), (WK, "k"), (WV, "v")))
    return out(hidden=columns(x) + affine(attended(q, k, v), WO, "o"), k_cache=k, v_cache=v)


def feed_forward(w: Writer) -> tuple[str, ...]:
    x = half(w, "x")
    up = biased(w, layer_norm(w, x, GAIN, SHIFT), W1, "up")
    return single(w, hidden=w.op("add", x=x, y=biased(w, gelu_tanh(w, up), W2, "down")))


def feed_forward_reference(x: np.ndarray) -> Arrays:
    up = F.gelu(affine(normed(columns(x)), W1, "up"), approximate="tanh")
    return out(hidden=columns(x) + affine(up, W2, "down"))


def decode_a(w: Writer) -> tuple[str, ...]:
    n = layer_norm(w, half(w, "x"), GAIN, SHIFT)
    q, k, v = (biased(w, n, m, name) for m, name in ((WQ, "q"), (WK, "k"), (WV, "v")))
    return single(w, k32=k, q32=q, v32=v)


def decode_a_reference(x: np.ndarray) -> Arrays:
    n = normed(columns(x))
    return out(k32=affine(n, WK, "k"), q32=affine(n, WQ, "q"), v32=affine(n, WV, "v"))


# training


def forward_attention(w: Writer) -> tuple[str, ...]:
    n = rms(w, "x", "rms1_out")
    q, k, v = (named(w, n, m, name) for m, name in ((WQ, "q_conv"), (WK, "k_conv"), (WV, "v_conv")))
    mixed = attention(w, q, k, v, HEADS, causal(S), "attn_out")
    return named(w, mixed, WO, "wo_conv"), q, k, v, mixed, n


def forward_attention_reference(x: np.ndarray) -> Arrays:
    n = rmsed(columns(x))
    q, k, v = (t(m) @ n for m in (WQ, WK, WV))
    mixed = attended(q, k, v)
    return out(wo=t(WO) @ mixed, q=q, k=k, v=v, attn=mixed, rms1=n)


def forward_feed_forward(w: Writer) -> tuple[str, ...]:
    n = rms(w, "x", "rms2_out")
    h1, h3 = named(w, n, W1, "h1_conv"), named(w, n, W3, "h3_conv")
    gate = w.op("mul", result="gate_out", x=w.op("mul", x=h1, y=w.op("sigmoid", x=h1)), y=h3)
    return named(w, gate, W2, "w2_conv"), h1, h3, gate, n


def forward_feed_forward_reference(x: np.ndarray) -> Arrays:
    n = rmsed(columns(x))
    h1, h3 = t(W1) @ n, t(W3) @ n
    gate = F.silu(h1) * h3
    return out(w2=t(W2) @ gate, h1=h1, h3=h3, gate=gate, rms2=n)


def feed_forward_backward(w: Writer) -> tuple[str, ...]:
    dy, h1, h3 = slices(w, "x", D, HIDDEN, HIDDEN)
    dg = w.linear(dy, W2.T)
    s = w.op("sigmoid", x=h1)
    dh3 = w.op("mul", result="dh3", x=dg, y=w.op("mul", x=h1, y=s))
    slope = w.op("mul", x=s, y=w.op("add", x=w.op("mul", x=h1, y=w.op("sub", x=1.0, y=s)), y=1.0))
    dh1 = w.op("mul", result="dh1", x=w.op("mul", x=dg, y=h3), y=slope)
    return w.op("add", result="dx", x=w.linear(dh1, W1.T), y=w.linear(dh3, W3.T)), dh1, dh3


def feed_forward_backward_reference(x: np.ndarray) -> Arrays:
    dy, *hidden = columns(x).split([D, HIDDEN, HIDDEN])
    h1, h3 = (h.clone().requires_grad_() for h in hidden)
    (t(W2) @ (F.silu(h1) * h3)).backward(dy)
    assert h1.grad is not None and h3.grad is not None
    return out(dx=t(W1).T @ h1.grad + t(W3).T @ h3.grad, dh1=h1.grad, dh3=h3.grad)


def attention_backward_1(w: Writer) -> tuple[str, ...]:
    q, k, v, dy = slices(w, "x", D, D, D, D)
    da = w.linear(dy, WO.T)
    q, k, v, da = (split(w, each) for each in (q, k, v, da))
    scores = w.op("add", x=w.op("mul", x=product(w, q, k, ty=True), y=float(SCALE)), y=w.weight(causal(S)[None, None]))
    p = w.op("softmax", x=scores, axis=-1)
    dv = merged(w, product(w, p, da, tx=True), "dV")
    dp = product(w, da, v, ty=True)
    rows = [w.op("reshape", result=n, x=m, shape=[1, HEADS * S, 1, S]) for n, m in (("P", p), ("dP", dp))]
    return dv, rows[0], rows[1]


def attention_backward_1_reference(x: np.ndarray) -> Arrays:
    q, k, v, dy = columns(x).split(D)
    v = v.clone().requires_grad_()
    p = weights_of(q, k).requires_grad_()
    (t(WO) @ flat(p @ by_head(v))).backward(dy)
    assert v.grad is not None and p.grad is not None
    return out(dV=v.grad, P=p.reshape(HEADS * S, S), dP=p.grad.reshape(HEADS * S, S))


def attention_backward_2(w: Writer) -> tuple[str, ...]:
    p, dp, q, k = slices(w, "x", HEADS * S, HEADS * S, D, D)
    p, dp = (w.op("reshape", x=m, shape=[1, HEADS, S, S]) for m in (p, dp))
    q, k = split(w, q), split(w, k)
    total = w.op("reduce_sum", x=w.op("mul", x=p, y=dp), axes=[-1], keep_dims=True)
    ds = w.op("mul", x=w.op("mul", x=p, y=w.op("sub", x=dp, y=total)), y=float(SCALE))
    return merged(w, product(w, ds, k), "dQ"), merged(w, product(w, ds, q, tx=True), "dK")


def attention_backward_2_reference(x: np.ndarray) -> Arrays:
    _, dp, q, k = columns(x).split([HEADS * S, HEADS * S, D, D])
    q, k = q.clone().requires_grad_(), k.clone().requires_grad_()
    weights_of(q, k).backward(dp.reshape(HEADS, S, S))
    assert q.grad is not None and k.grad is not None
    return out(dQ=q.grad, dK=k.grad)


def qkv_backward(w: Writer) -> tuple[str, ...]:
    parts = [w.linear(d, m.T) for d, m in zip(slices(w, "x", D, D, D), (WQ, WK, WV))]
    return (w.op("add", result="dx", x=w.op("add", x=parts[0], y=parts[1]), y=parts[2]),)


def qkv_backward_reference(x: np.ndarray) -> Arrays:
    n = torch.zeros(D, S, requires_grad=True)
    torch.cat([t(m) @ n for m in (WQ, WK, WV)]).backward(columns(x))
    assert n.grad is not None
    return out(dx=n.grad)


# the small ones

RANK, ALPHA = 4, 8.0


def adapted(w: Writer) -> tuple[str, ...]:
    x, a, b = (w.op("transpose", x=n, perm=p) for n, p in (("x", [0, 2, 3, 1]), ("lora_A", [0, 2, 1, 3]), ("lora_B", [0, 2, 1, 3])))
    low = w.op("transpose", x=product(w, product(w, x, a), b, ty=True), perm=[0, 3, 1, 2])
    return (w.op("add", result="y", x=w.linear("x", WQ), y=w.op("mul", x=low, y=ALPHA / RANK)),)


def adapted_reference(x: np.ndarray, lora_A: np.ndarray, lora_B: np.ndarray) -> Arrays:
    a, b = t(lora_A)[0, :, 0, :], t(lora_B)[0, :, 0, :]
    return out(y=(t(WQ) + ALPHA / RANK * b @ a.T) @ columns(x))


def packed(x: np.ndarray) -> np.ndarray:
    """sdpaBwd2's input, whose P has to be that of q and k."""
    q, k = columns(x)[2 * HEADS * S :].split(D)
    x[0, : HEADS * S, 0, :] = weights_of(q, k).reshape(HEADS * S, S).numpy()
    return x


KERNELS: dict[str, Kernel] = {
    "prefill attention": Kernel(prefill_attention, {"x": D}, prefill_attention_reference,
                                LAYER_NORM + times(4, BIASED) + ATTENTION + Counter(add=1, cast=4), "fp32"),
    "prefill ffn": Kernel(feed_forward, {"x": D}, feed_forward_reference,
                          LAYER_NORM + times(2, BIASED) + GELU + Counter(add=1, cast=2), "fp32"),
    "decode A": Kernel(decode_a, {"x": D}, decode_a_reference, LAYER_NORM + times(3, BIASED) + Counter(cast=4), "fp32"),
    "decode B": Kernel(feed_forward, {"x": D}, feed_forward_reference,
                       LAYER_NORM + times(2, BIASED) + GELU + Counter(add=1, cast=2), "fp32"),
    "fwdAttn": Kernel(forward_attention, {"x": D}, forward_attention_reference, RMS_NORM + times(4, LINEAR) + ATTENTION),
    "fwdFFN": Kernel(forward_feed_forward, {"x": D}, forward_feed_forward_reference, RMS_NORM + times(3, LINEAR) + GATE),
    "ffnBwd": Kernel(feed_forward_backward, {"x": D + 2 * HIDDEN}, feed_forward_backward_reference,
                     times(3, LINEAR) + Counter(slice_by_index=3, sigmoid=1, sub=1, mul=6, add=2)),
    "sdpaBwd1": Kernel(attention_backward_1, {"x": 4 * D}, attention_backward_1_reference,
                       LINEAR + Counter(slice_by_index=4, reshape=7, transpose=5, matmul=3, mul=1, add=1, softmax=1)),
    "sdpaBwd2": Kernel(attention_backward_2, {"x": 2 * HEADS * S + 2 * D}, attention_backward_2_reference,
                       Counter(slice_by_index=4, reshape=6, transpose=4, matmul=2, mul=3, sub=1, reduce_sum=1)),
    "qkvBwd": Kernel(qkv_backward, {"x": 3 * D}, qkv_backward_reference, times(3, LINEAR) + Counter(slice_by_index=3, add=2)),
    "final layer norm": Kernel(
        lambda w: single(w, y=layer_norm(w, half(w, "x"), GAIN, SHIFT)), {"x": D}, lambda x: out(y=normed(columns(x))),
        LAYER_NORM + Counter(cast=2), "fp32"),
    "add": Kernel(lambda w: (w.op("add", result="y", x="a", y="b"),), {"a": D, "b": D},
                  lambda a, b: out(y=columns(a) + columns(b)), Counter(add=1)),
    "linear with an adapter": Kernel(
        adapted, {"x": D, "lora_A": (1, D, 1, RANK), "lora_B": (1, D, 1, RANK)}, adapted_reference,
        LINEAR + Counter(transpose=4, matmul=2, mul=1, add=1)),
}  # fmt: skip


def given(name: str) -> dict[str, Any]:
    """Random inputs that the kernel can have."""
    random = np.random.default_rng(len(name))
    kernel = KERNELS[name]
    arrays = {n: random.standard_normal(shape).astype(np.float16).astype(np.float32) for n, shape in kernel.shapes().items()}
    return {"x": packed(arrays["x"])} if name == "sdpaBwd2" else arrays
