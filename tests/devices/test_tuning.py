"""Kernels chosen layer by layer: the same bytes on every one, and the one that is counted quickest is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netwright import devices
from netwright.devices.c import planned
from netwright.devices.c.choice import variants, with_kernel
from netwright.devices.c.tuning import tuned
from netwright.devices.cortex_m.device import STACK
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Quant, Type, load
from netwright.graph.ops.int8.conv import QConv

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7")


def depthwise(b: Builder, name: str, x: object, k: tuple[int, int], stride: int, rng: np.random.Generator) -> object:
    """One depthwise layer with ordinary scales, a few of a half and more, and biases up to 30 bits."""
    c, quant = x.shape[3], x.type.quant  # type: ignore[attr-defined]
    w = b.param(f"{name}.w", (c, *k, 1), dtype="int8", init=None, trainable=False)
    s = b.param(f"{name}.s", (c,), init=None, trainable=False)
    bias = b.param(f"{name}.b", (c,), dtype="int32", init=None, trainable=False)
    b.store[f"{name}.w"] = rng.integers(-127, 128, w.shape).astype(np.int8)
    b.store[f"{name}.s"] = np.where(rng.random(c) < 0.1, 0.9, rng.uniform(0.001, 0.01, c)).astype(np.float32)
    large = rng.random(c) < 0.1
    wide, usual = rng.integers(-(1 << 30), 1 << 30, c), rng.integers(-900, 900, c)
    b.store[f"{name}.b"] = np.where(large, wide, usual).astype(np.int32)
    out = Quant(0.04, int(rng.integers(-128, 128)))
    low, high = ((-128, 127), (out.zero, 127), (-60, 70))[int(rng.integers(3))]
    padding = tuple(int(p) for p in rng.integers(0, min(k) // 2 + 1, 4))
    return b(QConv((stride, stride), padding, (1, 1), c, quant, out, low, high), x, w, s, bias, name=name)


def layer(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    b = Builder("layer")
    k = tuple(int(v) for v in rng.integers(1, 6, 2)) if seed % 3 else (3, 3)
    h, w = (int(v) for v in rng.integers(max(k), 12, 2))
    x = b.input("x", Type((1, h, w, 4 * int(rng.integers(1, 4))), "int8", Quant(0.05, int(rng.integers(-128, 128)))))
    b.output(depthwise(b, "y", x, k, 1 + seed % 2, rng))
    return b.graph()


def network() -> Graph:
    """Four depthwise layers, each in its input's place: large, small, and with strides."""
    rng = np.random.default_rng(0)
    b = Builder("network")
    v = b.input("x", Type((1, 24, 24, 8), "int8", Quant(0.05, -3)))
    for i, (k, stride) in enumerate((((7, 7), 1), ((3, 3), 2), ((3, 3), 2), ((3, 3), 1))):
        v = depthwise(b, f"layer{i}", v, k, stride, rng)
    b.output(v)
    return b.graph()


def on(node: Node, kernel: str) -> Node:
    assert isinstance(node.op, QConv)
    return Node(with_kernel(node.op, kernel), node.inputs, node.outputs)


@pytest.mark.parametrize("core", CORES)
def test_every_kernel_of_a_layer_gives_the_bytes_of_the_reference(core: str, tmp_path: Path) -> None:
    seen = set()
    for seed in range(18):
        graph = layer(seed)
        (node,) = graph.nodes
        x = np.random.default_rng(seed).integers(-128, 128, (3, *graph.inputs[0].shape[1:])).astype(np.int8)
        whole = devices.get(core).compile(graph, out=tmp_path / "program")
        np.testing.assert_array_equal(whole.run(x)[0], graph.run(x)[0], f"by the rule, seed {seed}")
        for kernel in variants(node):
            program = devices.get(core).compile(replace(graph, nodes=(on(node, kernel),)), out=tmp_path / "program")
            np.testing.assert_array_equal(program.run(x)[0], graph.run(x)[0], f"{kernel}, seed {seed}")
            seen.add((kernel, node.op.stride))
    assert seen >= {("rows", (1, 1)), ("rows", (2, 2)), ("columns", (1, 1)), ("fours", (1, 1)), ("fours", (2, 2))}


def test_a_tuned_program_takes_fewer_instructions_and_gives_the_same_bytes(tmp_path: Path) -> None:
    graph, device = network(), devices.get("cortex-m4")
    usual, best = device.compile(graph, out=tmp_path / "a"), device.compile(graph, {"tune": "yes"}, tmp_path / "b")
    x = np.random.default_rng(1).integers(-128, 128, (4, 24, 24, 8)).astype(np.int8)
    np.testing.assert_array_equal(best.run(x)[0], usual.run(x)[0])
    np.testing.assert_array_equal(best.run(x)[0], graph.run(x)[0])
    assert best.profile(x).instructions < 0.95 * usual.profile(x).instructions
    chosen = best.kernels  # type: ignore[attr-defined]
    assert "layer0" not in chosen and chosen["layer3"]["kernel"] == "fours"  # 49 taps of a large image, 9 of a small one
    assert all(min(c["instructions"].values()) == c["instructions"][c["kernel"]] for c in chosen.values())
    assert not usual.kernels  # type: ignore[attr-defined]
    again = device.compile(load(tmp_path / "b"), {"tune": "yes"}, tmp_path / "c")
    np.testing.assert_array_equal(again.run(x)[0], best.run(x)[0])


def test_a_layer_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path))
    graph, counted = network(), []

    def count(one: Graph) -> int:
        counted.append(one)
        kernel = getattr(one.nodes[0].op, "kernel", "")
        return 5 if kernel == "fours" else 9

    made, choices = tuned(graph, count, "a core")
    assert len(counted) == 2 * 4 and all(c.best == "fours" and c.saved == 4 for c in choices) and len(choices) == 4
    assert [getattr(n.op, "kernel", "") for n in made.nodes] == ["fours"] * 4
    assert tuned(graph, count, "a core")[1] == choices and len(counted) == 8
    assert len(tuned(graph, count, "another core")[1]) == 4 and len(counted) == 16
    for kept in (tmp_path / "tuning").iterdir():
        kept.write_text(json.dumps({"rows": "half a fi"})[:9])  # of a full disk
    assert tuned(graph, count, "a core")[1] == choices and len(counted) == 24


def test_a_plan_keeps_to_the_arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path))
    graph = network()

    def count(one: Graph) -> int:
        return 5 if getattr(one.nodes[0].op, "kernel", "") == "fours" else 9

    least = planned(graph).bytes
    free, _ = tuned(graph, count, "a core")
    bound, choices = tuned(graph, count, "a core", arena=least)
    assert planned(free).bytes > least and planned(bound).bytes <= least
    assert 0 < len(choices) < 4


def test_an_input_outside_is_no_part_of_the_arena_that_tuning_keeps_to(tmp_path: Path) -> None:
    graph, rng = Builder("strided"), np.random.default_rng(0)
    v = graph.input("x", Type((1, 24, 24, 8), "int8", Quant(0.05, -3)))
    for i, stride in enumerate((2, 2, 1)):
        v = depthwise(graph, f"layer{i}", v, (3, 3), stride, rng)
    graph.output(v)
    net, options = graph.graph(), {"input": "outside", "tune": "yes"}
    free = devices.get("cortex-m4").compile(net, options, tmp_path / "free")
    arena = free.profile().ram_bytes["arena"]
    assert arena < net.inputs[0].type.bytes and len(free.kernels) == 3  # type: ignore[attr-defined]
    for less, layers in ((0, 3), (1, 2)):
        bound = devices.get("cortex-m4", ram=arena + STACK - less).compile(net, options, tmp_path / str(less))
        assert bound.profile().ram_bytes["arena"] <= arena - less
        assert len(bound.kernels) == layers  # type: ignore[attr-defined]


@pytest.mark.parametrize("device", ["host", "ane"])
def test_other_devices_refuse_to_tune(device: str) -> None:
    with pytest.raises(UserError, match="for Cortex-M"):
        devices.get(device).compile(network(), {"tune": "yes"})
