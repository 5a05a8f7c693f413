"""A Llama-type and GPT-2 decoder in plain PyTorch with a key-value cache: what ours is held against.

Written for speed at batch 1: weights of one input in one matrix, caches allocated once, inference mode, PyTorch's own
attention, norms and activations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from netwright.models import Model, llama


class TorchDecoder:
    """`step(token, position)` -> logits [V]; `full(tokens)` -> logits [S, V]; float32."""

    def __init__(self, model: Model, context: int) -> None:
        c = self.config = model.config
        self.llama = model.family == "llama"
        store = model.store

        def one(*names: str) -> Any:
            return torch.from_numpy(np.concatenate([store[n] for n in names])) if names[0] in store else None

        self.embed = one("embed.weight")
        self.head = self.embed if c.tied else one("head.weight")
        self.position = one("position.weight")
        self.norm = one("norm.weight"), one("norm.bias")
        self.layers = []
        for i in range(c.layers):
            parts = {"qkv": ("q", "k", "v"), "o": ("o",), "down": ("down",)}
            parts |= {"up": ("gate", "up") if self.llama else ("up",)}
            parts |= {"attention_norm": ("attention_norm",), "ffn_norm": ("ffn_norm",)}
            self.layers.append({
                name: [one(*(f"layers.{i}.{p}.{kind}" for p in members)) for kind in ("weight", "bias")]
                for name, members in parts.items()
            })  # fmt: skip
        if self.llama:
            cosine, sine = (torch.from_numpy(t) for t in llama.angles(c, context))
            self.cosine, self.sine = torch.cat((cosine, cosine), -1), torch.cat((-sine, sine), -1)
        shape = (c.layers, 1, c.kv_heads, context, c.head_width)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)

    def _normal(self, x: Any, given: Any) -> Any:
        weight, bias = given
        shape = (x.shape[-1],)
        if self.llama:
            return functional.rms_norm(x, shape, weight, self.config.epsilon)
        return functional.layer_norm(x, shape, weight, bias, self.config.epsilon)

    def _rotated(self, x: Any, start: int) -> Any:
        rows = slice(start, start + x.shape[-2])
        return x * self.cosine[rows] + x.roll(x.shape[-1] // 2, -1) * self.sine[rows]

    def _forward(self, tokens: Any, start: int) -> Any:
        c = self.config
        length, end = len(tokens), start + len(tokens)
        x = self.embed[tokens]
        if not self.llama:
            x = x + self.position[start:end]
        for i, layer in enumerate(self.layers):
            qkv = functional.linear(self._normal(x, layer["attention_norm"]), *layer["qkv"])
            heads = qkv.view(1, length, -1, c.head_width).transpose(1, 2)
            q, k, v = heads.split((c.heads, c.kv_heads, c.kv_heads), 1)
            if self.llama:
                q, k = self._rotated(q, start), self._rotated(k, start)
            self.keys[i, :, :, start:end] = k
            self.values[i, :, :, start:end] = v
            past = self.keys[i, :, :, :end], self.values[i, :, :, :end]
            y = functional.scaled_dot_product_attention(
                q, *past, is_causal=length > 1, enable_gqa=c.heads != c.kv_heads
            )
            x = x + functional.linear(y.transpose(1, 2).reshape(length, -1), *layer["o"])
            up = functional.linear(self._normal(x, layer["ffn_norm"]), *layer["up"])
            if self.llama:
                gate, up = up.chunk(2, -1)
                up = functional.silu(gate) * up
            else:
                up = functional.gelu(up, approximate="tanh")
            x = x + functional.linear(up, *layer["down"])
        return x

    @torch.inference_mode()
    def step(self, token: int, position: int) -> np.ndarray:
        x = self._forward(torch.tensor([token]), position)
        return functional.linear(self._normal(x, self.norm), self.head)[0].numpy()

    @torch.inference_mode()
    def full(self, tokens: np.ndarray) -> np.ndarray:
        x = self._forward(torch.from_numpy(tokens), 0)
        return functional.linear(self._normal(x, self.norm), self.head).numpy()
