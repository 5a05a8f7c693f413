"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ...graph import Value
from ...ops.attention import Attention
from ...ops.common import scalar
from ...ops.compare import Where
from ...ops.shape import Expand
from ...types import DTYPES
from .importer import Import, imports

HIDDEN = -1e9  # finite, so that masks can be quantised; e to it is 0 in float32 all the same


@imports(
    "scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_attention_math",
)  # fmt: skip
def attention(im: Import, a: Any) -> Any:
    """`Attention` with a mask added to the scores; True in a boolean mask means look."""
    q, k, v = im.value(a.query), im.value(a.key), im.value(a.value)
    if a.dropout_p:
        im.refuse("attention with dropout draws random numbers", "pass dropout_p=0.0 unless self.training")
    if getattr(a, "enable_gqa", False):
        k, v = _repeated(im, k, q.shape[-3]), _repeated(im, v, q.shape[-3])
    scale = a.scale or 0.0
    if scale and math.isclose(scale, 1 / math.sqrt(q.shape[-1]), rel_tol=1e-12):
        scale = 0.0
    mask = _mask(im, a, q, k)
    y = im.b(Attention(float(scale)), q, k, v, *([mask] if mask is not None else []))
    return y if im.op == "scaled_dot_product_attention" else (y, None)


def _mask(im: Import, a: Any, q: Value, k: Value) -> Value | None:
    """What is added to the scores [.., T, S]."""
    if a.is_causal:
        seen = np.tril(np.ones((q.shape[-2], k.shape[-2]), bool))
        return im.b.constant(np.where(seen, 0, HIDDEN).astype(DTYPES[q.dtype]), "causal")
    mask = a.attn_mask
    if mask is None:
        return None
    if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool:
        return im.value(torch.where(mask, 0.0, HIDDEN).to(getattr(torch, q.dtype)))
    value = im.value(mask)
    if value.dtype == "bool":
        return im.b(Where(), value, scalar(im.b, 0.0, q), scalar(im.b, HIDDEN, q))
    return im.value(value, q.dtype)


def _repeated(im: Import, x: Value, heads: int) -> Value:
    """Grouped-query attention: each key head [.., H, S, D] serves several query heads."""
    *lead, have, length, depth = x.shape
    if have == heads:
        return x
    x = im.reshape(x, (*lead, have, 1, length, depth))
    x = im.b(Expand((*lead, have, heads // have, length, depth)), x)
    return im.reshape(x, (*lead, heads, length, depth))
