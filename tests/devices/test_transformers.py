"""Transformers as C: attention and MLPs keep their bytes when no scores and hidden features of all tokens are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netwright
from netwright import devices, spaces
from netwright.compile import attention, feed_forward, pads
from netwright.compress import integer_inputs, quantise
from netwright.devices.c import arranged, planned, reordered
from netwright.devices.c.choice import MEAN_BYTES, SHAPE_BYTES
from netwright.graph import OPS, Builder, Graph, Quant, Type, parse, to_text
from netwright.spaces.zoo import vit

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7")
Q, K, V, OUT = Quant(0.03, 5), Quant(0.05, -7), Quant(0.04, 11), Quant(0.02, -3)


def filled(graph: Graph, seed: int) -> Graph:
    """With weights, and biases that are no two alike."""
    store, rng = graph.store.initialise(graph, seed), np.random.default_rng(seed)
    for param in graph.params:
        if param.value.name.endswith((".bias", ".scale", "position")):
            store[param.tensor] = store[param.tensor] + rng.normal(0, 0.2, param.value.shape).astype(np.float32)
    return graph.with_store(store)


def integer(graph: Graph, seed: int, samples: int = 6) -> tuple[Graph, np.ndarray]:
    """The int8 form, and codes of random samples for it."""
    x = np.random.default_rng(seed).normal(0, 1, (samples, *graph.inputs[0].shape[1:])).astype(np.float32)
    made = quantise(graph, x)
    return made, integer_inputs(graph, made, x)[0]


def network(seed: int) -> Graph:
    space, rng = spaces.get("vit"), np.random.default_rng(seed)
    return filled(space.build(space.sample(rng), Type((1, 1 + seed % 3, 20, 17)), Type((1, 10))).graph, seed)


def same_everywhere(graph: Graph, inputs: list[np.ndarray], folder: Path, cores: tuple[str, ...] = CORES) -> None:
    """The graph as it is written, as it is compiled, on the host and on emulated cores."""
    wanted = graph.run(*inputs)
    for ours, theirs in zip(wanted, arranged(graph).run(*inputs), strict=True):
        assert np.array_equal(ours, theirs)
    for core in ("host", *cores):
        device = devices.get(core) if core in ("host", "cortex-m0plus") else devices.get(core, ram="256KB", flash="1MB")
        for ours, theirs in zip(wanted, device.compile(graph, out=folder / core).run(*inputs), strict=True):
            assert ours.tobytes() == theirs.tobytes(), core


@pytest.mark.parametrize("seed", range(6))
def test_random_vision_transformers_give_the_bytes_of_the_ops_they_are_made_of(seed: int, tmp_path: Path) -> None:
    graph, codes = integer(network(seed), seed)
    kinds = {type(n.op) for n in arranged(graph).nodes}
    assert {OPS["q_attention"], OPS["q_feed_forward"]} <= kinds
    assert not kinds & {OPS["q_matmul"], OPS["q_softmax"], OPS["transpose"]}
    same_everywhere(graph, [codes[:2]], tmp_path, (CORES[seed % 3],) if seed % 3 else ())


def test_scores_and_hidden_features_of_all_tokens_are_stored_nowhere() -> None:
    blocks = [{"heads": 4, "ratio": 4}] * 2
    structure = {"patches": 7, "width": 32, "rank": 1.0, "blocks": blocks}
    graph, _ = integer(filled(vit.build(structure, Type((1, 1, 28, 28)), Type((1, 10))).graph, 0), 0)
    unfused, fused = reordered(pads.fold(graph)), arranged(graph)
    largest = [max(v.type.bytes for n in g.nodes for v in n.outputs) for g in (unfused, fused)]
    assert largest == [4 * 49 * 49, 49 * 32]
    assert 2 * planned(fused).bytes < planned(unfused).bytes


def test_the_cost_model_knows_the_arena_exactly_and_instructions_nearly(tmp_path: Path) -> None:
    structure = {"patches": 7, "width": 32, "rank": 1.0, "blocks": [{"heads": 2, "ratio": 3}] * 2}
    graph, codes = integer(filled(vit.build(structure, Type((1, 1, 28, 28)), Type((1, 10))).graph, 1), 1)
    device = devices.get("cortex-m7")
    cost, found = device.cost(graph), device.compile(graph, out=tmp_path).profile(codes[:1])
    assert cost.ram_bytes["arena"] == found.ram_bytes["arena"]
    assert cost.ram_bytes["stack"] >= found.ram_bytes["stack"]
    assert abs(cost.flash_bytes["rodata"] - found.flash_bytes["rodata"]) <= SHAPE_BYTES + MEAN_BYTES  # of kernels with one caller
    assert abs(cost.instructions / found.instructions - 1) < 0.1


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("heads", "width", "depth", "tokens", "keys", "scale"),
    ((1, 4, 4, 3, 8, 0.05), (3, 5, 7, 2, 9, 0.3), (2, 8, 6, 1, 1, 0.001), (1, 3, 9, 5, 131, 4.0), (4, 12, 12, 4, 30, 1.0)),
)
def test_attention_of_any_size_reads_heads_where_they_lie(
    heads: int, width: int, depth: int, tokens: int, keys: int, scale: float, core: str, tmp_path: Path
) -> None:
    b, rng = Builder("attention"), np.random.default_rng(keys)
    columns, spare = (0, 3, 2), (0, 5, 2)
    sides = zip("qkv", (tokens, keys, keys), (width, width, depth), spare, (Q, K, V))
    values = [b.input(n, Type((2, rows, heads * size + more), "int8", q)) for n, rows, size, more, q in sides]
    read = Quant(float(np.float32(scale)), 2)
    op = OPS["q_attention"](heads, width, depth, columns, Q, K, V, Quant(0.04, 2), read, 1.0, OUT)
    b.output(b(op, *values))
    graph = b.graph()
    assert parse(to_text(graph)).structure_hash == graph.structure_hash
    data = [rng.integers(-128, 128, v.shape).astype(np.int8) for v in values]
    same_everywhere(graph, data, tmp_path, (core,))


def test_all_scores_alike_weigh_over_512_keys_alike(tmp_path: Path) -> None:
    """Softmax's sum then leaves its fixed point: every weight is zero, as in the op on its own."""
    b = Builder("alike")
    q, k, v = (b.input(n, Type((1, t, 4), "int8", q)) for n, t, q in (("q", 2, Q), ("k", 600, K), ("v", 600, V)))
    b.output(b(OPS["q_attention"](1, 4, 4, (0, 0, 0), Q, K, V, OUT, OUT, 1.0, OUT), q, k, v))
    rng = np.random.default_rng(0)
    data = [np.zeros((1, 2, 4), np.int8), np.ones((1, 600, 4), np.int8), rng.integers(-128, 128, v.shape).astype(np.int8)]
    same_everywhere(b.graph(), data, tmp_path, ("cortex-m4",))


def test_unknown_scales_still_compile_to_the_same_bytes(tmp_path: Path) -> None:
    """Scales of one, as where only the structure counts, leave powers that softmax takes for zero."""
    b = Builder("unit")
    values = [b.input(n, Type((1, 5, 8), "int8", Quant(1.0, 0))) for n in "qkv"]
    b.output(b(OPS["q_attention"](2, 4, 4, (0, 0, 0)), *values))
    rng = np.random.default_rng(0)
    same_everywhere(b.graph(), [rng.integers(-9, 9, v.shape).astype(np.int8) for v in values], tmp_path, ("cortex-m4",))


class Block(nn.Module):
    """A vision transformer's block as people write it: one linear layer for q, k and v, in three spellings."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.spelling = spelling
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.qkv, self.join = nn.Linear(24, 72), nn.Linear(24, 24)
        self.mlp = nn.Sequential(nn.Linear(24, 60), nn.GELU(), nn.Linear(60, 24))
        self.library = nn.MultiheadAttention(24, 3, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.norm1(x)
        if self.spelling == "library":
            x = x + self.library(y, y, y, need_weights=False)[0]
        else:
            if self.spelling == "chunk":
                q, k, v = (t.view(-1, 9, 3, 8).transpose(1, 2) for t in self.qkv(y).chunk(3, dim=-1))
            else:
                q, k, v = self.qkv(y).reshape(-1, 9, 3, 3, 8).permute(2, 0, 3, 1, 4).unbind(0)
            weights = (q @ k.transpose(-2, -1) * 8**-0.5).softmax(-1)
            x = x + self.join((weights @ v).transpose(1, 2).reshape(-1, 9, 24))
        return x + self.mlp(self.norm2(x))


@pytest.mark.parametrize("spelling", ("chunk", "unbind", "library"))
def test_blocks_written_in_torch_are_found_and_take_the_memory_of_four_rows_a_token(spelling: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph, codes = integer(netwright.from_torch(Block(spelling).eval(), torch.zeros(1, 9, 24)), 0)
    kinds = "q_attention", "q_feed_forward", "q_matmul", "q_linear"
    assert [sum(isinstance(n.op, OPS[k]) for n in arranged(graph).nodes) for k in kinds] == [1, 1, 0, 4]
    assert planned(arranged(graph)).bytes <= 4 * 9 * 24 + 60
    same_everywhere(graph, [codes[:1]], tmp_path, ("cortex-m4",))


def test_attention_whose_scores_somebody_sees_stays_as_it_is(tmp_path: Path) -> None:
    b = Builder("seen")
    q, k, v = (b.input(n, Type((2, 6, 4) if n != "k" else (2, 4, 6))) for n in "qkv")
    weights = b(OPS["softmax"](-1), b(OPS["matmul"](), q, k))
    b.output(b(OPS["matmul"](), weights, v), weights)
    rng = np.random.default_rng(0)
    made = quantise(b.graph(), *(rng.normal(0, 1, (3, *t.shape)).astype(np.float32) for t in (q, k, v)))
    assert attention.fold(made) is made


def test_a_hidden_layer_that_somebody_sees_stays_as_it_is() -> None:
    b = Builder("seen")
    x = b.input("x", Type((5, 8)))
    hidden = b(OPS["linear"](), x, b.param("w1", (12, 8)))
    b.output(b(OPS["linear"](), hidden, b.param("w2", (8, 12))), hidden)
    graph = filled(b.graph(), 0)
    made = quantise(graph, np.random.default_rng(0).normal(0, 1, (3, 5, 8)).astype(np.float32))
    assert feed_forward.fold(made) is made


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_written_over_rows_that_are_not_needed_again(seed: int, tmp_path: Path) -> None:
    """Linear layers and norms of several rows, their results as close to what they read as the plan dares."""
    rng = np.random.default_rng(seed)
    b = Builder("rows")
    x = value = b.input("x", Type((int(rng.integers(2, 12)), int(rng.integers(3, 30)))))
    for i in range(4):
        features, made = value.shape[1], int(rng.integers(1, 40))
        if i % 2:
            ends = (b.param(f"norm{i}.scale", (features,)), b.param(f"norm{i}.bias", (features,)))
            value = b(OPS["layer_norm"](), value, *ends)
        value = b(OPS["linear"](), value, b.param(f"w{i}", (made, features)), b.param(f"b{i}.bias", (made,)))
        value = b(OPS["group_norm"](1), value) if i == 2 else value
    b.output(value)
    data = rng.normal(0, 1, (4, *x.shape)).astype(np.float32)
    graph = filled(b.graph(), seed)
    made = quantise(graph, data)
    codes = integer_inputs(graph, made, data)[0]
    unpaired = planned(reordered(made)).bytes
    assert unpaired <= 8 + max(n.inputs[0].type.bytes + n.output.type.bytes for n in made.nodes if n.inputs[0])
    same_everywhere(made, [codes[0]], tmp_path, ())
