"""FlexiBERT's encoders as Graphs: recorded parameter counts, each operation beside a peer, bad recipes, training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from torch.nn.functional import cross_entropy, layer_norm, linear

from netwright import devices, spaces
from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.graph import Graph, Type
from netwright.graph.onnx import to_onnx
from netwright.graph.torch import TorchGraph, to_torch
from netwright.spaces.zoo.flexibert import Layer, Recipe, as_scored, network, parse, recipe, space

OPERATIONS = [("SA", "SDP"), ("SA", "WMA"), ("LT", "DFT"), ("LT", "DCT"), ("DSC", 5), ("DSC", 9)]
SMALL = {"hidden": (8, 12), "feed_forward": (10, 16), "vocabulary": 20, "embedding": 8, "positions": 12}
ROW = {"operation_type": "SA", "operation_parameter": "SDP", "num_operation_heads": 2, "feed_forward_dimension": 16,
       "num_feed_forward": 1}  # fmt: skip


def one_layer(operation: str, parameter: str | int, stacks: int = 1, heads: int = 4) -> Recipe:
    return Recipe(16, (Layer(operation, parameter, heads, 24, stacks),))


def shaken(graph: Graph, seed: int = 0) -> TorchGraph:
    """Every weight away from its start, so that biases and scales count too."""
    module, drawn = to_torch(graph, seed).eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=drawn))
    return module


def test_all_recorded_encoders_have_exactly_the_recorded_number_of_parameters(shared_data: Path) -> None:
    table = read(shared_data / "nas-nlp" / "bert_glue_training_free.parquet",
                 ["nas_config", "hidden_size", "number_of_parameters"])  # fmt: skip
    given = [parse(text, size) for text, size in zip(table["nas_config"], table["hidden_size"], strict=True)]
    assert len(given) == 500
    counted = {x: network(x, tokens=1).parameter_count for x in {as_scored(x) for x in given}}
    assert [counted[as_scored(x)] for x in given] == table["number_of_parameters"].tolist()
    assert {x.hidden for x in given} == {128, 256}


def test_the_space_has_the_published_size() -> None:
    assert space().count() == 2 * (48**2 + 48**4) == 10_621_440


def test_attention_by_dot_products_is_torchs_encoder_layer() -> None:
    module = shaken(network(one_layer("SA", "SDP"), 7, None, 20, 16, 9))
    peer = torch.nn.TransformerEncoderLayer(16, 4, 24, 0.0, "gelu", 1e-12, batch_first=True).eval()
    inside = {"linear1": "feed_forward.dense0", "linear2": "feed_forward.project", "self_attn.out_proj": "attention.project"}
    norms = {"norm1": "attention.norm", "norm2": "feed_forward.norm"}
    with torch.no_grad():
        for kind in ("weight", "bias"):
            for theirs, ours in inside.items():
                peer.get_parameter(f"{theirs}.{kind}").copy_(module.tensor(f"layer0.{ours}.{kind}"))
            for theirs, ours in norms.items():
                name = f"layer0.{ours}.{'scale' if kind == 'weight' else kind}"
                peer.get_parameter(f"{theirs}.{kind}").copy_(module.tensor(name))
            parts = [module.tensor(f"layer0.attention.{name}.{kind}") for name in ("query", "key", "value")]
            peer.get_parameter(f"self_attn.in_proj_{kind}").copy_(torch.cat(parts))
        tokens = torch.randint(20, (3, 7), generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(module(tokens), peer(embedded(module, tokens)), rtol=1e-4, atol=1e-5)


def embedded(module: TorchGraph, tokens: torch.Tensor) -> torch.Tensor:
    v = module.tensor("embeddings.word")[tokens] + module.tensor("embeddings.position")[: tokens.shape[1]]
    v = v + module.tensor("embeddings.token_type")[0]
    return layer_norm(v, v.shape[-1:], module.tensor("embeddings.norm.scale"), module.tensor("embeddings.norm.bias"), 1e-12)


def mapped(module: TorchGraph, x: torch.Tensor, name: str) -> torch.Tensor:
    bias = None if name.endswith("weighted") else module.tensor(f"{name}.bias")
    return linear(x, module.tensor(f"{name}.weight"), bias)


def fed_forward(module: TorchGraph, x: torch.Tensor, stacks: int) -> torch.Tensor:
    v = x
    for place in range(stacks):
        v = torch.nn.functional.gelu(mapped(module, v, f"layer0.feed_forward.dense{place}"))
    return normed(module, mapped(module, v, "layer0.feed_forward.project") + x, "layer0.feed_forward.norm")


def normed(module: TorchGraph, x: torch.Tensor, name: str) -> torch.Tensor:
    return layer_norm(x, x.shape[-1:], module.tensor(f"{name}.scale"), module.tensor(f"{name}.bias"), 1e-12)


@pytest.mark.parametrize("kind", ["DFT", "DCT"])
def test_transforms_are_those_of_torch_and_scipy_head_by_head(kind: str) -> None:
    module = shaken(network(one_layer("LT", kind, stacks=3), 6, None, 20, 16, 9))
    tokens = torch.randint(20, (2, 6), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        v = mapped(module, embedded(module, tokens), "layer0.attention.input").reshape(2, 6, 4, 4).transpose(1, 2)
        v = torch.fft.fft2(v).real if kind == "DFT" else torch.from_numpy(dctn(v.numpy(), 2, axes=(2, 3)))
        expected = fed_forward(module, v.transpose(1, 2).reshape(2, 6, 16), 3)
        torch.testing.assert_close(module(tokens), expected, rtol=1e-4, atol=1e-5)


def test_weighted_multiplicative_attention_has_a_matrix_between_queries_and_keys() -> None:
    module = shaken(network(one_layer("SA", "WMA"), 5, None, 20, 16, 9))
    tokens = torch.randint(20, (2, 5), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x, at = embedded(module, tokens), "layer0.attention."
        q, k, v = (mapped(module, x, at + name) for name in ("query", "key", "value"))
        q, k, v = (t.reshape(2, 5, 4, 4).transpose(1, 2) for t in (mapped(module, q, at + "weighted"), k, v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 5, 16)
        y = normed(module, mapped(module, y, at + "project") + x, at + "norm")
        torch.testing.assert_close(module(tokens), fed_forward(module, y, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [5, 9])
def test_span_convolution_is_a_loop_over_tokens_and_heads(kernel: int) -> None:
    module = shaken(network(one_layer("DSC", kernel), 6, None, 20, 16, 9))
    tokens = torch.randint(20, (2, 6), generator=torch.Generator().manual_seed(1))
    at, reach = "layer0.attention.", kernel // 2
    with torch.no_grad():
        x = embedded(module, tokens)
        query, key, value, point = (mapped(module, x, at + name) for name in ("query", "key", "value", "point"))
        padded = torch.nn.functional.pad(x, (0, 0, reach, reach))
        depthwise, pointwise = module.tensor(at + "span.depthwise")[:, 0], module.tensor(at + "span.pointwise")[..., 0]
        near = torch.stack([(padded[:, t : t + kernel] * depthwise.T).sum(1) for t in range(6)], 1)
        made = mapped(module, (near @ pointwise.T + module.tensor(at + "span.bias")) * query, at + "kernel")
        values, found = torch.nn.functional.pad(point, (0, 0, reach, reach)), torch.zeros(2, 6, 4, 4)
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            scores = torch.softmax(query[..., part] @ key[..., part].transpose(1, 2) / 2, -1)
            found[:, :, head] = scores @ value[..., part]
            taps = torch.softmax(made[..., kernel * head : kernel * (head + 1)], -1)
            for t in range(6):
                found[:, t, 2 + head] = (taps[:, t, :, None] * values[:, t : t + kernel, part]).sum(1)
        y = normed(module, mapped(module, found.reshape(2, 6, 16), at + "project") + x, at + "norm")
        torch.testing.assert_close(module(tokens), fed_forward(module, y, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("operation", "parameter"), OPERATIONS)
def test_every_operation_agrees_in_numpy_torch_and_onnx_runtime(operation: str, parameter: str | int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = network(one_layer(operation, parameter), 6, 3, 20, 8, 9)
    module = shaken(graph)
    graph = graph.with_store(module.to_store())
    tokens = np.random.default_rng(0).integers(20, size=(1, 6))
    (expected,) = graph.run(tokens)
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    (there,) = session.run(None, {session.get_inputs()[0].name: tokens})
    np.testing.assert_allclose(there, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(module(torch.from_numpy(tokens)).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("operation", "parameter"), [("SA", "SDP"), ("LT", "DFT"), ("DSC", 5)])
def test_it_compiles_to_c_that_computes_the_same(operation: str, parameter: str | int, tmp_path: Path) -> None:
    graph = network(one_layer(operation, parameter), 6, 3, 20, 8, 9)
    graph = graph.with_store(shaken(graph).to_store())
    tokens = np.random.default_rng(0).integers(20, size=(1, 6))
    (found,) = devices.get("host").compile(graph, out=tmp_path / "host").run(tokens)
    np.testing.assert_allclose(found, graph.run(tokens)[0], rtol=1e-4, atol=1e-5)


def test_every_sample_builds_reads_back_and_takes_a_batch() -> None:
    made, rng = spaces.get("flexibert", **SMALL), np.random.default_rng(0)
    seen = set()
    for _ in range(40):
        candidate = made.sample(rng)
        given = recipe(made.decode(candidate))
        assert parse(json.dumps(given.nas_config), given.hidden) == given
        graph = made.build(candidate, Type((1, 7), "int64"), Type((1, 3))).graph
        tokens = torch.from_numpy(rng.integers(20, size=(3, 7)))
        module = to_torch(graph).eval()
        with torch.no_grad():
            logits = module(tokens)
            assert logits.shape == (3, 3)
            torch.testing.assert_close(module(tokens[1:2]), logits[1:2], rtol=1e-4, atol=1e-6)
        seen |= {(layer.operation, layer.parameter) for layer in given.layers}
    assert seen == set(OPERATIONS)


@pytest.mark.parametrize(("operation", "parameter"), [("SA", "WMA"), ("LT", "DFT"), ("DSC", 5)])
def test_it_learns_whether_a_token_is_there(operation: str, parameter: str | int) -> None:
    drawn = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 12, (128, 8), generator=drawn)
    labels = (tokens == 3).any(1).long()
    module = to_torch(network(one_layer(operation, parameter), 8, 2, 12, 16, 8), seed=0)
    steps = torch.optim.AdamW(module.parameters(), 5e-3)
    losses = []
    for _ in range(150):
        loss = cross_entropy(module(tokens), labels)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[0] > 0.6 and losses[-1] < 0.25


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{", "is a JSON object"),
        ({"layers": []}, 'is {"encoder_layers"'),
        ({"encoder_layers": ["SA"]}, "layer 0 is an object"),
        ({"encoder_layers": [{}]}, 'layer 0 has no "operation_type"'),
        ({"encoder_layers": [{**ROW, "operation_type": "AS"}]}, "did you mean 'SA'"),
        ({"encoder_layers": [ROW, {**ROW, "operation_parameter": "DFT"}]}, "layer 1: the parameter of SA is SDP or WMA"),
        ({"encoder_layers": [{**ROW, "operation_type": "DSC", "operation_parameter": 4}]}, "is an odd kernel, not 4"),
        ({"encoder_layers": [{**ROW, "num_feed_forward": 0}]}, "a whole number of at least 1, not 0"),
        ({"encoder_layers": [{**ROW, "num_operation_heads": 3}]}, "cannot be shared by 3 heads"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(given: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse(given, 16)
    assert "\n" not in str(caught.value)


def test_sizes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UserError, match="the hidden size is a whole number"):
        parse({"encoder_layers": [ROW]}, 0)
    with pytest.raises(UserError, match="513 tokens: a network of 512 positions"):
        network(parse({"encoder_layers": [ROW]}, 16), 513)
    with pytest.raises(ValueError, match="cannot be shared by 3 heads"):
        space(heads=(3,))
    candidate = space().sample(np.random.default_rng(0))
    with pytest.raises(ValueError, match="needs token numbers"):
        space().build(candidate, Type((1, 3, 8, 8)), Type((1, 2)))
