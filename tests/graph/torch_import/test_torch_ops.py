"""Single calls, one or more for each rule: what torch computes, the imported graph computes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from peers import assert_close, in_onnx_runtime, in_torch

from netwright import from_torch

torch.manual_seed(0)
A, B = torch.randn(3, 6), torch.randn(3, 6)
P = torch.rand(3, 6) + 0.3
V, W = torch.randn(6), torch.randn(5)
T = torch.randn(2, 4, 6)
I = torch.randint(-5, 9, (3, 6))  # noqa: E741
J = torch.randint(1, 5, (3, 6))
M = torch.rand(3, 6) > 0.5
IMAGE, LINE = torch.randn(2, 4, 7, 8), torch.randn(2, 4, 11)

CALLS: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    "unary": (lambda a: (-a, a.abs(), a.sign(), a.floor(), a.ceil(), a.round(), a.exp(), a.sin(), a.cos(), a.tanh(), a.sigmoid(), a.erf(), a.relu(), a.square(), a.expm1(), a.exp2(), a.trunc(), a.frac()), (A,)),
    "roots": (lambda p: (p.sqrt(), p.rsqrt(), p.log(), p.log1p(), p.log2(), p.log10(), p.reciprocal(), p**0.5, p**-1, p**3, p**2.7, 2**p, p**p, p.logit(0.1), torch.xlogy(p, p)), (P,)),
    "unary of whole numbers": (lambda i: (i.abs(), i.relu(), -i, i.exp(), i.float().sqrt().nan_to_num(0.0), i.floor(), i.square(), i.clamp(-2, 3)), (I,)),
    "binary": (lambda a, b: (a + b, a - b, a * b, a / b, torch.maximum(a, b), torch.minimum(a, b), torch.fmax(a, b), torch.add(a, b, alpha=2), torch.sub(a, b, alpha=0.5), 1 - a, 2 / (a.abs() + 1), torch.rsub(a, 3)), (A, B)),
    "division": (lambda a, p: (torch.div(a, p, rounding_mode="floor"), torch.div(a, p, rounding_mode="trunc"), a // p, a % p, torch.remainder(a, 0.7), torch.fmod(a, p)), (A, P)),
    "whole division": (lambda i, j: (i // j, i % j, torch.div(i, j, rounding_mode="trunc"), i / j, i * j, i + 1, i // 3, i % 3, (i - 4) // -j, i - 2.5), (I, J)),
    "promotion": (lambda a, i, m: (a + i, a * m, i * 0.5, m + m, m * m, i + m, torch.where(m, a, i), torch.where(m, i, 1.5), m.float() - a, m.sum(1), i.float().mean(), i.sum(0)), (A, I, M)),
    "lerp": (lambda a, b: (torch.lerp(a, b, 0.3), torch.addcmul(a, b, b, value=2), torch.addcdiv(a, b, b.abs() + 1), torch.hypot(a, b), torch.logaddexp(a, b), F.mse_loss(a, b), F.l1_loss(a, b), F.smooth_l1_loss(a, b)), (A, B)),
    "comparisons": (lambda a, b: (a == b, a != b, a < b, a <= 0, a > b, a >= 0.5, torch.isclose(a, a), a.isfinite(), a.isnan()), (A, B)),
    "logic": (lambda m, i: (m & ~m, m | (i > 0), m ^ (i > 0), torch.logical_and(m, i), torch.logical_or(m, i), torch.logical_not(i), torch.logical_xor(m, i), m.any(1), m.all(0), m.any(), m.all(), m == (i > 1)), (M, I)),
    "clamps": (lambda a, b: (a.clamp(-1, 1), a.clamp(min=0.2), a.clamp(max=b), a.clamp_min(0.1), a.clamp_max(0.1), F.hardtanh(a, -0.5, 2), F.relu6(a * 5), torch.clip(a, b - 1, b + 1), F.threshold(a, 0.1, -2)), (A, B)),
    "choice": (lambda a, b, m: (torch.where(m, a, b), a.masked_fill(m, -1e9), a.masked_fill(m, 0), torch.where(a > b, a, 0.0), a.masked_fill(m, b.mean())), (A, B, M)),
    "activations": (lambda a: (F.gelu(a), F.gelu(a, approximate="tanh"), F.silu(a), F.mish(a), F.elu(a, 0.7), F.celu(a, 1.5), F.selu(a), F.softplus(a), F.softplus(a, 2.0), F.logsigmoid(a), F.leaky_relu(a, 0.2), F.hardswish(a), F.hardsigmoid(a), F.softsign(a), F.tanhshrink(a), F.softshrink(a, 0.3), F.hardshrink(a, 0.3), F.glu(a), F.glu(a[:2], 0), F.rrelu(a)), (A,)),
    "softmaxes": (lambda a: (a.softmax(0), a.softmax(-1), a.log_softmax(1), F.softmin(a, 1), a.logsumexp(0), a.logsumexp((0, 1), keepdim=True), F.softmax(a, 1, dtype=torch.float32)), (A,)),
    "reductions": (lambda t: (t.sum(), t.mean((0, 2)), t.sum(1, keepdim=True), t.amax((0, 1)), t.amin(2), t.max(), t.min(), t.max(1), t.min(2, keepdim=True), t.argmax(), t.argmax(1), t.argmin(-1, keepdim=True), t.std(), t.var(1), t.std((0, 1), correction=0), torch.var_mean(t, 2), torch.std_mean(t, 1, keepdim=True), torch.aminmax(t), t.count_nonzero(), t.norm(), t.norm(1, 2), torch.linalg.vector_norm(t, float("inf"), (1,))), (T,)),
    "order": (lambda t: (t.topk(3, 1), t.topk(2, -1, largest=False), t.sort(1, descending=True), t.sort(-1), t.argsort(2), t.cumsum(1), t.cumsum(-1), t[0, 0].cumsum(0)), (T,)),
    "products": (lambda a, b, v, t: (a @ b.T, a @ v, v @ v, a.mv(v), torch.dot(v, v), t @ v, torch.bmm(t, t.mT), a.mm(b.t()), torch.outer(v, v), F.linear(a, b), t @ b.T, torch.tensordot(t, b, ([2], [1])), torch.kron(v, v), torch.chain_matmul(a, b.T, a), torch.inner(a, b)), (A, B, V, T)),
    "sums of products": (lambda a, b, v, t: (torch.addmm(b[:, :3], a, b.T, beta=0.5, alpha=2), torch.baddbmm(t[:, :, :4], t, t.mT), torch.addmv(v[:3], a, v), torch.addr(a, v[:3], v)), (A, B, V, T)),
    "einsums": (lambda a, b, t: (torch.einsum("ij,kj->ik", a, b), torch.einsum("bij,kj", t, b), torch.einsum("ij->ji", a), torch.einsum("ij->i", a), torch.einsum("bij->j", t), torch.einsum("bij,bij->bi", t, t), torch.einsum("i,j->ij", a[0], b[1])), (A, B, T)),
    "views": (lambda t: (t.view(8, 6), t.reshape(-1), t.flatten(1), t.unflatten(2, (2, 3)), t[None], t.unsqueeze(-1).squeeze(), t.permute(2, 0, 1), t.transpose(0, 2), t.movedim(0, 2), t.mT, t[0].T, t.swapaxes(1, 2), t.view_as(t), t.ravel(), t.contiguous().clone().detach(), t.expand(3, 2, 4, 6), t[:1].expand(2, -1, -1), t.repeat(2, 1, 3), t.tile(2), t.broadcast_to(1, 2, 4, 6), t[:, :1].expand_as(t)), (T,)),
    "joins": (lambda t: (torch.cat([t, t], 1), torch.stack([t, t], 2), torch.hstack([t, t]), torch.vstack([t, t]), torch.cat([t, t.to(torch.float32)], -1), torch.column_stack([t[0], t[1]]), torch.cat([t])), (T,)),
    "cuts": (lambda t: (*t.split(3, 2), *t.split([1, 3], 1), *t.chunk(4, 1), *t.unbind(0), *t.tensor_split(2, 2), t[:, 1:3], t[..., ::2], t[1], t[:, -1], t.narrow(2, 1, 3), t.select(1, 2), t[:, -3:-1, 5:], t[0, 1, 2]), (T,)),
    "assignments": (lambda t, v: _assigned(t.clone(), v), (T, V)),
    "paddings": (lambda x, y: (F.pad(x, (1, 2)), F.pad(x, (0, 1, 2, 0), value=3.0), F.pad(x, (1, 2, 3, 1), "reflect"), F.pad(y, (2, 1), "replicate"), F.pad(x, (1, 0, 0, 2), "replicate"), F.pad(x, (-1, 2, 0, -1)), F.pad(y, (2, 3), "circular"), F.pad(x, (1, 2, 2, 1), "circular"), F.pad(y, (3, 2), "reflect")), (IMAGE, LINE)),
    "turns": (lambda x: (x.roll(2, 1), x.roll((1, -2), (2, 3)), x[0].roll(3), x.flip(1), x.flip((2, 3)), F.pixel_shuffle(x, 2), F.pixel_unshuffle(x[..., :6, :], 2), F.channel_shuffle(x, 2), torch.rot90(x, 1, (2, 3)), x.tril(), x.triu(1), torch.fliplr(x[0, 0])), (IMAGE,)),
    "gathers": (lambda t, i: (t[:, i[0]], t.index_select(1, i[1]), torch.gather(t, 1, i[None, :, :6].expand(2, -1, -1) * 0 + 1), torch.take_along_dim(t, i[None, :2], 1), t[0, i], t[i % 2, 1], t[:, i[0, :3], i[0, 3:]], t[i[0, :2] % 2, :, i[1, :2]], F.embedding(i, t[0]), t[[0, 1], [2, 3]]), (T, torch.tensor([[1, 0, 3, 2, 1, 0], [2, 2, 0, 1, 3, 3], [0, 1, 2, 3, 0, 1]]))),
    "constants": (lambda a: (a + torch.arange(6), a * torch.eye(6)[:3], torch.zeros_like(a) + 1, a + torch.ones(3, 1), torch.full_like(a, 2.0), a.new_zeros(3, 1) + a, a * torch.linspace(0, 1, 6), a + torch.tensor([1.0, 2, 3, 4, 5, 6]), a.masked_fill(torch.triu(torch.ones(3, 6), 1).bool(), 0), torch.cat([a, a.new_ones(1, 6)]), torch.full((3, 1), a.shape[1]) * a), (A,)),
    "casts": (lambda a, i, m: (a.to(torch.float64) * 2, a.int(), i.float(), m.int(), m.float(), a.bool(), i.to(torch.float32).type_as(a), a.double().float(), a.half().float() * 0), (A, I, M)),
    "convolutions": (lambda x, y, w, v: (F.conv2d(x, w), F.conv2d(x, w, stride=2, padding=1), F.conv2d(x, w, padding="same"), F.conv2d(x, w[:, :2], groups=2, dilation=2), F.conv1d(y, v, padding=2), F.conv1d(y, v, padding="same", dilation=3), F.conv2d(x[0], w), F.conv1d(y[0], v), F.conv_transpose2d(x, w[:4, :, :2], stride=2, output_padding=1), F.conv_transpose1d(y, v[:4], padding=1, stride=3), F.conv_transpose2d(x, w[:4], groups=2, dilation=2)), (IMAGE, LINE, torch.randn(6, 4, 3, 3), torch.randn(6, 4, 3))),
    "pools": (lambda x, y: (F.max_pool2d(x, 2), F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.max_pool1d(y, 3, 2, 1), F.avg_pool2d(x, 2, 1), F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.avg_pool2d(x, 2, divisor_override=3), F.avg_pool1d(y, 2), F.adaptive_avg_pool2d(x, (7, 2)), F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, (1, 4)), F.adaptive_avg_pool1d(y, 1), F.adaptive_max_pool1d(y, 11), F.max_pool2d(x[0], 2), F.lp_pool2d(x.abs(), 2, 2)), (IMAGE, LINE)),
    "sizes": (lambda x, y: (F.interpolate(x, scale_factor=2), F.interpolate(x, size=(5, 3)), F.interpolate(x, size=(5, 3), mode="nearest-exact"), F.interpolate(x, size=(9, 16), mode="bilinear"), F.interpolate(x, size=(4, 4), mode="bilinear", align_corners=True), F.interpolate(y, size=22, mode="linear"), F.interpolate(y, scale_factor=3), F.interpolate(x, scale_factor=2, mode="bicubic")), (IMAGE, LINE)),
    "norms": (lambda x, a, w: (F.layer_norm(a, (6,)), F.layer_norm(x, (7, 8)), F.group_norm(x, 2), F.instance_norm(x), F.rms_norm(a, (6,)), F.rms_norm(a, (6,), w, 1e-3), F.normalize(a), F.normalize(a, 1.0, 0), F.cosine_similarity(a, a + 1), F.batch_norm(x, w[:4] * 0, w[:4] * 0 + 1), F.local_response_norm(x, 2), torch.cdist(a, a + 1), F.pairwise_distance(a, a + 1)), (IMAGE, A, P[0])),
    "attention": (lambda q: (F.scaled_dot_product_attention(q, q, q), F.scaled_dot_product_attention(q, q[:, :, :3], q[:, :, :3], scale=0.2), F.scaled_dot_product_attention(q, q, q, is_causal=True), F.scaled_dot_product_attention(q, q[:, :2], q[:, :2], enable_gqa=True), F.scaled_dot_product_attention(q, q, q, q[..., :1] > -5)), (torch.randn(2, 4, 5, 6),)),
}  # fmt: skip


def _assigned(t: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
    t[:, 1] = 0
    t[0, :2] = v
    t[..., -1] += 1
    t[:, 2:4, 1:3] *= 2
    u = t * 1
    u[u < 0] = 0.5
    w = t * 1
    w[:, torch.tensor([0, 2])] = 7.0
    return t, u, w


class Calls(nn.Module):
    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, *inputs):
        flat: list[torch.Tensor] = []
        for found in self.call(*inputs):
            flat += [found] if isinstance(found, torch.Tensor) else list(found)
        return tuple(flat)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_calls_give_torchs_results(name: str) -> None:
    call, example = CALLS[name]
    module = Calls(call)
    wanted = [np.asarray(t) for t in module(*example)]
    graph = from_torch(module, example)
    arrays = [x.numpy() for x in example]
    assert_close(graph.run(*arrays), wanted, 1e-5, "NumPy")
    assert_close(in_torch(graph, arrays), wanted, 1e-5, "to_torch")
    assert_close(in_onnx_runtime(graph, arrays), wanted, 1e-5, "ONNX Runtime")


LAYERS: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...]]] = {
    "LSTMCell": (nn.LSTMCell(6, 5), (A,)),
    "GRUCell": (nn.GRUCell(6, 5, bias=False), (A,)),
    "RNNCell": (nn.RNNCell(6, 5), (A,)),
    "unbatched GRU": (nn.GRU(6, 5), (A,)),
    "RNN": (nn.RNN(6, 5, 2, bidirectional=True), (T,)),
    "Bilinear": (nn.Bilinear(6, 6, 4), (A, B)),
    "Unfold": (nn.Unfold(3, padding=1, stride=2), (IMAGE,)),
    "EmbeddingBag": (nn.EmbeddingBag(9, 4, mode="mean"), (J,)),
    "Transformer": (nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (torch.randn(1, 5, 8), torch.randn(1, 4, 8))),
    "BatchNorm1d": (nn.BatchNorm1d(6), (A,)),
    "MultiheadAttention": (nn.MultiheadAttention(6, 2), (T, T, T)),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), (A,)),
}


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layers_give_torchs_results(name: str) -> None:
    module, example = LAYERS[name]
    found = module.eval()(*example)
    flat = found if isinstance(found, tuple) else (found,)
    wanted = [t.detach().numpy() for t in flat]
    graph = from_torch(module, example)
    arrays = [x.numpy() for x in example]
    assert_close(graph.run(*arrays), wanted, 1e-5, "NumPy")
    assert_close(in_onnx_runtime(graph, arrays), wanted, 1e-5, "ONNX Runtime")
