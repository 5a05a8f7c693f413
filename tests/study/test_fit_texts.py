"""From a file of texts to an int8 program that takes numbers of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netwright
from netwright.tasks import Words


@pytest.fixture
def news(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    said = {"sport": ("match", "goal", "team"), "world": ("talks", "treaty", "border"), "money": ("shares", "bank", "oil")}
    rows = [f"{label},the {rng.choice(words)} of {rng.choice(('today', 'monday', 'june'))} was long"
            for _ in range(50) for label, words in said.items()]  # fmt: skip
    (tmp_path / "news.csv").write_text("class,text\n" + "\n".join(rows) + "\n")
    return tmp_path / "news.csv"


def test_other_spaces_of_words_take_texts_too(news: Path) -> None:
    from netwright import tasks
    from netwright.compress import observe
    from netwright.compress.quantise import prepared
    from netwright.study.defaults import space_for

    task = tasks.load(str(news), label="class")
    assert task.words is not None
    build = space_for(task, "flexibert")
    made = build.build(build.sample(np.random.default_rng(0)), task.x, task.y).graph
    assert made.inputs[0].dtype == "int32" == task.x.dtype
    words = next(param for param in made.params if param.value.shape[0] == task.words.vocabulary)
    graph = made.with_store(made.store.initialise(made, 0))
    assert words.value.shape == (task.words.vocabulary, 128)
    assert observe(prepared(graph), task.train.x[:3])


def test_texts_become_a_program_whose_bytes_agree_everywhere(news: Path) -> None:
    study = netwright.fit(str(news), "host", label="class", space="text-templates", strategy="adaptive-mutation",
                          evaluations=4, recipe={"epochs": 10.0, "batch": 16}, out=news.parent / "out", seed=1)  # fmt: skip
    result = study.result
    assert result["byte_equal"] and result["accuracy"]["device"] > 0.9
    assert result["input"] == "int32[1,8]" and result["search"]["drawn"]["random"] == 2
    words = result["preprocessing"]["words"]
    numbers = Words(words["vocabulary"], words["length"])(["The treaty of june was long", "the goal of monday was long"])
    guesses = [result["classes"][i] for i in study.program.run(numbers)[0].argmax(1)]
    assert guesses == ["world", "sport"]
