"""The log of a study: what was written survives a kill at any point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netwright import spaces
from netwright.search import Objective, Trial
from netwright.study.record import Record


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
