"""Kinds of layers, each with one colour in the layer table and in the memory map."""

from __future__ import annotations

from .html import legend

FAMILIES = (
    "input",
    "convolution",
    "depthwise",
    "linear",
    "pooling",
    "elementwise",
    "moving data",
    "working memory",
    "front end",
)


def family(op: str, weights: tuple[int, ...] = (), groups: int = 1) -> str:
    """The kind of a layer by its op's name; a convolution whose groups are its outputs is depthwise."""
    name = op.lower()
    if name in ("q_log_mel", "q_normalise"):
        return "front end"
    if "conv" in name:
        return "depthwise" if groups > 1 and weights and groups == weights[0] else "convolution"
    if any(word in name for word in ("linear", "matmul", "gemm", "attention", "feed_forward")):
        return "linear"
    if "pool" in name or "reduce" in name or "mean" in name:
        return "pooling"
    if any(word in name for word in ("reshape", "concat", "split", "slice", "pad", "transpose", "gather", "copy")):
        return "moving data"
    return "input" if name == "input" else "elementwise"


def kind(name: str) -> str:
    """The CSS class of a family."""
    return f"f{FAMILIES.index(name)}"


def key(used: set[str]) -> str:
    """A legend of the colours that are used."""
    return legend(*((f"key {kind(f)}", f) for f in FAMILIES if f in used))
