"""MIL text and packed weights written by a second producer, the package aneforge, run on our executor as PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_mil_packages import close
from torch.nn import functional as F

from netwright.devices.ane.files import load
from netwright.devices.ane.mil import parse, to_text

af = pytest.importorskip("aneforge")
lower = pytest.importorskip("aneforge._compile")._lower_fused_to_dir


def halves(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float16).astype(np.float32)


def swiglu(rng: np.random.Generator) -> tuple[Any, Callable[[torch.Tensor], torch.Tensor], tuple[int, ...]]:
    w1, w3, w2, gain = halves(rng, 512, 256), halves(rng, 512, 256), halves(rng, 256, 512), 1 + halves(rng, 256)
    gain = gain.astype(np.float16).astype(np.float32)
    x = af.input((64, 256))
    n = x.rms_norm(gain)
    t1, t2, t3, tg = map(torch.tensor, (w1, w2, w3, gain))

    def reference(x: torch.Tensor) -> torch.Tensor:
        n = F.rms_norm(x, (256,), tg, 1e-5)
        return x + (F.silu(n @ t1.T) * (n @ t3.T)) @ t2.T

    return x + (n.linear(w1).silu() * n.linear(w3)).linear(w2), reference, (64, 256)


def attention(rng: np.random.Generator) -> tuple[Any, Callable[[torch.Tensor], torch.Tensor], tuple[int, ...]]:
    ws, bs = [halves(rng, 64, 64) for _ in range(4)], [halves(rng, 64) for _ in range(4)]
    x = af.input((16, 64))
    tw, tb = [torch.tensor(w) for w in ws], [torch.tensor(b) for b in bs]

    def reference(x: torch.Tensor) -> torch.Tensor:
        q, k, v = (F.linear(x, w, b).reshape(16, 4, 16).transpose(0, 1) for w, b in zip(tw, tb[:3]))
        return F.linear(F.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(16, 64), tw[3], tb[3])

    pairs = [p for w, b in zip(ws, bs) for p in (w, b)]
    return af.mha(x, *pairs, 4), reference, (16, 64)


def convolutions(rng: np.random.Generator) -> tuple[Any, Callable[[torch.Tensor], torch.Tensor], tuple[int, ...]]:
    w, depth = halves(rng, 8, 8, 3, 3), halves(rng, 8, 1, 3, 3)
    gamma, beta, mean = (halves(rng, 8) for _ in range(3))
    variance = (np.abs(halves(rng, 8)) + 0.5).astype(np.float16).astype(np.float32)
    x = af.input((1, 8, 16, 16))
    y = af.batch_norm(af.conv(x, w, pad=1).relu(), gamma, beta, mean, variance).max_pool(2).avg_pool(2)
    y = af.instance_norm(af.conv(y, depth, groups=8, pad=1, stride=2).upsample(2), gamma, beta)

    def reference(x: torch.Tensor) -> torch.Tensor:
        tg, tb, tm, tv = map(torch.tensor, (gamma, beta, mean, variance))
        h = F.batch_norm(F.relu(F.conv2d(x, torch.tensor(w), padding=1)), tm, tv, tg, tb)
        h = F.conv2d(F.avg_pool2d(F.max_pool2d(h, 2), 2), torch.tensor(depth), padding=1, stride=2, groups=8)
        return F.instance_norm(F.interpolate(h, scale_factor=2), weight=tg, bias=tb)

    return y, reference, (1, 8, 16, 16)


def moves(rng: np.random.Generator) -> tuple[Any, Callable[[torch.Tensor], torch.Tensor], tuple[int, ...]]:
    x = af.input((4, 64))
    a, b = af.split(x, 2, axis=1)
    y = af.select(b.greater(a.tanh()), a.gelu(), b.clip(-0.5, 0.5))
    y = af.concat([y, a], axis=1).transpose([1, 0]).reshape(2, 128).slice_by_size([0, 1], [2, 64]).tile([2, 1]).softmax()

    def reference(x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, 1)
        h = torch.where(b > a.tanh().half(), F.gelu(a), b.clamp(-0.5, 0.5))
        return torch.cat([h, a], 1).T.reshape(2, 128)[:, 1:65].tile(2, 1).softmax(-1)

    return y, reference, (4, 64)


def test_int8_weights_of_aneforge_are_spread_out(tmp_path: Path) -> None:
    w = halves(np.random.default_rng(2), 64, 64)
    x = np.random.default_rng(3).normal(size=(8, 64)).astype(np.float16)
    folder = Path(lower(af.input((8, 64)).linear(w), str(tmp_path), int8=True))
    executable = load(folder)
    assert "constexpr" in (folder / "model.mil").read_text()
    (ours,) = executable.run({executable.inputs[0].name: x}).values()
    scale = (np.abs(w).max(1, keepdims=True) / 127).astype(np.float16).astype(np.float32)
    close(ours, x.astype(np.float32) @ (np.round(w / (np.abs(w).max(1, keepdims=True) / 127)) * scale).T)


@pytest.mark.parametrize("build", [swiglu, attention, convolutions, moves])
def test_text_of_aneforge_runs_as_pytorch_does(build: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    graph, reference, shape = build(rng)
    folder = Path(lower(graph, str(tmp_path)))
    program = parse((folder / "model.mil").read_bytes())
    assert parse(to_text(program)) == program
    x = rng.normal(size=shape).astype(np.float16)
    executable = load(folder / "model.mil")
    (ours,) = executable.run({executable.inputs[0].name: x}).values()
    close(ours, reference(torch.tensor(x.astype(np.float32))).numpy())
