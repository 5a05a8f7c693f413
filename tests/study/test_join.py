"""Other processes help a search along: fit --join."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from data import write_npz

import netwright.study.joining as joining
from netwright import study
from netwright.errors import UserError
from netwright.study.record import Record

FIT = ["--device", "cortex-m4", "--ram", "8KB", "--flash", "64KB", "--recipe", "epochs=1", "--seed", "5", "--json"]


def command(folder: Path, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "netwright", "fit", str(folder / "task.npz"), "--out", str(folder / "out"), *FIT, *more]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def test_a_search_is_shared_by_the_process_that_began_it_and_one_that_joins(tmp_path: Path) -> None:
    write_npz(tmp_path / "task.npz")
    began, joined = command(tmp_path, "--evaluations", "30"), command(tmp_path, "--join")
    told, result = (json.loads(process.communicate(timeout=120)[0]) for process in (joined, began))
    assert began.returncode == joined.returncode == 0
    assert told["evaluations"] == result["evaluations"] == 30 and result["byte_equal"]
    trials = json.loads((tmp_path / "out" / "trials.json").read_text())
    assert sorted(trial["told"] for trial in trials) == list(range(30))
    from netwright import spaces
    from netwright.search import Objective

    record = Record(tmp_path / "out" / "study.journal", "search", spaces.get(result["space"]), (Objective("loss"),))
    record._study = 0
    assert len({row.worker for row in record.rows()}) == 2


def test_joining_needs_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_WAIT_S", 0.0)
    write_npz(tmp_path / "task.npz")
    with pytest.raises(UserError, match=r"no study to join in .*: begin it with the same command without --join"):
        study.join(str(tmp_path / "task.npz"), "cortex-m4", out=tmp_path / "out")
