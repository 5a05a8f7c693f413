"""What judges candidates is a choice: a short training, a supernet, or a score that trains nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import write_npz

import netwright
from netwright.errors import UserError
from netwright.report import write_report
from netwright.report.reproduce import command
from netwright.study import job, shared
from netwright.train import Supernet

BUDGET = {"ram": "8KB", "flash": "64KB"}


def fit(place: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {"recipe": {"epochs": 2.0}, "seed": 3, "out": place / "out", **BUDGET, **changes}
    return netwright.fit(str(place / "task.npz"), "cortex-m4", **settings)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_npz(tmp_path / "task.npz")
    return tmp_path


def test_candidates_inherit_from_a_supernet_that_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "POOL", 6)
    monkeypatch.setattr(shared, "TRAININGS", 0.05)
    first = fit(place, estimator="supernet", evaluations=4, space="mobilenet")
    assert first.result["byte_equal"] and first.result["evaluations"] == 4
    kept = Supernet(netwright.graph.Store.load(place / "out" / shared.FILE))
    assert kept.covers(first.float_graph)
    assert "--estimator supernet" in command(first.result["settings"])

    def never(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("the kept supernet was trained again")

    monkeypatch.setattr(Supernet, "train", never)
    again = fit(place, estimator="supernet", evaluations=6, space="mobilenet", resume=True)
    assert again.result["evaluations"] == 6
    with pytest.raises(UserError, match="estimator"):
        fit(place, evaluations=6, space="mobilenet", resume=True)


def test_the_final_training_begins_with_what_is_inherited(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "POOL", 4)
    monkeypatch.setattr(shared, "TRAININGS", 0.02)
    begun = []
    original = job.train

    def train(graph: Any, *arguments: Any, **settings: Any) -> Any:
        begun.append(graph)
        return original(graph, *arguments, **settings)

    monkeypatch.setattr(job, "train", train)
    fit(place, estimator="supernet", evaluations=2, space="mobilenet")
    kept = Supernet(netwright.graph.Store.load(place / "out" / shared.FILE))
    view = kept.view(begun[0])
    trainable = [param for param in view.params if param.trainable]
    assert trainable
    for param in trainable:
        assert np.array_equal(begun[0].store[param.tensor], view.store.read(param))


@pytest.mark.parametrize("score", ["macs", "synflow"])
def test_a_score_that_trains_nothing_is_the_objective(place: Path, score: str) -> None:
    study = fit(place, estimator=score, evaluations=8)
    assert study.result["search"]["objectives"] == [{"name": score, "direction": "max"}]
    trials = json.loads((place / "out" / "trials.json").read_text())
    best = max(trials, key=lambda trial: trial["metrics"][score])
    assert study.result["search"]["chosen"] == best["number"] and "accuracy" not in best["metrics"]
    assert score in write_report(place / "out").read_text()


def test_what_cannot_judge_is_refused(place: Path) -> None:
    with pytest.raises(UserError, match=r"no estimator 'device-cost' judges.*capacity, macs.*short-training, supernet"):
        fit(place, estimator="device-cost")
    with pytest.raises(UserError, match="measures no accuracy"):
        fit(place, estimator="macs", objectives=("accuracy",))
    assert not (place / "out").exists()
