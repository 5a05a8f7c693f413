"""Small networks of every family, and a forward pass of PyTorch that shares no code with ours."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from netwright.graph import Store
from netwright.models import gpt2, llama

FAMILIES: list[tuple[ModuleType, Any]] = [
    (llama, llama.Config(50, 24, 2, 4, 2, 40, 32, tied=False)),
    (llama, llama.Config(61, 32, 2, 2, 2, 24, 32, head_width=6, rope_base=500.0, epsilon=1e-3)),
    (gpt2, gpt2.Config(50, 24, 2, 4, 40, 32)),
]


def named(pair: Any) -> str:
    module, config = pair
    return f"{module.__name__.rpartition('.')[2]}-{config.heads}-{config.kv_heads}"


def filled(module: ModuleType, config: Any, seed: int = 0, scale: float = 1.0) -> Store:
    """Weights large enough that every part of the network shows in the logits."""
    rng = np.random.default_rng(seed)
    store = Store()
    for name, shape in module.parameters(config).items():
        spread = scale / np.sqrt(shape[-1]) if len(shape) > 1 else 0.3
        store[name] = (rng.standard_normal(shape) * spread + ("norm.weight" in name)).astype(np.float32)
    return store


def tokens_for(config: Any, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, config.vocabulary, length)


def forward(module: ModuleType, config: Any, store: Store, tokens: np.ndarray) -> np.ndarray:
    """Logits [S, V] by PyTorch's own layers; rotary positions as complex numbers."""
    w = {name: torch.from_numpy(np.array(store[name])).double() for name in store if name in module.parameters(config)}
    x = w["embed.weight"][torch.from_numpy(tokens)]
    length = len(tokens)
    is_llama = module is llama
    if not is_llama:
        x = x + w["position.weight"][:length]

    def norm(name: str, x: Any) -> Any:
        if is_llama:
            return functional.rms_norm(x, x.shape[-1:], w[f"{name}.weight"], config.epsilon)
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], config.epsilon)

    def linear(name: str, x: Any) -> Any:
        return functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def rotated(x: Any) -> Any:
        half = config.head_width // 2
        speeds = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
        turn = torch.polar(torch.ones(length, half, dtype=torch.float64), torch.outer(torch.arange(length), speeds))
        turned = torch.complex(x[..., :half], x[..., half:]) * turn
        return torch.cat((turned.real, turned.imag), -1)

    for i in range(config.layers):
        n = norm(f"layers.{i}.attention_norm", x)
        q, k, v = (linear(f"layers.{i}.{p}", n).view(length, -1, config.head_width).transpose(0, 1) for p in "qkv")
        if is_llama:
            q, k = rotated(q), rotated(k)
        k, v = (part.repeat_interleave(config.heads // config.kv_heads, 0) for part in (k, v))
        y = functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        x = x + linear(f"layers.{i}.o", y.transpose(0, 1).reshape(length, -1))
        n = norm(f"layers.{i}.ffn_norm", x)
        if is_llama:
            up = functional.silu(linear(f"layers.{i}.gate", n)) * linear(f"layers.{i}.up", n)
        else:
            up = functional.gelu(linear(f"layers.{i}.up", n), approximate="tanh")
        x = x + linear(f"layers.{i}.down", up)
    x = norm("norm", x)
    return functional.linear(x, w["embed.weight" if config.tied else "head.weight"]).numpy()
