"""A study loses no acknowledged result and doubles none: under kills, and shared by processes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_study import HEADER, Worker, loss, opened, strategy

from netwright.search import replay
from netwright.study.record import Row, events


def rows(storage: object) -> list[Row]:
    return opened(str(storage)).resume(HEADER)


def require_exact(found: list[Row], trials: int) -> None:
    """Every trial is there once and told once, and drawing the search anew along the log gives the same candidates."""
    assert [row.trial.number for row in found] == list(range(trials))
    assert sorted(row.order for row in found) == list(range(trials))
    assert all(row.status == "ok" and row.metrics == {"loss": loss(row.trial)} for row in found)
    again = strategy()
    for event in events(found):
        if event[0] == "ask":
            (trial,) = again.ask()
            assert trial == event[1], "the log asked what the strategy does not at this point"
        else:
            replay(again, [event])


def test_a_study_killed_twenty_times_loses_and_doubles_no_acknowledged_result(tmp_path: Path) -> None:
    trials, kills = 2000, 20
    chance = random.Random(0)
    storage = tmp_path / "study.journal"
    heard: dict[int, float] = {}
    for life in range(kills + 1):
        worker = Worker(storage, trials)
        if life < kills:
            time.sleep(chance.uniform(0.0, 0.06))
            worker.process.kill()
        said = worker.heard()
        assert worker.process.exitcode == (-signal.SIGKILL if life < kills else 0)
        assert not set(said) & set(heard), "a trial was told twice"
        heard.update(said)
        assert len(heard) < trials or life == kills, "the study ended before it could be killed"
    found = rows(storage)
    require_exact(found, trials)
    assert heard.items() <= {row.trial.number: row.metrics["loss"] for row in found}.items()
    assert len(heard) >= trials - kills  # told, and killed before it could say so


def shared(storage: object, trials: int) -> None:
    """Two workers search together, a third is killed in the middle of an evaluation."""
    first = Worker(storage, trials, 0.005)
    lost = Worker(storage, trials, 60.0)
    second = Worker(storage, trials, 0.005)
    time.sleep(0.3)
    lost.process.kill()
    a, b, c = first.heard(), second.heard(), lost.heard()
    assert first.process.exitcode == second.process.exitcode == 0
    assert a and b and not c and not set(a) & set(b)
    found = rows(storage)
    require_exact(found, trials)
    assert {row.trial.number: row.metrics["loss"] for row in found} == {**a, **b}


def test_two_processes_share_a_journal_file_and_take_over_what_a_third_left(tmp_path: Path) -> None:
    shared(tmp_path / "study.journal", 300)


def test_two_processes_share_a_sqlite_file(tmp_path: Path) -> None:
    shared(f"sqlite:///{tmp_path / 'study.db'}", 40)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server in a folder of its own; it refuses root, so that there it runs as `nobody`."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(places[-1]) if places else None)
    if found is None:
        pytest.skip("needs a PostgreSQL server: apt-get install postgresql")
    pytest.importorskip("psycopg2", reason="needs psycopg2-binary")
    binaries = Path(found).parent
    folder = Path("/tmp") / f"netwright-postgresql-{os.getpid()}"
    folder.mkdir()
    user: list[str] = []
    if os.geteuid() == 0:
        user = ["runuser", "-u", "nobody", "--"]
        shutil.chown(folder, "nobody")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        subprocess.run(
            [*user, str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "netwright", "-A", "trust", "-E", "UTF8"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        control = [*user, str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-w"]
        log = ["-l", str(folder / "log")]
        subprocess.run([*control, *log, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        try:
            yield f"postgresql://netwright@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)
    finally:
        shutil.rmtree(folder)


def test_two_processes_share_a_study_on_postgresql(postgresql: str) -> None:
    shared(postgresql, 80)


def test_half_a_line_that_a_kill_left_is_cut_off(tmp_path: Path) -> None:
    storage = tmp_path / "study.journal"
    Worker(storage, 5).heard()
    with storage.open("ab") as file:
        file.write(b'{"op_code":8,"trial_')
    assert len(Worker(storage, 10).heard()) == 5
    require_exact(rows(storage), 10)
