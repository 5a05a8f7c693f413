"""A Llama-type network in plain PyTorch, to train: what training on the engine is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from netwright.models import llama

Change = Callable[[str, Any, Any], Any]


def parameters(store: Any, config: llama.Config) -> dict[str, torch.Tensor]:
    """Copies of the network's float32 weights, to be trained, by our names."""
    return {n: torch.tensor(np.array(store[n]), requires_grad=True) for n in llama.parameters(config)}


def logits(weights: Mapping[str, Any], c: llama.Config, tokens: Any, change: Change | None = None) -> Any:
    """tokens int64 [B, S] -> [B, S, V]. `change(name, x, y)` may replace the result y of a linear layer."""
    batch, length = tokens.shape
    cosine, sine = (torch.from_numpy(t) for t in llama.angles(c, length))
    turn = torch.cat((cosine, cosine), -1), torch.cat((-sine, sine), -1)

    def norm(x: Any, name: str) -> Any:
        return functional.rms_norm(x, (c.width,), weights[f"{name}.weight"], c.epsilon)

    def linear(x: Any, name: str) -> Any:
        y = functional.linear(x, weights[f"{name}.weight"])
        return change(name, x, y) if change is not None else y

    def heads(x: Any) -> Any:
        return x.view(batch, length, -1, c.head_width).transpose(1, 2)

    def rotated(x: Any) -> Any:
        return x * turn[0] + x.roll(c.head_width // 2, -1) * turn[1]

    x = weights["embed.weight"][tokens]
    for i in range(c.layers):
        at = f"layers.{i}"
        n = norm(x, f"{at}.attention_norm")
        q, k, v = (heads(linear(n, f"{at}.{name}")) for name in "qkv")
        y = functional.scaled_dot_product_attention(
            rotated(q), rotated(k), v, is_causal=True, enable_gqa=c.heads != c.kv_heads
        )
        x = x + linear(y.transpose(1, 2).reshape(batch, length, -1), f"{at}.o")
        n = norm(x, f"{at}.ffn_norm")
        x = x + linear(functional.silu(linear(n, f"{at}.gate")) * linear(n, f"{at}.up"), f"{at}.down")
    return functional.linear(norm(x, "norm"), weights["embed.weight" if c.tied else "head.weight"])


def loss(weights: Mapping[str, Any], c: llama.Config, tokens: Any, targets: Any, change: Change | None = None) -> Any:
    """Mean cross-entropy of tokens and targets int64 [B, S]."""
    return functional.cross_entropy(logits(weights, c, tokens, change).flatten(0, 1), targets.flatten())
