"""The log of a search, in an Optuna storage: what was asked, what was told, in which order."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.errors import MissingExtra, UserError
from netwright.search import Objective, Trial
from netwright.spaces import Candidate, Space

_TRACE, _NUMBER, _METRICS, _STATUS, _ORDER, _BEFORE = (
    "trace",
    "number",
    "metrics",
    "status",
    "told_order",
    "told_before",
)
HEADER = "netwright"


@dataclass(frozen=True)
class Row:
    """One trial of the log; `status` is None while it runs (or was cut off)."""

    trial: Trial
    metrics: dict[str, float]
    status: str | None
    order: int
    before: int


class Record:
    """A study's log. `storage` is a journal file's path or a database URL (sqlite, postgresql, mysql)."""

    def __init__(self, storage: str | Path, name: str, space: Space, objectives: tuple[Objective, ...]) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingExtra("the study storage (optuna)", "search") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._optuna, self._space = optuna, space
        self._goals = [o for o in objectives if o.bound is None]
        self._storage = _open(optuna, storage)
        self._name = name
        self._study: Any = None
        self._ids: dict[int, int] = {}
        self._told = 0

    def exists(self) -> bool:
        """Whether the storage already holds a study of this name."""
        return self._name in [s.study_name for s in self._optuna.get_all_study_summaries(self._storage)]

    def create(self, header: Mapping[str, Any]) -> None:
        """Begin a new log. Raises UserError when there is one already."""
        if self.exists():
            raise UserError(f"there is already a study {self._name!r} in the storage; continue it with --resume")
        directions: list[Any] = ["minimize" if g.direction == "min" else "maximize" for g in self._goals]
        self._study = self._optuna.create_study(storage=self._storage, study_name=self._name, directions=directions)
        self._study.set_user_attr(HEADER, json.dumps(header, sort_keys=True))

    def resume(self, header: Mapping[str, Any]) -> list[Row]:
        """Open a log and read it. Raises UserError when it is of another search, naming what differs."""
        if not self.exists():
            raise UserError(f"there is no study {self._name!r} to resume in the storage")
        self._study = self._optuna.load_study(storage=self._storage, study_name=self._name)
        kept = json.loads(self._study.user_attrs.get(HEADER, "{}"))
        for key in sorted(set(kept) | set(header)):
            if kept.get(key) != header.get(key):
                raise UserError(
                    f"the study to resume was begun with {key} = {kept.get(key)!r}, now it is {header.get(key)!r}; "
                    "use the same settings, or another --out"
                )
        rows = list(self.rows())
        self._close_told()
        self._told = max((r.order + 1 for r in rows if r.status is not None), default=0)
        return rows

    def rows(self) -> Iterator[Row]:
        """All trials in the order they were asked."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            attrs = trial.user_attrs
            if _TRACE not in attrs:
                continue
            number = int(attrs[_NUMBER])
            self._ids[number] = trial._trial_id
            candidate = self._space.validate(Candidate.from_json(attrs[_TRACE]))
            done = _ORDER in attrs
            fidelity, resumed = attrs.get("fidelity"), attrs.get("resume_from")
            found.append(
                Row(
                    Trial(number, candidate, fidelity, resumed),
                    dict(attrs.get(_METRICS, {})),
                    attrs[_STATUS] if done else None,
                    int(attrs.get(_ORDER, -1)),
                    int(attrs[_BEFORE]),
                )
            )
        return iter(sorted(found, key=lambda row: row.trial.number))

    def asked(self, trial: Trial) -> None:
        """Write down a trial that begins."""
        from netwright.search.optuna_sampler import parameters

        params, distributions = parameters(self._space, trial.candidate)
        attrs = {_TRACE: trial.candidate.to_json(), _NUMBER: trial.number, _BEFORE: self._told}
        if trial.fidelity is not None:
            attrs["fidelity"] = trial.fidelity
        if trial.resume_from is not None:
            attrs["resume_from"] = trial.resume_from
        state = self._optuna.trial.TrialState.RUNNING
        frozen = self._optuna.trial.create_trial(
            state=state, params=params, distributions=distributions, user_attrs=attrs
        )
        self._ids[trial.number] = self._storage.create_new_trial(self._study._study_id, template_trial=frozen)

    def told(self, trial: Trial, metrics: Mapping[str, float], status: str) -> None:
        """Write down a result; once this returns it survives any kill."""
        place = self._ids[trial.number]
        plain = {k: float(v) for k, v in metrics.items()}
        for key, value in ((_METRICS, plain), (_STATUS, status), (_ORDER, self._told)):  # the last makes it a result
            self._storage.set_trial_user_attr(place, key, value)
        self._told += 1
        self._close(place, plain, status)

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
        for trial in self._study.get_trials(deepcopy=False):
            attrs = trial.user_attrs
            if _ORDER in attrs and not trial.state.is_finished():
                self._close(trial._trial_id, attrs[_METRICS], attrs[_STATUS])


def events(rows: list[Row]) -> Iterator[tuple[Any, ...]]:
    """A log as `netwright.search.replay` takes it: asks and tells in the order they happened."""
    told = sorted((r for r in rows if r.status is not None), key=lambda r: r.order)
    position = 0
    for row in sorted(rows, key=lambda r: r.trial.number):
        while position < len(told) and told[position].order < row.before:
            yield "tell", told[position].trial, told[position].metrics, told[position].status
            position += 1
        yield "ask", row.trial
    for row in told[position:]:
        yield "tell", row.trial, row.metrics, row.status


def _open(optuna: Any, storage: str | Path) -> Any:
    text = str(storage)
    if "://" in text:
        try:
            return optuna.storages.get_storage(text)
        except ImportError:
            driver = (
                "psycopg2-binary"
                if text.startswith("postgres")
                else "pymysql"
                if text.startswith("mysql")
                else "its driver"
            )
            raise UserError(
                f"the storage {text.split(':')[0]!r} needs a database driver: pip install {driver}"
            ) from None
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"cannot open the storage {text.split('@')[-1]!r}: {reason}") from None
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UserError(f"{path}: damaged study file: {str(error).splitlines()[0]}") from None
