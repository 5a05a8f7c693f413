"""The log of a study: what was written survives a kill at any point."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netwright import search, spaces
from netwright.errors import UserError
from netwright.search import Objective, Trial
from netwright.study.parallel import Serial
from netwright.study.record import Record
from netwright.study.search import Stop, run


def test_a_result_that_a_kill_left_unclosed_is_told_once_and_closed_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, goals = spaces.get("conv-small"), (Objective("loss"),)
    record = Record(tmp_path / "study.journal", "search", space, goals)
    record.create({"seed": 1})
    trial = Trial(0, space.sample(np.random.default_rng(0)))
    record.asked(trial)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(record._storage, "set_trial_state_values", killed)
        with pytest.raises(KeyboardInterrupt):
            record.told(trial, {"loss": 0.5}, "ok")
    again = Record(tmp_path / "study.journal", "search", space, goals)
    (row,) = again.resume({"seed": 1})
    assert (row.status, row.metrics, row.order) == ("ok", {"loss": 0.5}, 0)
    (closed,) = again._storage.get_all_trials(again._study)
    assert closed.state.name == "COMPLETE" and closed.values == [0.5]


def test_a_study_of_another_space_or_of_another_program_is_refused_in_one_line(tmp_path: Path) -> None:
    import optuna

    goals = (Objective("loss"),)
    path = tmp_path / "study.journal"
    Record(path, "search", spaces.get("conv-small"), goals).create({"space": "conv-small", "seed": 1})
    with pytest.raises(UserError, match="begun with space = 'conv-small', now it is 'nb201'"):
        Record(path, "search", spaces.get("nb201"), goals).resume({"space": "nb201", "seed": 1})
    with pytest.raises(UserError, match="there is already a study"):
        Record(path, "search", spaces.get("conv-small"), goals).create({"space": "conv-small", "seed": 1})
    foreign = optuna.storages.journal.JournalFileBackend(str(tmp_path / "foreign.journal"))
    optuna.create_study(storage=optuna.storages.JournalStorage(foreign), study_name="search")
    with pytest.raises(UserError, match="was not begun by netwright"):
        Record(tmp_path / "foreign.journal", "search", spaces.get("conv-small"), goals).resume({"seed": 1})


def test_a_candidate_that_the_space_does_not_have_is_named(tmp_path: Path) -> None:
    goals, path = (Objective("loss"),), tmp_path / "study.journal"
    record = Record(path, "search", spaces.get("nb201"), goals)
    record.create({})
    record.asked(Trial(0, spaces.get("nb201").sample(np.random.default_rng(0))))
    with pytest.raises(UserError, match="trial 0 of the study is not of the space 'conv-small'"):
        Record(path, "search", spaces.get("conv-small"), goals).resume({})


@pytest.mark.parametrize("damage", [b"not a journal\n", b"[1, 2]\n", b'{"op_code": 99}\n', b"\x00\x01\n"])
def test_a_damaged_study_file_is_one_line(tmp_path: Path, damage: bytes) -> None:
    goals, path = (Objective("loss"),), tmp_path / "study.journal"
    Record(path, "search", spaces.get("conv-small"), goals).create({"seed": 1})
    path.write_bytes(path.read_bytes() + damage)
    with pytest.raises(UserError, match=r"study\.journal: damaged study file") as refused:
        Record(path, "search", spaces.get("conv-small"), goals)
    assert "\n" not in str(refused.value)


def test_a_metric_that_is_not_a_number_fails_its_trial_and_the_search_goes_on(tmp_path: Path) -> None:
    goals, space = (Objective("loss"),), spaces.get("conv-small")
    record = Record(tmp_path / "study.journal", "search", space, goals)
    record.create({})
    said = []
    results = {1: {"loss": math.nan}, 2: {"accuracy": 0.5}}
    told = run(
        search.get("random")(space, goals), Serial(lambda trial: results.get(trial.number, {"loss": 1.0})), record,
        Stop(4), report=lambda trial, metrics, words: said.append(words),
    )  # fmt: skip
    assert [t.status for t in told] == ["ok", "failed", "failed", "ok"]
    assert said == ["", 'failed: the metric "loss" is not a number', 'failed: the metric "loss" is missing', ""]
    rows = Record(tmp_path / "study.journal", "search", space, goals).resume({})
    assert [row.status for row in rows] == ["ok", "failed", "failed", "ok"] and math.isnan(rows[1].metrics["loss"])
