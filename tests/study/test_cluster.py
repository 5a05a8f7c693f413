"""Evaluations on Ray: a local cluster of two workers, one of which is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_study import HEADER, loss, opened, strategy

from netwright.errors import UserError
from netwright.search import Trial
from netwright.spaces import Candidate
from netwright.study.cluster import Cluster
from netwright.study.record import events
from netwright.study.search import Stop, run

pytest.importorskip("ray", reason="needs netwright[ray]")


class Evaluator:
    """Notes in a folder which process began which trial, and when it ended."""

    def __init__(self, folder: Path, slow: int) -> None:
        self.folder, self.slow = folder, slow

    def __call__(self, trial: Trial) -> dict[str, float]:
        begun = self.folder / f"{trial.number}"
        first = not begun.exists()
        with begun.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if trial.number == self.slow and first:
            time.sleep(120)
        if trial.number == 3:
            raise ValueError("cannot be judged")
        return {"loss": loss(trial)}


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    tests = str(Path(__file__).parent)
    root = str(Path(__file__).parents[2])
    environment = {"env_vars": {"PYTHONPATH": f"{root}{os.pathsep}{tests}", "OMP_NUM_THREADS": "1"}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


def test_a_killed_worker_loses_nothing_and_its_evaluation_is_done_again(tmp_path: Path, two_workers: None) -> None:
    import threading

    slow = 5
    record = opened(str(tmp_path / "study.journal"))
    record.create(HEADER)
    notes = tmp_path / "notes"
    notes.mkdir()
    pool = Cluster(Evaluator(notes, slow), "local")
    assert pool.capacity == 2

    def kill() -> None:
        while not (notes / str(slow)).exists() or not (notes / str(slow)).read_text().endswith("\n"):
            time.sleep(0.01)
        os.kill(int((notes / str(slow)).read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    told = run(strategy(), pool, record, Stop(20))
    pool.close()
    killer.join(10)
    begun = (notes / str(slow)).read_text().split()
    assert len(begun) == 2 and begun[0] != begun[1]
    rows = record.resume(HEADER)
    assert [row.trial.number for row in rows] == list(range(20)) and len(told) == 20
    assert [row.trial.number for row in rows if row.status != "ok"] == [3]
    assert all(row.metrics == {"loss": loss(row.trial)} for row in rows if row.status == "ok")
    assert sum(event[0] == "tell" for event in events(rows)) == 20
    assert all(len((notes / str(n)).read_text().split()) == 1 for n in range(20) if n != slow)


def test_an_evaluator_that_always_takes_its_worker_down_fails_its_trial(two_workers: None, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import netwright.study.cluster as cluster

    monkeypatch.setattr(cluster, "_AGAIN", 1)
    pool = Cluster(_deadly, "local")
    pool.submit(Trial(0, Candidate({})))
    ((trial, error),) = pool.results()
    assert trial.number == 0 and "its worker died 2 times" in str(error)
    pool.close()


def _deadly(trial: Trial) -> dict[str, float]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_an_address_where_no_cluster_is() -> None:
    import ray

    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(UserError, match="no Ray cluster answers at"):
        Cluster(None, "auto")


