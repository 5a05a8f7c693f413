"""Attention as one op: computed in fp32, rounded once."""

from __future__ import annotations

from math import prod

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op


@op("scaled_dot_product_attention")
def scaled_dot_product_attention(call: Call) -> Kernel:
    """softmax(Q K^T / sqrt(E) + mask) V of query [..., L, E], key [..., S, E], value [..., S, V].

    attn_mask is added where it is floating; where it is bool, a key is seen only where it holds.
    """
    query, key, value = call.floats("query", "key", "value")
    if min(len(t.shape) for t in (query, key, value)) < 2 or query.shape[-1] != key.shape[-1] or (
            key.shape[-2] != value.shape[-2]):
        call.fail(f"query {query}, key {key} and value {value} do not fit together")
    lead = call.broadcast(*[TensorType(t.dtype, t.shape[:-2]) for t in (query, key, value)])
    if call.has("attn_mask"):
        mask = call.operand("attn_mask")
        scores = TensorType(mask.dtype, (*lead, query.shape[-2], key.shape[-2]))
        if mask.dtype not in ("bool", query.dtype) or call.broadcast(mask, scores) != scores.shape:
            call.fail(f"attn_mask is {mask}, expected bool or {query.dtype} for scores of shape {list(scores.shape)}")
    call.room(prod(lead) * query.shape[-2] * key.shape[-2], "the scores")
    scale, numerics = np.float32(1 / np.sqrt(query.shape[-1])), call.numerics

    def run(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        s = (q @ k.swapaxes(-1, -2)) * scale
        if mask is not None:
            s = np.where(mask, s, -np.inf) if mask.dtype == np.bool_ else s + mask
        p = numerics.activation(np.exp, s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return np.matmul(p, v)

    return Kernel((TensorType(query.dtype, (*lead, query.shape[-2], value.shape[-1])),), run)
