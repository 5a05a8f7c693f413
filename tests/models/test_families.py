"""GPT-2 and Llama-type graphs compute what PyTorch computes, whole, in steps, in pieces, and backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_models import FAMILIES, filled, forward, named, tokens_for

from netwright.compile.autodiff import autodiff
from netwright.graph import Graph, parse, to_text
from netwright.graph.prepared import Prepared
from netwright.graph.torch import to_torch
from netwright.models import gpt2, llama

EACH = pytest.mark.parametrize(("module", "config"), FAMILIES, ids=map(named, FAMILIES))


@EACH
def test_a_graph_has_the_parameters_that_the_family_documents(module: Any, config: Any) -> None:
    graph = module.full(config, 5)
    assert {p.tensor: p.value.shape for p in graph.params if p.trainable} == module.parameters(config)
    assert parse(to_text(graph)).structure_hash == graph.structure_hash


@EACH
def test_full_agrees_with_torch(module: Any, config: Any) -> None:
    store, tokens = filled(module, config), tokens_for(config, 13)
    graph = module.full(config, 13, store=store)
    expected = forward(module, config, store, tokens)
    for found in (graph.run(tokens)[0], Prepared(graph).step(tokens)[0]):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@EACH
@pytest.mark.parametrize("prepared", [False, True])
def test_prefill_and_decode_give_the_logits_of_a_full_pass(module: Any, config: Any, prepared: bool) -> None:
    store, tokens = filled(module, config), tokens_for(config, 12)
    (expected,) = module.full(config, 12, store=store).run(tokens)
    chunk, one = module.decode(config, 16, 5, every=True, store=store), module.decode(config, 16, store=store)
    first: Any = Prepared(chunk) if prepared else chunk.runner()
    second: Any = Prepared(one, shares=first) if prepared else one.runner()
    found = [first.step(tokens[i : i + 5], np.array([i]))[0] for i in (0, 5)]
    if not prepared:
        second.states = first.states
    found += [second.step(tokens[i : i + 1], np.array([i]))[0] for i in (10, 11)]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5 * np.abs(expected).max())


@EACH
def test_a_position_can_be_taken_again(module: Any, config: Any) -> None:
    store = filled(module, config)
    step = Prepared(module.decode(config, 16, store=store))
    text, other = tokens_for(config, 4), tokens_for(config, 4, seed=1)
    for i, token in enumerate(other):
        step.step(np.array([token]), np.array([i]))
    found = [step.step(np.array([token]), np.array([i]))[0] for i, token in enumerate(text)]
    np.testing.assert_allclose(found[-1], module.full(config, 4, store=store).run(text)[0][-1:], atol=1e-4)


@EACH
def test_the_pieces_of_layers_make_the_network(module: Any, config: Any) -> None:
    """Prefill as attention and feed-forward programs; decode as programs A and B with the cache between them."""
    length, context = 6, 8
    store, tokens = filled(module, config), tokens_for(config, length)
    start = np.array([0])
    embedding = module.embed(config, length, store=store)
    (x,) = embedding.run(*(tokens, start)[: len(embedding.inputs)])
    for layer in range(config.layers):
        hidden, k, v = module.attention(config, layer, length, store=store).run(x)
        assert k.shape == v.shape == (length, config.kv_heads * config.head_width)
        qkv = module.project(config, layer, length, store=store).run(x)
        between = module.attend(config, layer, context, length, store=store).runner()
        np.testing.assert_allclose(between.step(x, *qkv, start)[0], hidden, atol=1e-5)
        cache = between.states[f"layers.{layer}.k_cache"][:, :length]
        np.testing.assert_allclose(cache.transpose(1, 0, 2).reshape(length, -1), k, atol=1e-5)
        (x,) = module.feed_forward(config, layer, length, store=store).run(hidden)
    (found,) = module.head(config, length, store=store).run(x)
    np.testing.assert_allclose(found, module.full(config, length, store=store).run(tokens)[0], atol=1e-4)


def assert_gradients_agree(graph: Graph, *inputs: np.ndarray) -> None:
    """Of every parameter and floating input, with torch autograd through torch's own evaluation of the graph."""
    rng = np.random.default_rng(1)
    names = [v.name for v in graph.inputs if v.dtype == "float32"]
    names += [p.value.name for p in graph.params if p.trainable]
    dys = [rng.standard_normal(v.shape).astype(np.float32) for v in graph.outputs]
    ours = autodiff(graph, names, keep_outputs=False).run(*inputs, *dys)
    module = to_torch(graph)
    tensors = {v.name: torch.from_numpy(np.array(a)) for v, a in zip(graph.inputs, inputs, strict=True)}
    leaves = [tensors[n].requires_grad_() if n in tensors else module.tensor(n) for n in names]
    outputs = module(*tensors.values())
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    theirs = torch.autograd.grad(outputs, leaves, [torch.from_numpy(d) for d in dys])
    for name, mine, their in zip(names, ours, theirs, strict=True):
        np.testing.assert_allclose(mine, their, atol=1e-4 * max(1.0, float(their.abs().max())), err_msg=name)


@EACH
def test_full_is_differentiated_as_by_torch(module: Any, config: Any) -> None:
    assert_gradients_agree(module.full(config, 7, store=filled(module, config)), tokens_for(config, 7))


@EACH
@pytest.mark.parametrize("piece", ["attention", "feed_forward", "project"])
def test_blocks_are_differentiated_as_by_torch(module: Any, config: Any, piece: str) -> None:
    graph = getattr(module, piece)(config, 1, 7, store=filled(module, config))
    assert_gradients_agree(graph, np.random.default_rng(2).standard_normal((7, config.width)).astype(np.float32))


def test_gpt2_124m_full_equals_prefill_and_decode() -> None:
    config, length = gpt2.Config(), 12
    graph = gpt2.full(config, length)
    assert graph.parameter_count == 124_439_808
    store = graph.store.initialise(graph, seed=3)
    tokens = tokens_for(config, length)
    (expected,) = Prepared(graph.with_store(store)).step(tokens)
    first = Prepared(gpt2.decode(config, 64, 8, every=True, store=store))
    second = Prepared(gpt2.decode(config, 64, store=store), shares=first)
    found = [first.step(tokens[:8], np.array([0]))[0]]
    found += [second.step(tokens[i : i + 1], np.array([i]))[0] for i in range(8, length)]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((50, 24, 2, 4, 3, 40, 32), "cannot share 3 key heads"),
        ((50, 24, 0, 4, 2, 40, 32), "layers 0"),
        ((50, 12, 1, 4, 2, 40, 32), "no pairs to rotate"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        llama.Config(*sizes)


def test_gpt2_knows_no_positions_beyond_those_it_learned() -> None:
    config = gpt2.Config(50, 24, 1, 4, 40, 8)
    for build in (lambda: gpt2.full(config, 9), lambda: gpt2.decode(config, 9)):
        with pytest.raises(ValueError, match="has learned 8"):
            build()
