"""Networks written as folders are read back bit for bit, by us and by transformers' layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netwright.errors import UserError
from netwright.models import Model, gpt2, llama, load
from netwright.models.writing import bytes_tokenizer, save


@pytest.mark.parametrize("tied", [True, False])
def test_a_written_network_comes_back(tied: bool, tmp_path: Path) -> None:
    config = llama.Config(256, 16, 2, 4, 2, 24, 32, head_width=6, epsilon=1e-6, rope_base=5e4, tied=tied)
    graph = llama.full(config, 1)
    model = Model("small", "llama", config, graph.store.initialise(graph, 3), bytes_tokenizer())
    save(model, tmp_path / "folder")
    again = load(tmp_path / "folder")
    assert again.config == config and again.tokenizer is not None
    assert all(np.array_equal(again.store[n], model.store[n]) for n in llama.parameters(config))
    text = "any bytes: \n\t äß 漢 \u0000"
    assert again.tokenizer.encode(text) == list(text.encode())
    assert again.tokenizer.decode(again.tokenizer.encode(text)) == text


def test_only_llama_type_networks_are_written(tmp_path: Path) -> None:
    config = gpt2.Config(10, 8, 1, 2, 16, 8)
    graph = gpt2.full(config, 1)
    model = Model("other", "gpt2", config, graph.store.initialise(graph), None)
    with pytest.raises(UserError, match="only Llama-type networks are written, this is gpt2"):
        save(model, tmp_path)


def test_a_network_with_another_tokenizer_is_written_without_it(tmp_path: Path) -> None:
    config = llama.Config(256, 16, 1, 2, 2, 24, 32)
    graph = llama.full(config, 1)
    model = replace(Model("m", "llama", config, graph.store.initialise(graph), None), tokenizer=None)
    save(model, tmp_path)
    assert load(tmp_path).tokenizer is None
