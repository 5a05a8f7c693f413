"""Sampling keeps its promises; generation stops where it should and says why; the command prints what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import FAMILIES, filled, tokens_for

from netwright.cli.app import main
from netwright.errors import UserError
from netwright.models import Model
from netwright.models.generate import CpuRunner, Generator, perplexity
from netwright.models.sampling import Sampler
from netwright.models.tokenizers import Tokenizer

LOGITS = np.array([1.0, 3.0, 2.0, -1.0, 0.5])


class Letters(Tokenizer):
    """A token a byte, 50 of them from A on."""

    def __init__(self, **options: Any) -> None:
        super().__init__([bytes([65 + i]) for i in range(50)], **options)

    def _encode(self, text: str) -> list[int]:
        return [ord(c) - 65 for c in text]


def model(which: int = 0) -> Model:
    module, config = FAMILIES[which]
    return Model("small", module.__name__.rpartition(".")[2], config, filled(module, config))


def drawn(count: int = 400, **settings: Any) -> list[int]:
    sampler = Sampler(**settings)
    return [sampler.choose(LOGITS) for _ in range(count)]


def test_without_temperature_the_likeliest_token_is_taken() -> None:
    assert set(drawn(5)) == {1}


def test_frequencies_follow_the_softmax() -> None:
    expected = np.exp(LOGITS / 1.5) / np.exp(LOGITS / 1.5).sum()
    found = np.bincount(drawn(20_000, temperature=1.5), minlength=5) / 20_000
    np.testing.assert_allclose(found, expected, atol=0.015)


def test_top_k_and_top_p_leave_the_likeliest_only() -> None:
    assert set(drawn(temperature=5.0, top_k=2)) == {1, 2}
    assert set(drawn(temperature=1.0, top_p=0.5)) == {1}
    assert set(drawn(temperature=1.0, top_p=0.7)) == {1, 2}


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(temperature=1.0, seed=4) == drawn(temperature=1.0, seed=4) != drawn(temperature=1.0, seed=5)


def test_a_repetition_penalty_lowers_what_was_seen() -> None:
    assert Sampler(repetition_penalty=2.0).choose(LOGITS, [1, 1]) == 2
    assert Sampler(repetition_penalty=2.0).choose(-LOGITS - 2, [3, 4]) == 3 and -LOGITS[3] * 2 > -10


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.integers(0, 40), st.floats(0.01, 1), st.floats(0, 3)
)
@settings(deadline=None)
def test_any_setting_draws_a_token_that_exists(logits: list[float], k: int, p: float, temperature: float) -> None:
    assert 0 <= Sampler(temperature, k, p, 1.2, 0).choose(np.array(logits), [0]) < len(logits)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5},
     {"repetition_penalty": 0.0}, {"seed": -1}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="give"):
        Sampler(**wrong)


@pytest.mark.parametrize("which", range(len(FAMILIES)))
def test_a_runner_gives_the_logits_of_a_full_pass(which: int) -> None:
    given = model(which)
    tokens = [int(t) for t in tokens_for(given.config, 20)]
    (expected,) = given.builders.full(given.config, 20, store=given.store).run(np.array(tokens))
    runner = CpuRunner(given, context=24)
    found = [runner.prefill(tokens[:7]), runner.prefill(tokens[7:12]), *(runner.step(t) for t in tokens[12:])]
    np.testing.assert_allclose(found, expected[[6, 11, *range(12, 20)]], atol=1e-4)
    runner.reset()
    np.testing.assert_allclose(runner.prefill(tokens[:3]), expected[2], atol=1e-4)


def test_the_context_is_not_left() -> None:
    runner = CpuRunner(model(), context=4)
    with pytest.raises(UserError, match="do not fit a context of 4"):
        runner.prefill([1] * 5)
    runner.prefill([1] * 4)
    with pytest.raises(UserError, match="1 tokens after 4 do not fit"):
        runner.step(1)
    with pytest.raises(UserError, match="takes 1 to 32"):
        CpuRunner(model(), context=33)
    with pytest.raises(UserError, match="token 50 is not one"):
        CpuRunner(model()).prefill([50])


def test_generation_says_why_it_stopped() -> None:
    greedy = Generator(CpuRunner(model()), Letters())
    text = greedy.text("ABC", max_tokens=5)
    assert len(text) == 5 and greedy.stats.stopped == "length" and greedy.tokens[:3] == [0, 1, 2]
    assert greedy.text("ABC", max_tokens=3) == text[:3]
    short = Generator(CpuRunner(model(), context=6), Letters())
    assert short.text("ABC", max_tokens=50) == text[:4] and short.stats.stopped == "context"
    ended = Generator(CpuRunner(model()), Letters(end=(ord(text[2]) - 65,)))
    assert ended.text("ABC", max_tokens=50) == text[: text.index(text[2])] and ended.stats.stopped == "end"


def test_an_empty_prompt_needs_a_token_to_begin_with() -> None:
    with pytest.raises(UserError, match="give a prompt"):
        Generator(CpuRunner(model()), Letters()).text("")
    assert Generator(CpuRunner(model()), Letters(begin=3)).text("", max_tokens=2)


def test_perplexity_is_the_mean_over_windows() -> None:
    given = model()
    tokens = tokens_for(given.config, 21)
    found, count = perplexity(given, [int(t) for t in tokens], window=8)
    losses = []
    for part in (tokens[:8], tokens[8:16], tokens[16:]):
        (logits,) = given.builders.full(given.config, len(part), store=given.store).run(part)
        chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        losses += [-np.log(chances[i, t]) for i, t in enumerate(part[1:])]
    assert count == len(losses) == 18
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["generate", *arguments])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_the_command_writes_a_story(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(shared_data / "stories260k" / "stories260K.bin")
    story = ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball."
    status, out, err = command(capsys, path, "--prompt", "Once upon a time", "--max-tokens", "60")
    assert status == 0 and out.startswith(story) and "tokens/s" in err
    status, out, _ = command(capsys, path, "-p", "Once upon a time", "--max-tokens", "60", "--json")
    found = json.loads(out)
    assert found["text"].startswith(story) and found["new_tokens"] == 60 and found["stopped"] == "length"
    assert found["decode_tokens_s"] > 0 and found["mode"] == "cpu" and len(found["tokens"]) == found["prompt_tokens"] + 60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.gguf",), "no such file"),
        (("MODEL", "--mode", "gpu"), "no mode 'gpu'"),
        (("MODEL", "--temperature", "-1"), "a temperature of -1"),
        (("MODEL", "--context", "100000"), "takes 1 to 512"),
        (("MODEL", "--max-tokens", "0"), "give at least 1"),
        (("MODEL", "--prompt", "word " * 600), "do not fit a context"),
    ],
)
def test_the_command_refuses_in_one_line(
    shared_data: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    path = str(shared_data / "stories260k" / "stories260K.bin")
    status, _, err = command(capsys, *(path if a == "MODEL" else a for a in arguments))
    assert status == 2 and said in err and err.count("\n") == 1
