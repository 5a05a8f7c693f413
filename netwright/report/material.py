"""What a report is drawn from: the files that `fit` wrote, checked."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.errors import UserError
from netwright.graph import Graph, load

_NEEDED = ("accuracy", "profile", "device", "task", "classes", "confusion")


@dataclass(frozen=True)
class Trial:
    """One evaluation of the search. `status` is ok, failed, infeasible, pruned, or "cut off"."""

    number: int
    candidate: Mapping[str, Any]
    metrics: Mapping[str, float]
    status: str

    @property
    def good(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True)
class Baseline:
    """Trials drawn at random, and where they come from, in words."""

    trials: tuple[Trial, ...]
    words: str


@dataclass(frozen=True)
class Material:
    """All that a section may look at: `result` is `result.json`, `graph` the int8 network where there is one."""

    folder: Path
    result: Mapping[str, Any]
    trials: tuple[Trial, ...]
    graph: Graph | None
    baseline: Baseline | None

    @property
    def objective(self) -> tuple[str, str]:
        """The first goal of the search: name and direction ("min" or "max")."""
        goals = self.result.get("search", {}).get("objectives") or [{"name": "loss", "direction": "min"}]
        return str(goals[0]["name"]), str(goals[0]["direction"])

    @property
    def chosen(self) -> int | None:
        """The number of the trial whose network was deployed."""
        return self.result.get("search", {}).get("chosen")

    @property
    def good(self) -> tuple[Trial, ...]:
        """Trials with results."""
        return tuple(t for t in self.trials if t.good)


def read(folder: str | os.PathLike[str], baseline: str | os.PathLike[str] | None = None) -> Material:
    """The material in a folder. Raises UserError when it, or the baseline, is not one that `fit` wrote."""
    place = Path(folder)
    result, trials = _result(place), _trials(place)
    graph = load(place) if (place / "graph.txt").is_file() else None
    return Material(place, result, trials, graph, _baseline(result, trials, baseline))


def _result(place: Path) -> dict[str, Any]:
    found = _json(place / "result.json", "give a folder that `netwright fit` wrote")
    if not isinstance(found, dict) or any(key not in found for key in _NEEDED):
        raise UserError(f"{place / 'result.json'}: not the result of a `netwright fit`: run it again")
    return found


def _trials(place: Path) -> tuple[Trial, ...]:
    if not (place / "trials.json").is_file():
        return ()
    try:
        return tuple(
            Trial(
                int(row["number"]),
                dict(row["candidate"]),
                {str(k): float(v) for k, v in row["metrics"].items() if math.isfinite(float(v))},
                row["status"] or "cut off",
            )
            for row in _json(place / "trials.json", "run `netwright fit` again")
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{place / 'trials.json'}: damaged: {error!r}") from None


def _json(path: Path, advice: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {advice}") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: damaged: {error}; {advice}") from None


def _baseline(
    result: Mapping[str, Any], trials: tuple[Trial, ...], folder: str | os.PathLike[str] | None
) -> Baseline | None:
    if folder is not None:
        place = Path(folder)
        other = _result(place)
        if other.get("strategy") != "random":
            raise UserError(
                f"{place}: not a random search but {other.get('strategy')}; give a folder of `fit --strategy random`"
            )
        if other["task"].get("digest") != result["task"].get("digest"):
            raise UserError(f"{place}: a study of other data ({other['task'].get('name')}); give one of the same task")
        drawn = tuple(t for t in _trials(place) if t.good)
        return Baseline(drawn, f"the {len(drawn)} trials of the random study in {place.name}") if drawn else None
    how = result.get("search", {}).get("drawn") or {"random": 0}
    count = len(trials) if how.get("random") is None else int(how["random"])
    drawn = tuple(t for t in trials if t.good and t.number < count)
    if not drawn:
        return None
    pool = int(how.get("pool") or 1)
    picked = (
        f", each the largest of {pool} random draws by the capacity score that this search uses" if pool > 1 else ""
    )
    return Baseline(drawn, f"the first {len(drawn)} trials of this study, which were drawn at random{picked}")
