"""Networks whose windows are anything but square, centred and of stride 1: the bytes of the reference, usual or tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netwright import devices
from netwright.compress import quantise
from netwright.graph import OPS, Builder, Graph, Type

WINDOWED = ("conv", "depthwise", "depthwise", "multiplied", "grouped", "max_pool", "average_pool", "conv_transpose", "pad")


def windowed(seed: int) -> tuple[Graph, np.random.Generator]:
    """Up to five layers with lopsided padding, oblong windows, unequal strides and dilations; those that do not fit what
    comes before are left out."""
    rng = np.random.default_rng(seed)
    b = Builder("odd windows")

    def pair(low: int, high: int) -> tuple[int, int]:
        return int(rng.integers(low, high)), int(rng.integers(low, high))

    v: Any = b.input("x", Type((1, int(rng.choice([1, 2, 3, 4, 8, 12])), *pair(4, 14))))
    for i in range(int(rng.integers(2, 6))):
        c, h, w = v.shape[1:]
        kind = str(rng.choice(WINDOWED))
        kernel = (int(rng.integers(1, min(6, h + 1))), int(rng.integers(1, min(6, w + 1))))
        stride = (1, 1) if rng.random() < 0.6 else pair(1, 4)
        dilation = (1, 1) if rng.random() < 0.8 else pair(1, 3)
        padding = tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel))
        try:
            with b.scope(f"layer{i}"):
                if kind == "pad":
                    v = b(OPS["pad"]((0, 0, *pair(0, 3), 0, 0, *pair(0, 3))), v)
                elif kind in ("max_pool", "average_pool"):
                    v = b(OPS[kind](kernel, stride, tuple(p // 2 for p in padding)), v)
                elif kind == "conv_transpose":
                    op = OPS[kind](pair(1, 3), tuple(min(1, p) for p in padding))
                    v = b(op, v, b.param("w", (c, 3, *kernel)), b.param("b", (3,)))
                else:
                    groups = {"conv": 1, "grouped": 2 if c % 2 == 0 else 1}.get(kind, c)
                    o = groups * (1 if kind == "depthwise" else 2 if kind == "multiplied" else int(rng.integers(1, 7)))
                    op = OPS["conv"](stride, padding, dilation, groups)
                    v = b(op, v, b.param("w", (o, c // groups, *kernel)), b.param("b", (o,)))
        except ValueError:
            continue
        v = b(OPS["relu"](), v) if rng.random() < 0.3 else v
    b.output(v)
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph, seed)), rng


@pytest.mark.parametrize("device", ["cortex-m4", "cortex-m0plus", "host"])
def test_odd_windows_give_the_bytes_of_the_reference(device: str, tmp_path: Path) -> None:
    layers = 0
    for seed in range(40):
        graph, rng = windowed(seed)
        whole = quantise(graph, rng.standard_normal((8, *graph.inputs[0].shape[1:])).astype(np.float32))
        x = rng.integers(-128, 128, (2, *whole.inputs[0].shape[1:])).astype(np.int8)
        options = {"tune": "yes"} if device != "host" and seed % 4 == 0 else {}
        program = devices.get(device).compile(whole, options, tmp_path / str(seed))
        np.testing.assert_array_equal(program.run(x)[0], whole.run(x)[0], f"seed {seed}")
        layers += len(whole.nodes)
    assert layers > 80
