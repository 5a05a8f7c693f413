"""Graphs lowered, written, run and compared: what tests of the lowering share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright.devices.ane import profile
from netwright.devices.ane.device import lowered
from netwright.devices.ane.execute import prepare
from netwright.devices.ane.lower import Lowered
from netwright.devices.ane.mil import parse, to_text
from netwright.devices.ane.rules import worst
from netwright.devices.ane.simulator.kernel import written
from netwright.graph import Builder, Graph, Init, Type
from netwright.graph.ops import Add, Attention, LayerNorm, Linear, Mul, Reshape, RMSNorm, Silu, Transpose


def filled(graph: Graph, seed: int = 0) -> Graph:
    return graph.with_store(graph.store.initialise(graph, seed))


def inputs_of(graph: Graph, scale: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal(v.shape) * scale).astype(np.float32) for v in graph.inputs]


def errors(graph: Graph, folder: Path, name: str = "strict", scale: float = 1.0) -> tuple[Lowered, list[float]]:
    """The program, and of each output the largest error over max(1, largest). What must always hold is asserted."""
    chosen = profile.load(name)
    made = lowered(graph, chosen)
    text = to_text(made.program)
    assert to_text(parse(text)) == text and parse(text) == made.program
    assert not worst(made.program.function(), chosen)
    assert sorted(made.program.function().outputs) == [p.variable for p in made.outputs]
    assert sorted(v.name for v in made.program.function().inputs) == [p.variable for p in made.inputs]
    written(made.weights, folder)
    given = inputs_of(graph, scale)
    ready = prepare(made.program, folder, chosen.numerics)
    got = ready.run({p.variable: p.inwards(x) for p, x in zip(made.inputs, given)})
    found = []
    for port, want in zip(made.outputs, graph.run(*given)):
        y = port.outwards(got[port.variable])
        assert y.shape == want.shape and y.dtype == np.float32
        found.append(float(np.abs(y - want).max() / max(1.0, float(np.abs(want).max()))))
    return made, found


def attention_block(heads: int = 4, length: int = 16, width: int = 8) -> Graph:
    """x [S, d] -> hidden, k, v [S, d]: layer norm, masked attention, projection, residual."""
    d = heads * width
    small = Init("normal", d**-0.5)
    b = Builder("attention")
    x = b.input("x", Type((length, d)))
    n = b(LayerNorm(), x, b.param("gain", (d,), init=Init("normal", 1.0)), b.param("shift", (d,)))
    q, k, v = (
        b(Linear(), n, b.param(f"w{c}", (d, d), init=small), b.param(f"b{c}", (d,)), name=c) for c in "qkv"
    )
    split = [b(Transpose((1, 0, 2)), b(Reshape((length, heads, width)), t)) for t in (q, k, v)]
    mask = b.constant(np.triu(np.full((length, length), -1e9, np.float32), 1), "mask")
    mixed = b(Reshape((length, d)), b(Transpose((1, 0, 2)), b(Attention(), *split, mask)))
    b.output(b(Add(), x, b(Linear(), mixed, b.param("wo", (d, d), init=small)), name="hidden"), k, v)
    return filled(b.graph())


def swiglu_block(length: int = 64, width: int = 64, hidden: int = 128) -> Graph:
    """x [S, d] -> x + W2 (silu(W1 n) * W3 n), n = norm(x)."""
    small = Init("normal", width**-0.5)
    b = Builder("swiglu")
    x = b.input("x", Type((length, width)))
    n = b(RMSNorm(1e-5), x, b.param("gain", (width,), init=Init("normal", 1.0)))
    gate, up = (b(Linear(), n, b.param(name, (hidden, width), init=small)) for name in ("w1", "w3"))
    down = b(Linear(), b(Mul(), b(Silu(), gate), up), b.param("w2", (width, hidden), init=Init("normal", hidden**-0.5)))
    b.output(b(Add(), x, down, name="out"))
    return filled(b.graph())


def mlp(width: int = 32) -> Graph:
    """x [1, I] -> logits [1, 10]."""
    from netwright.graph.ops import Relu

    b = Builder("mlp")
    x = b.input("x", Type((1, width)))
    h = b(Relu(), b(Linear(), x, b.param("a.weight", (64, width)), b.param("a.bias", (64,))))
    b.output(b(Linear(), h, b.param("b.weight", (10, 64)), b.param("b.bias", (10,)), name="logits"))
    return filled(b.graph())
