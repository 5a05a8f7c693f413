"""A durable study: python -m benchmarks.durable [--trials 500] [--repeats 3] [--kills 20] [--json].

rate     trials a second through a Study on a journal file: ask, a trivial evaluation, tell, each on the disk (fsync)
         before it counts; wall time and processor time. Beside plain Optuna on its journal file, with the same number
         of parameters suggested one by one; the two are interleaved. On the spaces that --spaces names.
open     seconds to open a Study of --opened trials and bring the strategy to where it was
kills    a study of --killed trials, killed at --kills random moments (SIGKILL) and gone on with; results that had been
         acknowledged and are lost, and results there twice
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from netwright import search, spaces
from netwright.search import Objective, Trial
from netwright.study.parallel import Serial
from netwright.study.record import Record, events
from netwright.study.search import Stop, run

GOALS = (Objective("loss"),)
HEADER = {"seed": 0}


def loss(trial: Trial) -> dict[str, float]:
    """A result that costs nothing to find."""
    return {"loss": float(sum(map(ord, trial.candidate.to_json())) % 1009)}


def clocked(work: Any, trials: int) -> dict[str, float]:
    """Trials a second of wall and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": trials / (time.perf_counter() - wall), "cpu": trials / (time.process_time() - cpu)}


def ours(folder: Path, space: str, strategy: str, trials: int) -> Path:
    """A study of so many trials; its journal."""
    found = spaces.get(space)
    record = Record(folder / "study.journal", "search", found, GOALS)
    record.create(HEADER)
    run(search.get(strategy)(found, GOALS, seed=0), Serial(loss), record, Stop(trials))
    return folder / "study.journal"


def optuna_s(folder: Path, space: str, trials: int) -> None:
    """The same with Optuna alone: as many parameters, drawn at random."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = str(folder / "optuna.journal")
    backend = optuna.storages.journal.JournalFileBackend(path, optuna.storages.journal.JournalFileOpenLock(path))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend), sampler=optuna.samplers.RandomSampler(seed=0)
    )
    from netwright.search.optuna_sampler import parameters

    found = spaces.get(space)
    import numpy as np

    names, distributions = parameters(found, found.sample(np.random.default_rng(0)))
    for number in range(trials):
        trial = study.ask()
        for name in names:
            trial._suggest(name, distributions[name])
        study.tell(trial, float(number % 1009))


def opened(journal: Path, space: str, strategy: str) -> tuple[int, float]:
    """(trials, seconds) of opening a study and rebuilding its strategy."""
    started = time.perf_counter()
    found = spaces.get(space)
    rows = Record(journal, "search", found, GOALS).resume(HEADER)
    search.replay(search.get(strategy)(found, GOALS, seed=0), events(rows))
    return len(rows), time.perf_counter() - started


def lived(journal: str, space: str, trials: int, pipe: int) -> None:
    """One life of a killed study; writes the number of each result that was acknowledged."""
    found = spaces.get(space)
    record = Record(journal, "search", found, GOALS)
    before = record.resume(HEADER) if record.exists() else record.create(HEADER)
    told = record.told

    def acknowledged(trial: Trial, metrics: dict[str, float], status: str) -> bool:
        new = told(trial, metrics, status)
        os.write(pipe, f"{trial.number} {metrics['loss']}\n".encode())
        return new

    record.told = acknowledged  # type: ignore[method-assign]
    strategy = search.get("regularised-evolution")(found, GOALS, seed=0)
    run(strategy, Serial(loss), record, Stop(trials), before=before)


def killed(folder: Path, space: str, trials: int, kills: int) -> dict[str, int]:
    """Lives, acknowledged results lost or changed, and results there twice."""
    journal, chance = str(folder / "study.journal"), random.Random(0)
    said: list[str] = []
    lives = 0
    while True:
        reading, writing = os.pipe()
        process = get_context("fork").Process(target=lived, args=(journal, space, trials, writing))
        process.start()
        os.close(writing)
        if lives < kills:
            time.sleep(chance.uniform(0.0, 0.5))
            process.kill()
        with os.fdopen(reading) as lines:
            said += [line.strip() for line in lines if line.endswith("\n")]
        process.join()
        lives += 1
        if process.exitcode == 0:
            break
    rows = Record(journal, "search", spaces.get(space), GOALS).resume(HEADER)
    kept = [f"{row.trial.number} {row.metrics['loss']}" for row in rows if row.status == "ok"]
    doubled = len(kept) - len({line.split()[0] for line in kept}) + len(said) - len(set(said))
    return {"kills": lives - 1, "told": len(kept), "acknowledged": len(said), "lost": len(set(said) - set(kept)),
            "doubled": doubled}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--opened", type=int, default=5000)
    parser.add_argument("--killed", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--spaces", nargs="+", default=["nb201", "mobilenet"])
    parser.add_argument("--strategy", default="regularised-evolution")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {"trials": given.trials, "strategy": given.strategy, "rate": {}, "open": {}}
    for space in given.spaces:
        rates: dict[str, list[dict[str, float]]] = {"netwright": [], "optuna": []}
        for _ in range(given.repeats):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                work = {
                    "netwright": lambda f=folder, s=space: ours(f, s, given.strategy, given.trials),
                    "optuna": lambda f=folder, s=space: optuna_s(f, s, given.trials),
                }
                for who, what in work.items():
                    rates[who].append(clocked(what, given.trials))
        result["rate"][space] = {
            who: {kind: round(statistics.median(r[kind] for r in found)) for kind in ("wall", "cpu")}
            for who, found in rates.items()
        }
        with tempfile.TemporaryDirectory() as name:
            journal = ours(Path(name), space, given.strategy, given.opened)
            times = [opened(journal, space, given.strategy) for _ in range(given.repeats)]
        print(space, result["rate"][space], times, file=sys.stderr)
        result["open"][space] = {"trials": times[0][0], "seconds": round(statistics.median(s for _, s in times), 2)}
    if given.kills:
        with tempfile.TemporaryDirectory() as name:
            result["killed"] = killed(Path(name), "conv-small", given.killed, given.kills)
    if given.json:
        print(json.dumps(result, indent=1))
        return
    for space in given.spaces:
        for who, rate in result["rate"][space].items():
            print(f"{space:10s} {who:10s} {rate['wall']:6,} trials/s, {rate['cpu']:6,} a second of processor time")
        print(f"{space:10s} open {result['open'][space]['trials']:,} trials: {result['open'][space]['seconds']} s")
    if given.kills:
        print("killed    ", ", ".join(f"{count:,} {what}" for what, count in result["killed"].items()))


if __name__ == "__main__":
    main()
