"""A study survives everything: kills, Ctrl-C, several workers, another storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import write_npz

import netwright
from netwright.errors import UserError

SMALL = {"epochs": 1.0}
BUDGET = {"ram": "8KB", "flash": "64KB", "latency": "50ms"}


def fit(folder: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {"evaluations": 4, "recipe": SMALL, "seed": 3, **BUDGET, **changes}
    return netwright.fit(str(folder / "task.npz"), "cortex-m4", out=folder / "out", **settings)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_npz(tmp_path / "task.npz")
    return tmp_path


def test_fit_writes_a_program_whose_bytes_agree_everywhere(place: Path) -> None:
    study = fit(place)
    result = study.result
    assert result["byte_equal"] and result["evaluations"] == 4 and not result["violations"]
    assert set(result["accuracy"]) == {"float", "int8", "device"}
    assert {"firmware.elf", "result.json", "graph.txt", "Makefile", "study.journal"} <= {
        p.name for p in study.folder.iterdir()
    }
    graph = netwright.load(study.folder)
    assert graph.content_hash == study.graph.content_hash
    assert result["input"].startswith("uint8[1,")
    x = np.zeros((2, *graph.inputs[0].shape[1:]), np.uint8)
    assert np.array_equal(study.program.run(x)[0], graph.run(x)[0])


def test_the_same_seed_and_count_give_the_same_network_to_the_bit(tmp_path: Path) -> None:
    hashes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_npz(tmp_path / name / "task.npz")
        hashes.append(fit(tmp_path / name).graph.content_hash)
    assert hashes[0] == hashes[1]


def test_a_finished_study_resumes_without_evaluating_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(place)
    from netwright.study.evaluate import Evaluator

    def never(*_: Any) -> dict[str, float]:
        raise AssertionError("a finished evaluation was repeated")

    monkeypatch.setattr(Evaluator, "__call__", never)
    again = fit(place, resume=True)
    assert again.graph.content_hash == first.graph.content_hash


def test_more_evaluations_go_on_where_the_study_ended(place: Path) -> None:
    fit(place)
    longer = fit(place, resume=True, evaluations=6)
    assert longer.result["evaluations"] == 6


def test_another_search_cannot_be_resumed_by_mistake(place: Path) -> None:
    fit(place)
    with pytest.raises(UserError, match="seed = 3, now it is 4"):
        fit(place, resume=True, seed=4)
    with pytest.raises(UserError, match="already holds a study"):
        fit(place)
    assert fit(place, overwrite=True, seed=4).result["seed"] == 4


def test_workers_share_a_study(place: Path) -> None:
    study = fit(place, workers=2)
    assert study.result["evaluations"] == 4 and study.result["byte_equal"]


def test_sqlite_and_any_optuna_sampler_work(place: Path) -> None:
    study = fit(place, storage=f"sqlite:///{place / 'study.db'}", strategy="optuna:TPESampler")
    assert (place / "study.db").is_file() and study.result["strategy"] == "optuna:TPESampler"


def test_several_objectives_use_nsga2(place: Path) -> None:
    study = fit(place, objectives=("loss", "latency_ms"))
    assert study.result["strategy"] == "nsga2" and len(study.told[0].costs) == 2


def command(place: Path, out: str, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "netwright",
        "fit",
        str(place / "task.npz"),
        "--device",
        "cortex-m4",
        "--ram",
        "8KB",
        "--flash",
        "64KB",
        "--evaluations",
        "14",
        "--recipe",
        "epochs=1",
        "--seed",
        "5",
        "--out",
        str(place / out),
        *more,
    ]


def finished(journal: Path) -> int:
    """Trials that the journal has as told."""
    return journal.read_text().count("told_order") if journal.exists() else 0


def interrupted(place: Path, out: str, how: int, after: int) -> int:
    """Start a fit and end it by a signal after so many told trials; returns its exit status."""
    with subprocess.Popen(command(place, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while finished(place / out / "study.journal") < after and time.monotonic() < deadline:
            assert process.poll() is None, "the fit ended before it could be interrupted"
            time.sleep(0.02)
        os.kill(process.pid, how)
        return process.wait(60)


def test_kill_and_resume_end_where_an_undisturbed_run_ends(place: Path) -> None:
    import json

    def result(out: str) -> dict[str, Any]:
        return json.loads((place / out / "result.json").read_text())

    subprocess.run(command(place, "calm"), check=True, capture_output=True)
    assert interrupted(place, "killed", signal.SIGKILL, 2) == -signal.SIGKILL
    before = finished(place / "killed" / "study.journal")
    assert 2 <= before < 14
    assert interrupted_again(place) == 130
    done = subprocess.run(command(place, "killed", "--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert finished(place / "killed" / "study.journal") == 14  # each trial was told exactly once
    calm, killed = result("calm"), result("killed")
    assert killed["candidate"] == calm["candidate"] and killed["accuracy"] == calm["accuracy"]
    assert netwright.load(place / "calm").content_hash == netwright.load(place / "killed").content_hash


def interrupted_again(place: Path) -> int:
    """Resume, and end that with Ctrl-C after two more trials."""
    before = finished(place / "killed" / "study.journal")
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # shells have what they run behind them ignore it
    again = command(place, "killed", "--resume")
    with subprocess.Popen(again, stderr=subprocess.DEVNULL, preexec_fn=heard) as process:
        while finished(place / "killed" / "study.journal") < before + 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        return process.wait(60)


def test_quantisation_aware_training_runs_when_quantisation_loses_too_much(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import netwright.study.job as job

    monkeypatch.setattr(job, "LOST", -1.0)
    stages = []
    study = fit(place, recipe={"epochs": 10.0}, listener=lambda stage, share, words: stages.append(words))
    assert any("quantisation-aware" in words for words in stages)
    assert study.result["byte_equal"] and study.result["accuracy"]["int8"] > 0.8


def test_a_time_budget_is_kept(place: Path) -> None:
    started = time.monotonic()
    study = fit(place, evaluations=None, budget_s=12.0, workers=1, recipe=None)
    assert time.monotonic() - started < 25 and study.result["byte_equal"]
