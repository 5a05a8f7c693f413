"""Language models on the engine: every mode says what the whole network says, within fp16, and greedy text is equal."""

from __future__ import annotations

import gzip
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from netwright.devices.ane import profile as profiles
from netwright.devices.ane.cache import DECODE
from netwright.devices.ane.decoder import AneRunner
from netwright.devices.ane.programs import Programs
from netwright.devices.ane.simulator import Simulator
from netwright.errors import UserError
from netwright.models import load
from netwright.models.generate import CpuRunner, Generator
from netwright.models.model import Model

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

from small_models import FAMILIES, filled, named, tokens_for


def model_of(module: ModuleType, config: Any) -> Model:
    return Model("small", module.__name__.rpartition(".")[2], config, filled(module, config), None)


@pytest.fixture(params=FAMILIES, ids=named)
def model(request: pytest.FixtureRequest) -> Model:
    return model_of(*request.param)


def whole(model: Model, tokens: np.ndarray) -> np.ndarray:
    graph = model.builders.full(model.config, len(tokens), store=model.store)
    return np.asarray(graph.run(tokens)[0])


@pytest.mark.parametrize("profile", ["m4max-orion", "strict"])
@pytest.mark.parametrize("mode", ["ane", "ane-prefill"])
def test_prompt_and_steps_are_the_whole_pass(model: Model, mode: str, profile: str, tmp_path: Path) -> None:
    tokens = tokens_for(model.config, 11)
    runner = AneRunner(model, mode=mode, programs=Programs(model, profile, folder=tmp_path))
    expected = whole(model, tokens)
    tolerance = 0.02 * max(1.0, float(np.abs(expected).max()))
    for _ in range(2):  # nothing is left of the first text
        runner.reset()
        made = [runner.prefill(tokens[:7].tolist()), *(runner.step(int(t)) for t in tokens[7:])]
        assert np.abs(np.array(made) - expected[6:]).max() < tolerance
        assert runner.position == 11


def test_a_text_at_once_has_the_logits_of_every_position(model: Model, tmp_path: Path) -> None:
    tokens = tokens_for(model.config, 12)
    expected = whole(model, tokens)
    runner = AneRunner(model, programs=Programs(model, "m4max-orion", folder=tmp_path))
    made = runner.sequence(tokens[:10].tolist())
    assert np.abs(made - expected[:10]).max() < 0.02 * max(1.0, float(np.abs(expected).max()))
    assert np.abs(runner.step(int(tokens[10])) - expected[10]).max() < 0.02 * max(1.0, float(np.abs(expected).max()))


def test_a_second_prompt_goes_on_from_the_first(model: Model, tmp_path: Path) -> None:
    tokens = tokens_for(model.config, 30)
    expected = whole(model, tokens)[-1]
    for mode in ("ane", "ane-prefill"):
        runner = AneRunner(model, mode=mode, programs=Programs(model, "m4max-orion", folder=tmp_path))
        runner.prefill(tokens[:5].tolist())
        made = runner.prefill(tokens[5:].tolist())
        assert np.abs(made - expected).max() < 0.02 * max(1.0, float(np.abs(expected).max()))


def test_where_the_compile_budget_is_short_prompts_take_the_way_of_tokens(model: Model, tmp_path: Path) -> None:
    layers = model.config.layers
    profile = replace(profiles.load("m4max-orion"), soft_budget=3 * layers)
    programs = Programs(model, folder=tmp_path, simulator=Simulator(profile))
    tokens = tokens_for(model.config, 20)
    expected = whole(model, tokens)[-1]
    made = AneRunner(model, programs=programs).prefill(tokens.tolist())
    assert np.abs(made - expected).max() < 0.02 * max(1.0, float(np.abs(expected).max()))
    assert programs.simulator.compiles == 2 * layers == len(programs.cache)
    assert all(key.bucket == DECODE for key in programs.cache._kernels)


def test_programs_are_found_on_disk_and_by_their_weights(model: Model, tmp_path: Path) -> None:
    first = Programs(model, "m4max-orion", folder=tmp_path)
    x = np.random.default_rng(0).standard_normal((32, model.config.width)).astype(np.float32)
    made = first.kernel("feed_forward", 1, 32).run(x)[0]
    assert first.kernel("feed_forward", 1, 32) is first.kernel("feed_forward", 1, 32) and first.lowered == 1
    again = Programs(model, "m4max-orion", folder=tmp_path)
    assert np.array_equal(again.kernel("feed_forward", 1, 32).run(x)[0], made) and again.lowered == 0
    other = Model("small", model.family, model.config, filled(model.builders, model.config, seed=1), None)
    changed = Programs(other, "m4max-orion", folder=tmp_path)
    assert not np.array_equal(changed.kernel("feed_forward", 1, 32).run(x)[0], made) and changed.lowered == 1
    with pytest.raises(ValueError, match="not head over 32"):
        first.kernel("head", 0, 32)


def test_what_cannot_be_run_is_one_line(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no mode 'gpu'"):
        AneRunner(model, mode="gpu")
    with pytest.raises(UserError, match="takes 1 to 32"):
        AneRunner(model, context=33)
    runner = AneRunner(model, context=8, programs=Programs(model, folder=tmp_path))
    with pytest.raises(UserError, match=r"9 tokens after 0 do not fit a context of 8"):
        runner.prefill([1] * 9)
    with pytest.raises(UserError, match="token 99 is not one"):
        runner.prefill([99])


def test_greedy_text_is_equal_in_all_three_modes(shared_data: Path) -> None:
    model = load(shared_data / "stories260k" / "stories260K.bin")
    assert model.tokenizer is not None
    runners = [CpuRunner(model), *(AneRunner(model, mode=mode) for mode in ("ane-prefill", "ane"))]
    texts = [Generator(r, model.tokenizer).text("Once upon a time", max_tokens=60) for r in runners]
    assert len(texts[0]) > 100 and texts[0] == texts[1] == texts[2]


def test_stories260k_keeps_its_loss_on_the_engine(shared_data: Path) -> None:
    """The first three of the texts that give 1.243 nats a token in float32 (`tests/models/test_trained.py`)."""
    model = load(shared_data / "stories260k" / "stories260K.bin")
    assert model.tokenizer is not None
    packed = (shared_data / "tinystories-sample" / "tinystories_197k.txt.gz").read_bytes()
    text = gzip.decompress(packed).decode().replace("\n\n", "\n")
    losses: dict[str, list[float]] = {"engine": [], "processor": []}
    runner = AneRunner(model, profile="m4max-orion")
    for part in re.split("(?=Once upon a time)", text)[1:4]:
        tokens = np.array(model.tokenizer.encode(part.strip()[:600], begin=True)[:250])
        for where, logits in (("engine", runner.sequence(tokens.tolist())), ("processor", whole(model, tokens))):
            scores = logits[:-1].astype(np.float64)
            scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
            losses[where] += list(-scores[np.arange(len(tokens) - 1), tokens[1:]])
    assert len(losses["engine"]) > 600
    assert abs(np.mean(losses["engine"]) - np.mean(losses["processor"])) < 0.002
