"""The log of a search, in an Optuna storage: what was asked, what was told, in which order, and by which worker.

Several processes may share a log. Each takes its turn (`Record.turn`) to ask and to tell: it first takes in what the
others wrote, so that every strategy is where the log is, the numbers of trials are unique, and a replay of the log is
exact. A worker is present while it holds a lock of its own; the trials of one that died are taken over.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.errors import MissingExtra, UserError
from netwright.search import Objective, Trial
from netwright.spaces import Candidate, Space

from .locks import locks

_TRACE, _NUMBER, _BEFORE, _WORKER, _RESULT = "trace", "number", "told_before", "worker", "result"
HEADER = "netwright"
NAMES = "study:metric_names"  # where Optuna keeps the names of the objectives, for its plots


@dataclass(frozen=True)
class Row:
    """One trial of the log; `status` is None while it runs (or was cut off). `worker` is who evaluates it."""

    trial: Trial
    metrics: dict[str, float]
    status: str | None
    order: int
    before: int
    worker: str = ""


class Record:
    """A study's log. `storage` is a journal file's path or a database URL (sqlite, postgresql, mysql)."""

    def __init__(self, storage: str | Path, name: str, space: Space, objectives: tuple[Objective, ...]) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingExtra("the study storage (optuna)", "search") from None
        from .journal import driven, open_storage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._optuna, self._space = optuna, space
        self._goals = [o for o in objectives if o.bound is None]
        storage = driven(storage)
        self._storage, self._journal = open_storage(storage)
        self._locks = locks(storage, name)
        self._name, self._worker = name, uuid.uuid4().hex[:12]
        self._study = -1  # its id in the storage
        self._ids: dict[int, int] = {}  # trial number -> id in the storage
        self._running: dict[int, Row] = {}  # place in the storage's list -> a trial that is not told
        self._read = 0  # trials of the storage's list that were seen
        self._told = 0
        self._size = -1  # of the journal, at the end of this worker's last turn

    def exists(self) -> bool:
        """Whether the storage already holds a study of this name."""
        try:
            self._storage.get_study_id_from_name(self._name)
        except KeyError:
            return False
        return True

    def create(self, header: Mapping[str, Any]) -> None:
        """Begin a new log. Raises UserError when there is one already."""
        directions = [getattr(self._optuna.study.StudyDirection, f"{g.direction}imize".upper()) for g in self._goals]
        try:
            self._study = self._storage.create_new_study(directions, self._name)
        except self._optuna.exceptions.DuplicatedStudyError:
            raise UserError(
                f"there is already a study {self._name!r} in the storage; continue it with --resume"
            ) from None
        self._storage.set_study_system_attr(self._study, NAMES, [g.name for g in self._goals])
        self._storage.set_study_user_attr(self._study, HEADER, json.dumps(header, sort_keys=True))

    def resume(self, header: Mapping[str, Any]) -> list[Row]:
        """Open a log and read it. Raises UserError when it is of another search, naming what differs."""
        if not self.exists():
            raise UserError(f"there is no study {self._name!r} to resume in the storage")
        self._study = self._storage.get_study_id_from_name(self._name)
        attributes = self._storage.get_study_user_attrs(self._study)
        if HEADER not in attributes:
            raise UserError(f"the study {self._name!r} in the storage was not begun by netwright")
        kept = json.loads(attributes[HEADER])
        for key in sorted(set(kept) | set(header)):
            if kept.get(key) != header.get(key):
                raise UserError(
                    f"the study to resume was begun with {key} = {kept.get(key)!r}, now it is {header.get(key)!r}; "
                    "use the same settings, or another --out"
                )
        self._running, self._read, self._told = {}, 0, 0
        with self._exclusive():
            asked, _ = self._news()
            self._close_told()
        return asked

    def note(self, key: str, value: Any) -> None:
        """Write down what the workers of a study have to know."""
        self._storage.set_study_user_attr(self._study, key, json.dumps(value))

    def noted(self, key: str) -> str | None:
        """What was noted, as JSON; None where nothing was, or there is no study."""
        if not self.exists():
            return None
        found = self._storage.get_study_user_attrs(self._storage.get_study_id_from_name(self._name))
        return found.get(key)

    def rows(self) -> Iterator[Row]:
        """All trials in the order they were asked."""
        found = [self._row(t) for t in self._trials() if _TRACE in t.user_attrs]
        return iter(sorted(found, key=lambda row: row.trial.number))

    # for workers

    @contextmanager
    def present(self) -> Iterator[None]:
        """While it lasts, other workers leave the trials of this one alone."""
        name = f"worker-{self._worker}"
        self._locks.take(name)
        try:
            yield
        finally:
            self._locks.remove(name)

    @contextmanager
    def turn(self) -> Iterator[list[tuple[Any, ...]]]:
        """No other worker asks or tells meanwhile; gives what they wrote since the last turn, as `replay` takes it."""
        with self._exclusive():
            alone = self._journal is not None and self._journal.size() == self._size
            yield [] if alone else list(_merged(*self._news()))
            if self._journal is not None:
                self._size = self._journal.size()

    def orphan(self) -> Trial | None:
        """A trial whose worker died, now this one's to evaluate. Call it in a turn."""
        present: dict[str, bool] = {self._worker: True}
        for place, row in self._running.items():
            if row.worker not in present:
                present[row.worker] = self._locks.held(f"worker-{row.worker}")
            if not present[row.worker]:
                self._storage.set_trial_user_attr(self._ids[row.trial.number], _WORKER, self._worker)
                self._running[place] = Row(row.trial, {}, None, -1, row.before, self._worker)
                return row.trial
        return None

    def others(self) -> bool:
        """Whether another worker's trial was running at the last turn."""
        return any(row.worker != self._worker for row in self._running.values())

    def asked(self, trial: Trial) -> None:
        """Write down a trial that begins. Its result, once told, takes it to the disk: what a power cut could lose
        before is an evaluation in flight."""
        from netwright.search.optuna_sampler import parameters

        params, distributions = parameters(self._space, trial.candidate)
        attrs = {
            _TRACE: trial.candidate.to_json(),
            _NUMBER: trial.number,
            _BEFORE: self._told,
            _WORKER: self._worker,
        }
        if trial.fidelity is not None:
            attrs["fidelity"] = trial.fidelity
        if trial.resume_from is not None:
            attrs["resume_from"] = trial.resume_from
        state = self._optuna.trial.TrialState.RUNNING
        frozen = self._optuna.trial.create_trial(
            state=state, params=params, distributions=distributions, user_attrs=attrs
        )
        with nullcontext() if self._journal is None else self._journal.unhurried():
            place = self._storage.create_new_trial(self._study, template_trial=frozen)
        self._ids[trial.number] = place
        self._running[self._read] = Row(trial, {}, None, -1, self._told, self._worker)
        self._read += 1

    def told(self, trial: Trial, metrics: Mapping[str, float], status: str) -> bool:
        """Write down a result; once this returns it survives any kill. False, and nothing written, when another worker
        told it first."""
        at = next((place for place, row in self._running.items() if row.trial.number == trial.number), None)
        if at is None:
            return False
        place = self._ids[trial.number]
        plain = {k: float(v) for k, v in metrics.items()}
        with self._together():
            self._storage.set_trial_user_attr(
                place, _RESULT, {"told_order": self._told, "status": status, "metrics": plain}
            )
            self._close(place, plain, status)
        del self._running[at]
        self._told += 1
        return True

    # inside

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._locks.take("turn")
        try:
            yield
        finally:
            self._locks.release("turn")

    def _together(self) -> Any:
        return nullcontext() if self._journal is None else self._journal.together()

    def _trials(self) -> list[Any]:
        found: list[Any] = self._storage.get_all_trials(self._study, deepcopy=False)
        return found

    def _news(self) -> tuple[list[Row], list[Row]]:
        """(asked, told) since the last time."""
        trials = self._trials()
        asked, told = [], []
        for place in range(self._read, len(trials)):
            if _TRACE in trials[place].user_attrs:
                row = self._row(trials[place])
                self._ids[row.trial.number] = trials[place]._trial_id
                self._running[place] = row
                asked.append(row)
        self._read = len(trials)
        for place, row in list(self._running.items()):
            attrs = trials[place].user_attrs
            if _RESULT in attrs:
                told.append(row if row.status is not None else self._row(trials[place]))
                del self._running[place]
            elif attrs[_WORKER] != row.worker:
                self._running[place] = self._row(trials[place])
        self._told = max(self._told, 1 + max((row.order for row in told), default=-1))
        return sorted(asked, key=lambda row: row.trial.number), told

    def _row(self, trial: Any) -> Row:
        attrs = trial.user_attrs
        number = int(attrs[_NUMBER])
        try:
            candidate = self._space.validate(Candidate.from_json(attrs[_TRACE]))
        except (ValueError, UserError) as error:
            raise UserError(f"trial {number} of the study is not of the space {self._space.name!r}: {error}") from None
        result = attrs.get(_RESULT, {"metrics": {}, "status": None, "told_order": -1})
        return Row(
            Trial(number, candidate, attrs.get("fidelity"), attrs.get("resume_from")),
            dict(result["metrics"]),
            result["status"],
            int(result["told_order"]),
            int(attrs[_BEFORE]),
            attrs[_WORKER],
        )

    def _close(self, place: int, metrics: Mapping[str, float], status: str) -> None:
        """What other readers of the storage see of a result: the trial's end and its values."""
        states = self._optuna.trial.TrialState
        values = [metrics[g.name] for g in self._goals if g.name in metrics]
        if status == "ok" and len(values) == len(self._goals):
            self._storage.set_trial_state_values(place, states.COMPLETE, values)
        else:
            self._storage.set_trial_state_values(place, states.FAIL)

    def _close_told(self) -> None:
        """Close the trial whose result was written when a kill came between that and its end."""
        for trial in self._trials():
            result = trial.user_attrs.get(_RESULT)
            if result is not None and not trial.state.is_finished():
                self._close(trial._trial_id, result["metrics"], result["status"])


def events(rows: list[Row]) -> Iterator[tuple[Any, ...]]:
    """A log as `netwright.search.replay` takes it: asks and tells in the order they happened."""
    return _merged(sorted(rows, key=lambda r: r.trial.number), [row for row in rows if row.status is not None])


def _merged(asked: list[Row], told: list[Row]) -> Iterator[tuple[Any, ...]]:
    """Asks in their order, each behind the tells that came before it."""
    told = sorted(told, key=lambda r: r.order)
    position = 0
    for row in asked:
        while position < len(told) and told[position].order < row.before:
            yield "tell", told[position].trial, told[position].metrics, told[position].status
            position += 1
        yield "ask", row.trial
    for row in told[position:]:
        yield "tell", row.trial, row.metrics, row.status
