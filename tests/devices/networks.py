"""Random integer networks for tests, valid by construction."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.compress import quantise
from netwright.graph import OPS, Builder, Graph, Type
from netwright.graph.ops.shape import TO_END

UNARY = ("tanh", "sigmoid", "hard_swish", "leaky_relu", "gelu")


def random_float(rng: np.random.Generator, layers: int = 5) -> Graph:
    """A random small image network with branches, in floating point, with weights."""
    b = Builder("random net")
    c, size = int(rng.integers(1, 5)), int(rng.integers(5, 11))
    v: Any = b.input("x", Type((1, c, size, size)))
    for i in range(layers):
        c, h = v.shape[1], v.shape[2]
        kind = rng.choice(
            [
                "conv",
                "depthwise",
                "pointwise",
                "residual",
                "pool",
                "concat",
                "unary",
                "grouped",
                "pad",
                "resize",
                "slice",
                "conv_transpose",
                "attention",
            ]
        )
        with b.scope(f"layer{i}"):
            if kind in ("conv", "pointwise", "grouped"):
                groups = 2 if kind == "grouped" and c % 2 == 0 else 1
                o, k = int(rng.integers(1, 9)) * groups, 1 if kind == "pointwise" else 3
                stride = int(rng.integers(1, 3)) if h > 3 else 1
                w = b.param("w", (o, c // groups, k, k))
                v = b(OPS["conv"]((stride,) * 2, (k // 2,) * 4, (1, 1), groups), v, w, b.param("b", (o,)))
                v = b(OPS["relu"](), v) if rng.integers(2) else v
            elif kind == "depthwise":
                v = b(OPS["conv"]((1, 1), (1,) * 4, (1, 1), c), v, b.param("w", (c, 1, 3, 3)), b.param("b", (c,)))
            elif kind == "residual":
                y = b(OPS["conv"]((1, 1), (1,) * 4), v, b.param("w", (c, c, 3, 3)))
                v = b(OPS[str(rng.choice(["add", "sub", "mul"]))](), v, y)
            elif kind == "pool" and h >= 4:
                v = b(OPS[str(rng.choice(["max_pool", "average_pool"]))]((2, 2), (2, 2)), v)
            elif kind == "concat":
                y = b(OPS["conv"](), v, b.param("w", (3, c, 1, 1)))
                v = b(OPS["concat"](1), v, y)
            elif kind == "conv_transpose" and h < 7:
                stride, k, o = int(rng.integers(1, 3)), int(rng.integers(2, 4)), int(rng.integers(1, 7))
                pads, more = tuple(int(p) for p in rng.integers(0, 2, 4)), (stride - 1, 0)
                op = OPS["conv_transpose"]((stride,) * 2, pads, output_padding=more)
                v = b(op, v, b.param("w", (c, o, k, k)), b.param("b", (o,)))
                v = b(OPS["relu"](), v) if rng.integers(2) else v
            elif kind == "attention":
                v = b(OPS["mul"](), v, b(OPS["softmax"](), v))
            elif kind == "unary":
                v = b(OPS[str(rng.choice(UNARY))](), v)
            elif kind == "pad" and h < 10:
                v = b(OPS["pad"]((0, 0, 1, 0, 0, 0, 0, 1)), v)
            elif kind == "resize" and h < 6:
                v = b(OPS["resize"]((h * 2, h * 2)), v)
            elif kind == "slice" and h > 4:
                v = b(OPS["slice"]((0, 0, 1, 0), (TO_END, c, h, h - 1)), v)
    v = head(b, v, str(rng.choice(["flat", "global_average_pool", "reduce_mean", "reduce_max"])))
    v = b(OPS["linear"](), v, b.param("fc.w", (5, v.shape[1])), b.param("fc.b", (5,)))
    last = rng.integers(4)
    v = b(OPS["softmax"](), v) if last == 0 else b(OPS["arg_max"](), v) if last == 1 else v
    b.output(v)
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph, int(rng.integers(1 << 30))))


def head(b: Builder, v: Any, kind: str) -> Any:
    """An image as one row of features."""
    if kind in ("reduce_mean", "reduce_max"):
        return b(OPS[kind]((2, 3), False), v)
    return b(OPS["reshape"]((0, -1)), b(OPS[kind](), v) if kind != "flat" else v)


def random_int8(seed: int, layers: int = 5) -> tuple[Graph, np.ndarray]:
    """An int8 network and eight inputs."""
    rng = np.random.default_rng(seed)
    graph = random_float(rng, layers)
    x = rng.standard_normal((8, *graph.inputs[0].shape[1:])).astype(np.float32)
    made = quantise(graph, x)
    return made, rng.integers(-128, 128, (8, *made.inputs[0].shape[1:])).astype(np.int8)
